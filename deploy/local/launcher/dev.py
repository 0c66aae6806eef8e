"""Restarts one service of the running platform whenever its code changes: what `make dev` does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from watchfiles import PythonFilter, watch

from launcher import control
from launcher.scaling import Say
from launcher.settings import ROOT


def folders(service: str) -> tuple[Path, ...]:
    """Return the folders whose Python code the service runs."""
    return ROOT / "services" / service / service, ROOT / "libs/chassis/chassis", ROOT / "libs/contracts/contracts"


def restart_on_change(
    data: Path, service: str, watched: Iterable[Path], say: Say = print, stop: threading.Event | None = None
) -> int:
    """Upgrade the service after each change of a Python file in `watched`, until Ctrl-C. Returns the exit status.

    While the changed code does not start, the replica with the earlier code stays.
    """
    addresses: list[str] = []
    if (status := control.ask(data, "addresses", say=addresses.append)) != 0:
        return status
    if not any(address.startswith(f"{service}=") for address in addresses):
        print(f"usage: make dev SERVICE=booking; {service or 'nothing'} is not running here", file=sys.stderr)
        return 1
    say(f"{service} restarts when its code changes; Ctrl-C ends this.")
    for changes in watch(*watched, watch_filter=PythonFilter(), stop_event=stop, raise_interrupt=False):
        say(f"Changed: {', '.join(sorted({Path(path).name for _, path in changes}))}")
        control.ask(data, "upgrade", service, say=say)
    return 0
