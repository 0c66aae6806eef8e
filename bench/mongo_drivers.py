"""PyMongo's async API beside Motor on the operations of a hold: `python bench/mongo_drivers.py mongodb://...`

Needs `pip install motor` in a throw-away environment. Both drivers do the same work in turn, five rounds each; figures
are CPU milliseconds of the client process per operation, and the ratio Motor / PyMongo of each round's pair.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient  # pyright: ignore[reportMissingImports]
from pymongo import AsyncMongoClient, ReturnDocument

ROUNDS, OPERATIONS, CLIENTS = 5, 4000, 32


async def work(collection: Any) -> None:
    """Do a conditional find_one_and_update, then a read, as a hold does."""
    todo = iter(range(OPERATIONS))

    async def client() -> None:
        for n in todo:
            await collection.find_one_and_update(
                {"_id": n % 500, "taken.F7": {"$exists": False}},
                {"$set": {"taken.A1": {"by": "x" * 32}}, "$inc": {"version": 1}},
                projection={"version": 1},
                return_document=ReturnDocument.AFTER,
                upsert=True,
            )
            await collection.find_one({"_id": n % 500})

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def cpu_ms(run: Callable[[], Awaitable[None]]) -> float:
    """Return the CPU milliseconds of this process per operation."""
    before = time.process_time()
    await run()
    return (time.process_time() - before) * 1000 / OPERATIONS / 2


async def main(uri: str) -> None:
    """Measure both in turn and print."""
    pymongo_client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    motor_client = AsyncIOMotorClient(uri)
    pymongo_collection, motor_collection = pymongo_client.bench.drivers, motor_client.bench.drivers
    await work(pymongo_collection)
    pairs = [
        (await cpu_ms(lambda: work(pymongo_collection)), await cpu_ms(lambda: work(motor_collection)))
        for _ in range(ROUNDS)
    ]
    for name, figures in zip(("PyMongo async", "Motor"), zip(*pairs, strict=True), strict=True):
        print(f"{name:14} {statistics.median(figures):.3f} ms  ({min(figures):.3f} to {max(figures):.3f})")
    ratios = [motor / pymongo for pymongo, motor in pairs]
    print(f"Motor / PyMongo {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")
    await pymongo_client.drop_database("bench")
    await pymongo_client.close()
    motor_client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
