"""Makes the gateway reload its configuration."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from launcher.health import NotReadyError
from launcher.processes import session_members

RELOAD_SECONDS = 30.0
FINISH_SECONDS = 5.0
"""How long earlier workers have for the requests that they accepted. Those with an open WebSocket live for longer."""
PAUSE_SECONDS = 0.02
WORKER = b"nginx: worker process"
"""The title of a worker that accepts connections; nginx changes it when the worker shuts down."""


def reload(master: int, log: Path) -> None:
    """Return when workers with the earlier configuration have answered their requests. Raises NotReadyError.

    Such a worker knows only the earlier replicas: it could not repeat a request at a new one.
    """
    earlier, began, pause = _accepting(master), time.monotonic(), threading.Event()
    os.kill(master, signal.SIGHUP)
    while not (now := _accepting(master)) or now & earlier:
        if time.monotonic() - began > RELOAD_SECONDS:
            raise NotReadyError("gateway", f"the gateway keeps its earlier configuration; its log: {log}")
        pause.wait(PAUSE_SECONDS)
    began = time.monotonic()
    while session_members({master}) & earlier and time.monotonic() - began < FINISH_SECONDS:
        pause.wait(PAUSE_SECONDS)


def _accepting(master: int) -> set[int]:
    """Return the ids of nginx's workers that accept connections."""
    return {pid for pid in session_members({master}) if _title(pid) == WORKER}


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ")
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return b""
