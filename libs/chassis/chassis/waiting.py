"""Waiting inside a request for an event that is on its way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


Pause = Callable[[float], Awaitable[None]]


async def eventually(
    ask: Callable[[], Awaitable[T | None]], *, seconds: float = 2.0, pausing: Pause = asyncio.sleep
) -> T | None:
    """Ask again, at first after 50 ms and then less often, until there is an answer; None when time is up.

    `pausing` may return before the given seconds are over, when there is reason to ask at once.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.05
    while not (answer := await ask()):
        if asyncio.get_running_loop().time() + pause > deadline:
            return None
        await pausing(pause)
        pause = min(pause * 2, 0.2)
    return answer
