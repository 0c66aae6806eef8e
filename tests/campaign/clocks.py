"""A replica whose clock is wrong: libfaketime between the process and the kernel."""

import asyncio
from pathlib import Path

from debian import unpack
from launcher.settings import RUNTIME
from progress import Progress

from campaign.arena import Arena

FOLDER = RUNTIME / "faketime"
LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
STARTING_S = 5.0
"""A replica whose clock is wrong starts and is never ready."""


async def set_clock(arena: Arena, name: str, offset: str) -> None:
    """Start the process anew with its clock off by `offset`, as in `+15m`. Its monotonic clock stays right."""
    library = await asyncio.to_thread(_library)
    environment = {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await arena.stop(name)
    await arena.start(name, environment=environment, wait=False)
    await asyncio.sleep(STARTING_S)


async def right_clock(arena: Arena, name: str) -> None:
    """Start the process anew with the machine's clock."""
    await arena.stop(name)
    await arena.start(name)


def _library() -> Path:
    """libfaketime, unpacked from Debian's package at first. Raises SetupError."""
    if not list(FOLDER.glob(LIBRARY)):
        unpack(Progress(RUNTIME / "faketime.log"), ["libfaketime"], FOLDER)
    return next(FOLDER.glob(LIBRARY))
