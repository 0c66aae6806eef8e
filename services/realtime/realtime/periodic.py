"""Functions that each replica calls at intervals. (Jobs in jobs.py run on one replica only.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from aio_pika.exceptions import AMQPError
from pymongo.errors import PyMongoError

log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def periodic(*functions: tuple[Work, float]) -> AsyncIterator[None]:
    """Call each function every so many seconds inside the block. A failure is logged, and the next call is made."""
    tasks = [asyncio.create_task(_repeat(each, seconds)) for each, seconds in functions]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(work: Work, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except (PyMongoError, AMQPError, OSError, TimeoutError) as failure:
            log.warning("periodic_call_failed", function=getattr(work, "__name__", ""), reason=repr(failure))
