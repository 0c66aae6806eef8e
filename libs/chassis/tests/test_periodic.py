"""Functions that a replica calls at intervals."""

import asyncio

from chassis.periodic import periodic
from pymongo.errors import AutoReconnect


async def test_each_function_is_called_regularly_also_after_a_failure():
    called, third, calls = asyncio.Event(), asyncio.Event(), 0

    async def other() -> None:
        called.set()

    async def frequent() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            third.set()
        raise AutoReconnect("MongoDB is away")

    before = asyncio.all_tasks()
    async with asyncio.timeout(60), periodic((other, 0.02), (frequent, 0.01)):
        await called.wait()
        await third.wait()
    assert asyncio.all_tasks() == before, "the calls end with the block"
