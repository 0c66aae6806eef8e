"""Open loop: customers arrive at random times, however long others take, as in reality.

A latency starts at the time at which its customer should have arrived, so it includes delays of the generator and of
missing connections. (Schroeder, Wierman, Harchol-Balter, Open versus closed, 2006.)
"""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import accumulate, count, takewhile
from typing import Any

from bench.buyer import Buyer, Latencies, Pairs
from bench.client import Refused
from bench.load import metered
from bench.stage import Stage

SEED = 7
MOST_AT_ONCE = 1000


def moments(rate: float, seconds: float) -> list[float]:
    """Return the arrival times of a Poisson process, in seconds from its start; the same ones in each run."""
    chance = random.Random(SEED)  # noqa: S311 - guards nothing
    gaps = (chance.expovariate(rate) for _ in count())
    return list(takewhile(lambda moment: moment < seconds, accumulate(gaps)))


async def bookings(stage: Stage, pairs: Pairs, rate: float, seconds: float) -> dict[str, Any]:
    """Start `rate` bookings a second. At most MOST_AT_ONCE run at once; the others wait.

    A failed booking, as on a platform that cannot keep up, is counted and has no latency.
    """
    holds, whole, started_late = Latencies(), Latencies(), Latencies()
    places, resting = asyncio.Semaphore(MOST_AT_ONCE), list[Buyer]()
    failed: Counter[str] = Counter()

    async def buy(due: float) -> None:
        async with places:
            buyer = resting.pop() if resting else await Buyer.arrive(stage, stack)
            late = (time.perf_counter() - due) * 1000
            try:
                steps = await buyer.book(*next(pairs))
            except (Refused, TimeoutError) as error:
                failed[error.problem["code"] if isinstance(error, Refused) else "not confirmed"] += 1
                return
            finally:
                resting.append(buyer)
        started_late.append(late)
        holds.append(late + steps.hold)
        whole.append(late + sum(steps))

    async def work() -> int:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for moment in moments(rate, seconds):
                await asyncio.sleep(max(0.0, began + moment - time.perf_counter()))
                group.create_task(buy(began + moment))
        return len(whole)

    async with AsyncExitStack() as stack:
        figures = await metered(stage, work)
    return {
        "rate": rate,
        **figures,
        "failed": dict(failed),
        "customers": len(resting),
        "started_late": started_late.summary(),
        "hold": holds.summary(),
        "hold_to_confirmed": whole.summary(),
    }
