"""Work that every instance does for itself, again and again, while it runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from aio_pika.exceptions import AMQPError
from pymongo.errors import PyMongoError

log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def kept_up(*work: tuple[Work, float]) -> AsyncIterator[None]:
    """Inside the block each work is done every so many seconds; one that fails, at its next time."""
    tasks = [asyncio.create_task(_repeat(each, seconds)) for each, seconds in work]
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
            log.warning("upkeep_failed", work=getattr(work, "__name__", ""), reason=repr(failure))
