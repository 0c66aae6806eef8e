"""Is a step slower when its service has two replicas? The same low load on one and two replicas, in turn.

The machine's speed changes from minute to minute, so each round compares its own figures. It measures one replica of
everything first and last: together they are the reference, and their difference is noise.
"""

import asyncio
import statistics
import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any

from launcher.platform import Platform
from launcher.ports import SERVICES

from bench.buyer import Latencies, Pairs, Steps, buyers
from bench.sink import Sink
from bench.stage import Stage, set_up

TWO_OF_EACH = {f"{service.upper()}_REPLICAS": "2" for service in SERVICES}
ONE, AGAIN = "one of each", "one of each again"
CASES: dict[str, Collection[str]] = {
    ONE: (),
    "two of inventory": ("inventory",),
    "two of booking": ("booking",),
    "two of payment": ("payment",),
    "two of each": SERVICES,
    AGAIN: (),
}
QUICK = (ONE, "two of each", AGAIN)
CLIENTS = (1, 8)
SHOWTIMES = 24
"""Few, so that a warm replica has all of them in its caches."""
WARM_UP_S = 1.0
Round = dict[str, list[Steps]]
"""Return the steps of all bookings, by case."""


async def measure(platform: Platform, mail: Sink, *, quick: bool) -> dict[str, Any]:
    """Latencies by number of clients, case and step, on a platform with two replicas of each service."""
    cases = QUICK if quick else tuple(CASES)
    rounds, seconds = (1, 1.5) if quick else (2, 2.5)
    found: dict[int, list[Round]] = {clients: [] for clients in CLIENTS}
    async with set_up(platform, mail) as stage:
        pairs = await stage.pairs(SHOWTIMES)
        await _bookings(stage, pairs, max(CLIENTS), 3 * WARM_UP_S)
        for _ in range(rounds):
            for clients in CLIENTS:
                found[clients].append({})
            for case in cases:
                await _run_twice(platform, CASES[case])
                await _bookings(stage, pairs, max(CLIENTS), WARM_UP_S)
                for clients in CLIENTS:
                    found[clients][-1][case] = await _bookings(stage, pairs, clients, seconds)
    return {str(clients): {case: _steps(case, rounds) for case in cases} for clients, rounds in found.items()}


async def _run_twice(platform: Platform, services: Collection[str]) -> None:
    """Run two replicas of these services and one of each other. The gateway avoids a stopped replica."""
    second = {f"{service}.2": service in services for service in SERVICES}
    running = {name for name in second if platform.pids(name)}
    for name in [name for name in running if not second[name]]:
        await asyncio.to_thread(platform.stop, name)
    if new := [name for name, wanted in second.items() if wanted and name not in running]:
        for name in new:
            platform.start(name, wait=False)
        await asyncio.to_thread(platform.wait_ready, *new)


async def _bookings(stage: Stage, pairs: Pairs, clients: int, seconds: float) -> list[Steps]:
    found: list[Steps] = []
    until = time.perf_counter() + seconds
    async with AsyncExitStack() as stack:

        async def buy(number: int) -> None:
            while time.perf_counter() < until:
                found.append(await people[number].book(*next(pairs)))

        people = await buyers(stage, clients, stack)
        await asyncio.gather(*map(buy, range(clients)))
    await stage.mailed()
    return found


def _steps(case: str, rounds: list[Round]) -> dict[str, dict[str, float]]:
    """Return each step's latencies in all rounds, and the ratio of its median to that of one replica."""
    result: dict[str, dict[str, float]] = {}
    for place, step in enumerate(Steps._fields):
        ratios = [
            statistics.median(each[place] for each in found[case])
            / statistics.median(each[place] for each in found[ONE] + found[AGAIN])
            for found in rounds
        ]
        result[step] = {
            **Latencies(each[place] for found in rounds for each in found[case]).summary(),
            "to_one": round(statistics.median(ratios), 3),
        }
    return result
