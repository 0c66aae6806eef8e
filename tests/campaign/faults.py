"""The faults as data: what happens to which platform, for how long, and how it is undone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from launcher.ports import SERVICES

from campaign.arena import Arena, Shape
from campaign.clocks import right_clock, set_clock
from campaign.mongos import Mongos

Act = Callable[[Arena], Awaitable[None]]
PAUSED_S = 10.0
STRIPE_S = 6.0
CLOCK_S = 8.0
BRIEF, LONG = 10, 20
"""Deadlines of holds and payments, in seconds: for short faults and for long ones."""


@dataclass(frozen=True)
class Fault:
    """`heal` undoes `inject` after `lasts_s` and returns when the affected process is back. `is_outage`: meanwhile the
    only replica of something that customers need is down, so their requests may fail. `is_last`: the platform has
    changed afterwards, so the next fault gets another one.
    """

    name: str
    inject: Act
    heal: Act
    lasts_s: float
    shape: Shape
    is_outage: bool = False
    is_last: bool = False


class Way(NamedTuple):
    """A way in which a process fails."""

    inject: Callable[[Arena, str], Awaitable[None]]
    heal: Callable[[Arena, str], Awaitable[None]]
    lasts_s: float
    deadline_s: int


WAYS = {
    "killed": Way(Arena.kill, Arena.start, 1, BRIEF),
    "terminated": Way(Arena.stop, Arena.start, 0, BRIEF),
    "paused": Way(Arena.pause, Arena.resume, PAUSED_S, LONG),
}
# The sandbox stores Stripe's data in memory only, so it is never ended.
SERVERS = {
    "mongo": ("killed", "terminated", "paused"),
    "rabbitmq": ("killed", "terminated", "paused"),
    "gateway": ("killed", "terminated", "paused"),
    "mailbox": ("killed", "paused"),
    "stripe": ("paused",),
}
STRIPE: dict[str, dict[str, Any]] = {
    "500 to a quarter of the calls": {"kind": "api_error", "status": 500, "share": 0.25},
    "503 to a quarter of the calls": {"kind": "api_error", "status": 503, "share": 0.25},
    "503 to every call": {"kind": "api_error", "status": 503},
    "500 after the effect": {"kind": "api_error", "status": 500, "after": True},
    "503 after the effect": {"kind": "api_error", "status": 503, "after": True},
    "answers after 3 s": {"kind": "api_delay", "seconds": 3},
    "answers after 8 s, too late": {"kind": "api_delay", "seconds": 8, "after": True},
    "webhooks come twice": {"kind": "webhook_repeat", "times": 2},
    "webhooks come 3 s late": {"kind": "webhook_delay", "seconds": 3},
    "webhooks come in reverse": {"kind": "webhook_reorder", "seconds": 1.5},
    "webhooks are lost": {"kind": "webhook_drop"},
    "payments stay in processing 3 s": {"kind": "processing", "seconds": 3},
}

CLOCKS = {"inventory": "+15m", "booking": "-15m", "payment": "+15m"}
QUICK = {
    *("inventory killed", "booking terminated", "payment paused", "mongo killed", "rabbitmq paused", "gateway killed"),
    *("all services restarted in turn", "Stripe: 500 to a quarter of the calls", "Stripe: webhooks are lost"),
}
"""One fault of each kind."""


def every_fault() -> list[Fault]:
    """All faults in the table's order: consecutive faults with the same shape share a platform."""
    return [
        *_processes(SERVICES, 1),
        *_servers(),
        *_processes(SERVICES, 2),
        *(_rolling_restart(replicas) for replicas in (1, 2)),
        *_clocks(),
        NEXT_RELEASE,
        *_stripe(),
        *_mongo_set(),
        FULL_DISK,
    ]


