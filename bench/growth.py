"""Does a booking cost more when there are more showtimes and bookings? The same load on a growing database."""

import asyncio
import statistics
from collections.abc import Iterator
from itertools import islice
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from chassis.ids import new_id

from bench import cpu, load
from bench.stage import Stage

CLIENTS, SELLING, BATCH = 8, 10, 2000
OF_A_SHOWTIME = (
    ("inventory", "showtimes"),
    ("booking", "showtimes"),
    ("realtime", "showtimes"),
    ("catalog", "occupancies"),
)
OF_A_BOOKING = (
    ("booking", "bookings"),
    ("payment", "payments"),
    ("notifier", "messages"),
)


async def measure(stage: Stage, *, quick: bool) -> dict[str, Any]:
    """CPU milliseconds of one booking for each number of stored bookings, the median of several runs.

    `in_yardsticks` is the same in units of `cpu.yardstick`: only that can be compared over several minutes.
    """
    showtimes, bookings = ((10, 1000), (1000, 10_000)) if quick else ((10, 10_000), (1000, 100_000, 1_000_000))
    seconds, runs = (3.0, 1) if quick else (4.0, 3)
    rows = {"showtimes": showtimes, "bookings": bookings}
    kept = {"showtimes": OF_A_SHOWTIME, "bookings": OF_A_BOOKING}
    result: dict[str, Any] = {}
    for kind, sizes in rows.items():
        result[kind] = []
        for size in sizes:
            await asyncio.gather(*(_grow(stage, service, collection, size) for service, collection in kept[kind]))
            await stage.mongo.admin.command("fsync")
            costs, sticks = zip(*[await _cost(stage, seconds) for _ in range(runs)], strict=True)
            relative = statistics.median(cost / stick for cost, stick in zip(costs, sticks, strict=True))
            result[kind].append(
                {"stock": size, "cpu_ms": statistics.median(costs), "in_yardsticks": round(relative, 2), "runs": costs}
            )
    return result


async def _cost(stage: Stage, seconds: float) -> tuple[float, float]:
    before = cpu.yardstick()
    cost = (await load.sagas(stage, await stage.pairs(SELLING), CLIENTS, seconds))["cpu_ms"]
    return cost, (before + cpu.yardstick()) / 2


async def _grow(stage: Stage, service: str, name: str, size: int) -> None:
    """Insert copies of a document that a service wrote, with new ids, until there are `size` of them."""
    collection = stage.mongo[f"usher_{service}"][name]
    present = await collection.estimated_document_count()
    pattern = await collection.find_one(sort={"_id": -1})
    assert pattern is not None  # noqa: S101 - sagas ran before
    copies = _copies(pattern, present, size)
    while batch := list(islice(copies, BATCH)):
        await collection.insert_many(batch, ordered=False)


def _copies(pattern: dict[str, Any], present: int, size: int) -> Iterator[RawBSONDocument]:
    """Copy the bytes with other unique texts of the same length, which is faster than encoding each copy."""
    unique = [str(pattern[name]) for name in ("_id", "key", "reference", "intent_id") if pattern.get(name)]
    text = bson.encode(pattern)
    for number in range(present, size):
        copy = text
        for each in unique:
            copy = copy.replace(each.encode(), _another(number, len(each)).encode())
        yield RawBSONDocument(copy)


def _another(number: int, length: int) -> str:
    """Return a text that no document has: digits where an id does not fit."""
    return f"{number:0{length}}" if length < 32 else new_id().ljust(length, "x")
