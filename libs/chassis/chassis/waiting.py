"""Waiting inside a request for an event that is on its way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T | None]], *, seconds: float = 2.0) -> T | None:
    """Ask again, at first every 10 ms and then less often, until there is an answer; None when time is up."""
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.01
    while not (answer := await ask()):
        if asyncio.get_running_loop().time() + pause > deadline:
            return None
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.2)
    return answer
