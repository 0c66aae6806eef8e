"""Scale and replace the services of a running platform without downtime: more replicas first, then fewer."""

from __future__ import annotations

from collections.abc import Callable

from launcher.platform import Platform

Say = Callable[[str], None]


def scale(platform: Platform, service: str, count: int, say: Say) -> None:
    """Start or stop replicas, one at a time, until the service has `count` of them.

    Raises ValueError for fewer than one, and NotReadyError when a new replica does not become ready: it is stopped and
    the others keep running.
    """
    if count < 1:
        raise ValueError(f"{service} needs at least one replica")
    while len(platform.replicas(service)) < count:
        say(f"{platform.add_replica(service)} is ready and the gateway uses it")
    while len(platform.replicas(service)) > count:
        say(f"{platform.remove_replica(service)} has stopped")


def upgrade(platform: Platform, service: str, say: Say) -> None:
    """Migrate the database and restart every replica with the current code. Meanwhile one more replica runs.

    Raises NotReadyError when the migration fails or a new replica does not become ready: the others keep running.
    """
    platform.migrate(service)
    replicas = platform.replicas(service)
    say(f"{platform.add_replica(service)} is ready and the gateway uses it")
    for name in replicas:
        platform.restart(name)
        say(f"{name} has been replaced")
    say(f"{platform.remove_replica(service)} has stopped")
