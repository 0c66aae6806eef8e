"""A replica with a wrong clock: libfaketime between the process and the kernel."""

import asyncio
from pathlib import Path

from debian import unpack
from launcher.settings import RUNTIME
from progress import Progress

from campaign.arena import Arena

FOLDER = RUNTIME / "faketime"
LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
STARTING_S = 5.0
"""A replica with a wrong clock starts and never becomes ready."""


async def set_clock(arena: Arena, name: str, offset: str) -> None:
    """Restart the process with a clock that is wrong by `offset`, e.g. `+15m`. Its monotonic clock stays right."""
    library = await asyncio.to_thread(_library)
    environment = {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await arena.stop(name)
    await arena.start(name, environment=environment, wait=False)
    await asyncio.sleep(STARTING_S)


async def right_clock(arena: Arena, name: str) -> None:
    """Restart the process with the machine's clock."""
    await arena.stop(name)
    await arena.start(name)


def _library() -> Path:
    """Return libfaketime's path; the first call unpacks Debian's package. Raises SetupError."""
    if not list(FOLDER.glob(LIBRARY)):
        unpack(Progress(RUNTIME / "faketime.log"), ["libfaketime"], FOLDER)
    return next(FOLDER.glob(LIBRARY))
