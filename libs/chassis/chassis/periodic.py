"""Functions that each replica calls at intervals. (The jobs of chassis.jobs run on one replica only.)"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def periodic(*functions: tuple[Work, float]) -> AsyncIterator[None]:
    """Call each function at once and then every so many seconds inside the block. A failure is logged."""
    tasks = [asyncio.create_task(_repeat(each, seconds)) for each, seconds in functions]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(work: Work, seconds: float) -> None:
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("periodic_call_failed", function=getattr(work, "__qualname__", ""), reason=repr(error))
        await asyncio.sleep(seconds)
