"""python -m bench.after_sale: measure what happens to sold tickets beside a plain sale."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from contracts.catalog import ShowtimeCancelled
from launcher.platform import Platform

from bench import load, report, sink
from bench.buyer import Buyer, Latencies, Pairs, buyers
from bench.client import Json
from bench.sink import Sink
from bench.stage import SEATS, Stage, platform_with, set_up

CLIENTS, EACH = 32, 400
SELLERS, SALE_S, CASCADE_S, MOST_S = 8, 15.0, 45.0, 60.0
Act = Callable[[Buyer, Json], Awaitable[float]]


async def sold(stage: Stage, tickets: list[tuple[str, list[str]]]) -> list[Json]:
    """Sell these tickets. Returns the holds."""
    left, holds = iter(tickets), list[Json]()

    async def buy(buyer: Buyer) -> None:
        for showtime_id, seats in left:
            hold, _ = await buyer.buy(showtime_id, seats)
            holds.append(hold)

    async with AsyncExitStack() as stack:
        await asyncio.gather(*(buy(buyer) for buyer in await buyers(stage, CLIENTS, stack)))
    await stage.at_rest()
    return holds


async def each_of(stage: Stage, holds: list[Json], act: Act) -> dict[str, Any]:
    """Cancel or exchange each booking, 32 at once."""
    latencies, left = Latencies(), iter(holds)

    async def change(buyer: Buyer) -> None:
        for hold in left:
            latencies.append(await act(buyer, hold))

    async def work() -> int:
        await asyncio.gather(*(change(buyer) for buyer in people))
        await ended(stage, [hold["hold_id"] for hold in holds])
        return len(holds)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, CLIENTS, stack)
        figures = await load.metered(stage, work)
    return {**figures, "answer": latencies.summary()}


async def ended(stage: Stage, booking_ids: list[str]) -> None:
    """Return when all bookings are refunded or exchanged. Raises TimeoutError."""
    where = {"_id": {"$in": booking_ids}, "state": {"$in": ["refunded", "exchanged"]}}
    async with asyncio.timeout(MOST_S):
        while await stage.mongo.usher_booking.bookings.count_documents(where) < len(booking_ids):
            await asyncio.sleep(0.1)


async def cascade(stage: Stage, pairs: Pairs) -> dict[str, Any]:
    """Cancel a showtime with 400 bookings while other people buy."""
    (showtime_id,) = await stage.showtimes(1)
    holds = await sold(stage, [(showtime_id, [seat]) for seat in SEATS])
    before = await load.sagas(stage, pairs, SELLERS, SALE_S)
    sale = asyncio.create_task(load.sagas(stage, pairs, SELLERS, CASCADE_S))
    await asyncio.sleep(1)
    began = time.perf_counter()
    await stage.say(ShowtimeCancelled(showtime_id=showtime_id, reason="technical"))
    await ended(stage, [hold["hold_id"] for hold in holds])
    seconds = time.perf_counter() - began
    return {"bookings": len(holds), "seconds": round(seconds, 1), "sale_before": before, "sale_meanwhile": await sale}


async def measure(platform: Platform, mail: Sink) -> dict[str, Any]:
    """Measure everything on one replica of each service."""
    async with set_up(platform, mail) as stage:
        await load.sagas(stage, await stage.pairs(10), CLIENTS, 3)  # to warm up
        pairs = await stage.pairs(40)
        sale = await load.sagas(stage, pairs, CLIENTS, 10)
        changes: dict[str, Act] = {
            "cancellation": Buyer.cancel,
            "exchange": lambda buyer, hold: buyer.exchange(hold, *next(pairs)),
        }
        result: dict[str, Any] = {"sale": sale}
        for name, act in changes.items():
            tickets = [next(pairs) for _ in range(EACH)]
            result[name] = await each_of(stage, await sold(stage, tickets), act)
        return result | {"cascade": await cascade(stage, pairs)}


def markdown(result: dict[str, Any]) -> str:
    """Format the result as tables."""
    sale, spread = result["sale"], result["cascade"]
    rows = [["plain sale, two seats", sale["per_second"], sale["cpu_ms"], "1", sale["hold_to_confirmed"]["p99_ms"]]]
    for name in ("cancellation", "exchange"):
        figures = result[name]
        ratio = round(figures["cpu_ms"] / sale["cpu_ms"], 2)
        rows.append([name, figures["per_second"], figures["cpu_ms"], ratio, figures["answer"]["p99_ms"]])
    head = [f"{CLIENTS} clients", "a second", "CPU-ms each", "to a sale", "p99 ms"]
    p99 = [spread[name]["hold_to_confirmed"]["p99_ms"] for name in ("sale_before", "sale_meanwhile")]
    return (
        f"# After the sale\n\nCommit {result['commit']}, {result['at']}, {result['machine']}; load of the machine"
        f" before it began: {result['load_before']}.\nCosts are counted until all money is refunded, all mails are"
        f" accepted and all events are handled.\n\n{report.table(head, rows)}\n\nA cancelled showtime with"
        f" {spread['bookings']} bookings: all refunded after **{spread['seconds']} s** (aim: 60). p99 of the sale"
        f" beside it ({SELLERS} clients): {p99[0]} ms before, {p99[1]} ms meanwhile,"
        f" **× {p99[1] / p99[0]:.2f}** (aim: 2).\n"
    )


def main() -> None:
    """Parse the command line and run."""
    began = report.Circumstances.now()
    with sink.running() as mail, platform_with(mail) as platform:
        result = {**vars(began), **uvloop.run(measure(platform, mail))}
    print(text := markdown(result))
    (report.RESULTS / "after_sale.json").write_text(json.dumps(result, indent=1) + "\n")
    (report.RESULTS / "after_sale.md").write_text(text)


if __name__ == "__main__":
    main()
