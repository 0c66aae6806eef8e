"""Scales and renews the services of a running platform without a gap: more replicas first, then fewer."""

from __future__ import annotations

from collections.abc import Callable

from launcher.platform import Platform

Say = Callable[[str], None]


def scale(platform: Platform, service: str, count: int, say: Say) -> None:
    """Starts or stops replicas, one at a time, until the service has `count` of them.

    Raises ValueError for fewer than one, NotReadyError when a new one does not become ready: then it is stopped and the
    others stay.
    """
    if count < 1:
        raise ValueError(f"{service} needs one replica at least")
    while len(platform.replicas(service)) < count:
        say(f"{platform.add_replica(service)} is ready and the gateway uses it")
    while len(platform.replicas(service)) > count:
        say(f"{platform.remove_replica(service)} has stopped")


def upgrade(platform: Platform, service: str, say: Say) -> None:
    """Migrates and starts every replica anew, from the code as it is now, with one replica more while that takes.

    Raises NotReadyError when the migration fails or a new one does not become ready: then the others stay.
    """
    platform.migrate(service)
    replicas = platform.replicas(service)
    say(f"{platform.add_replica(service)} is ready and the gateway uses it")
    for name in replicas:
        platform.restart(name)
        say(f"{name} has been replaced")
    say(f"{platform.remove_replica(service)} has stopped")
