"""Functions that a replica calls at intervals."""

import asyncio

from pymongo.errors import AutoReconnect
from realtime.periodic import periodic


async def test_each_work_is_done_regularly_and_goes_on_after_a_failure():
    done, third, runs = asyncio.Event(), asyncio.Event(), 0

    async def other() -> None:
        done.set()

    async def frequent() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()
        raise AutoReconnect("MongoDB is away")

    async with asyncio.timeout(60), periodic((other, 0.02), (frequent, 0.01)):
        await done.wait()
        await third.wait()
    runs_so_far = runs
    await asyncio.sleep(0.05)
    assert runs == runs_so_far, "nothing goes on afterwards"