def _process(name: str, way: str, replicas: int) -> Fault:
    inject, heal, lasts_s, deadline_s = WAYS[way]
    return Fault(
        f"{name} {way}",
        inject=lambda arena: inject(arena, name),
        heal=lambda arena: heal(arena, name),
        lasts_s=lasts_s,
        shape=Shape(replicas, deadline_s),
        is_outage=replicas == 1,
    )


def _processes(names: tuple[str, ...], replicas: int) -> list[Fault]:
    return [_process(name, way, replicas) for name in names for way in WAYS]


def _servers() -> list[Fault]:
    return [_process(name, way, 1) for name, ways in SERVERS.items() for way in ways]


def _rolling_restart(replicas: int) -> Fault:
    async def restart(arena: Arena) -> None:
        for name in arena.platform.names:
            if name.partition(".")[0] in SERVICES:
                await arena.stop(name)
                await arena.start(name)

    shape = Shape(replicas, LONG)
    return Fault("all services restarted in turn", restart, _nothing, 0, shape, is_outage=replicas == 1)


async def _nothing(_: Arena) -> None:
    """Do nothing: the fault ends without healing."""


async def _upgrade(arena: Arena, replica: str) -> None:
    """Replace one replica of each service by one of the next release, as tests/upgrades does."""
    for service in SERVICES:
        await arena.upgrade(f"{service}{replica}")


NEXT_RELEASE = Fault(
    "the next release beside this one",
    inject=partial(_upgrade, replica=".2"),
    heal=partial(_upgrade, replica=""),
    lasts_s=PAUSED_S,
    shape=Shape(2, LONG),
    is_last=True,
)


def _clocks() -> list[Fault]:
    """Give the second of two replicas a wrong clock."""
    return [
        Fault(
            f"{service}'s clock off by {offset}",
            inject=partial(set_clock, name=f"{service}.2", offset=offset),
            heal=partial(right_clock, name=f"{service}.2"),
            lasts_s=CLOCK_S,
            shape=Shape(2, LONG),
        )
        for service, offset in CLOCKS.items()
    ]


def _stripe() -> list[Fault]:
    return [
        Fault(
            f"Stripe: {name}",
            inject=partial(_ask_for, fields=fields),
            heal=_take_back,
            lasts_s=STRIPE_S,
            shape=Shape(1, LONG),
            is_outage="share" not in fields and (fields["kind"] == "api_error" or fields.get("seconds", 0) > 5),
        )
        for name, fields in STRIPE.items()
    ]


async def _ask_for(arena: Arena, fields: dict[str, Any]) -> None:
    await arena.cinema.stripe("POST", "/_sandbox/faults", json={"count": None} | fields)


async def _take_back(arena: Arena) -> None:
    await arena.cinema.stripe("DELETE", "/_sandbox/faults")


def _mongo_set() -> list[Fault]:
    """Stop the primary of three servers. Until the others have elected a new one, MongoDB is down."""
    return [
        Fault(
            f"the primary of three MongoDBs {way}",
            partial(_hit_primary, hit=hit),
            _mend_primary,
            PAUSED_S,
            Shape(1, LONG, "three"),
            is_outage=True,
        )
        for way, hit in (("killed", Mongos.kill), ("paused", Mongos.pause))
    ]


async def _hit_primary(arena: Arena, hit: Callable[[Mongos, str], None]) -> None:
    """Return when another server is primary."""
    servers = arena.servers()
    primary = await servers.primary()
    hit(servers, primary)
    arena.hit = primary
    await servers.primary()


async def _mend_primary(arena: Arena) -> None:
    arena.servers().mend(arena.hit)


async def _fill_disk(arena: Arena) -> None:
    await asyncio.to_thread(arena.servers().fill_disk)


async def _empty_disk(arena: Arena) -> None:
    """MongoDB exits when it cannot write."""
    servers = arena.servers()
    servers.empty_disk()
    servers.restart_exited()
    await servers.primary()


FULL_DISK = Fault(
    "MongoDB's disk full", _fill_disk, _empty_disk, PAUSED_S, Shape(1, LONG, "on a small disk"), is_outage=True
)
