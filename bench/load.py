"""Closed loop: each client starts its next task when the last one is done."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from bench import cpu
from bench.buyer import Buyer, Latencies, Pairs, buyers
from bench.client import Client, Refused
from bench.stage import PAIRS, SEATS, Stage

__all__ = ["Latencies", "crowd", "holds_alone", "idle", "metered", "race", "sagas"]


async def metered(stage: Stage, work: Callable[[], Awaitable[int]]) -> dict[str, Any]:
    """Return the cost of the work, until the platform is at rest again. `work` returns the number of tasks done."""
    before, outside = cpu.read(stage.platform), stage.outside()
    done = await work()
    seconds = time.perf_counter() - before.at
    await stage.at_rest()
    _, spent = before.until(cpu.read(stage.platform))
    each = {name: round(ms / done, 3) for name, ms in spent.items()}
    not_counted = {name: round((ms - outside[name]) / done, 3) for name, ms in stage.outside().items()}
    return {"done": done, "per_second": round(done / seconds, 1), "cpu_ms": round(sum(each.values()), 2), "cpu": each,
            "not_counted": not_counted}  # fmt: skip


async def idle(stage: Stage, seconds: float) -> dict[str, Any]:
    """Return the cost of the idle platform, in CPU milliseconds a second."""
    before = cpu.read(stage.platform)
    await asyncio.sleep(seconds)
    passed, spent = before.until(cpu.read(stage.platform))
    each = {name: round(ms / passed, 2) for name, ms in spent.items()}
    return {"cpu_ms_per_second": round(sum(each.values()), 1), "cpu": each}


async def sagas(stage: Stage, pairs: Pairs, clients: int, seconds: float) -> dict[str, Any]:
    """Make bookings up to their confirmation."""
    holds, whole = Latencies(), Latencies()

    async def buy(buyer: Buyer, until: float) -> None:
        while time.perf_counter() < until:
            steps = await buyer.book(*next(pairs))
            holds.append(steps.hold)
            whole.append(sum(steps))

    async def work() -> int:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(buy(buyer, until) for buyer in people))
        return len(whole)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "hold": holds.summary(), "hold_to_confirmed": whole.summary()}


async def holds_alone(stage: Stage, pairs: Pairs, clients: int, seconds: float) -> dict[str, Any]:
    """Make holds only."""
    latencies = Latencies()

    async def take(buyer: Buyer, until: float) -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await buyer.hold(*next(pairs))
            latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(take(buyer, until) for buyer in people))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "hold": latencies.summary()}


async def race(stage: Stage, clients: int, seats: int) -> dict[str, Any]:
    """Let all clients try to hold the same seats in the same order, each seat once."""
    (showtime_id,) = await stage.showtimes(1)
    outcomes: Counter[str] = Counter()
    winners: Counter[str] = Counter()
    latencies = Latencies()

    async def go_for_all(buyer: Buyer) -> None:
        for seat in SEATS[:seats]:
            began = time.perf_counter()
            outcomes[outcome := await _try(buyer, showtime_id, [seat])] += 1
            winners[seat] += outcome == "held"
            latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        await asyncio.gather(*(go_for_all(buyer) for buyer in people))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    each = sorted({winners[seat] for seat in SEATS[:seats]})
    return {"clients": clients, "seats": seats, **figures, "answer": latencies.summary(), "outcomes": dict(outcomes),
            "winners_per_seat": each}  # fmt: skip


async def crowd(stage: Stage, clients: int) -> dict[str, Any]:
    """Let this many people at once, each with their own connection, try to hold two of 400 seats."""
    (showtime_id,) = await stage.showtimes(1)
    latencies, outcomes = Latencies(), Counter[str]()

    async def go(number: int, gateway: Client) -> None:
        began = time.perf_counter()
        outcomes[await _try(Buyer(stage, gateway, gateway), showtime_id, list(PAIRS[number * 7 % len(PAIRS)]))] += 1
        latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        await asyncio.gather(*(go(number, client) for number, client in enumerate(people)))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(await Client.to(stage.platform.url)) for _ in range(clients)]
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "seconds": round(clients / figures["per_second"], 2),
            "answer": latencies.summary(), "outcomes": dict(outcomes)}  # fmt: skip


async def _try(buyer: Buyer, showtime_id: str, seats: list[str]) -> str:
    """Return `held` or the problem's code."""
    try:
        await buyer.hold(showtime_id, seats)
    except Refused as refusal:
        return refusal.problem["code"]
    return "held"
