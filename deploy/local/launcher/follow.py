"""Shows what the processes write to their log files, each line behind its process's coloured name."""

from __future__ import annotations

import datetime
import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

PAUSE_SECONDS = 0.1


@contextmanager
def followed(logs: Iterable[Path]) -> Iterator[None]:
    """Prints the lines that the files gain, until the block is left."""
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(list(logs), over), name="follow")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(logs: list[Path], over: threading.Event) -> None:
    printer = Printer(width=max(len(log.stem) for log in logs))
    colours = dict(zip((log.stem for log in logs), itertools.cycle(get_colours()), strict=False))
    files: dict[Path, IO[bytes]] = {}
    rest = dict.fromkeys(logs, b"")
    last_round = False
    while not last_round:
        last_round = over.wait(PAUSE_SECONDS)
        for log in logs:
            if log not in files and log.exists():
                files[log] = log.open("rb")
            if log in files:
                *lines, rest[log] = (rest[log] + files[log].read()).split(b"\n")
                for line in lines:
                    now = datetime.datetime.now().astimezone()
                    printer.write(Message("line", line, now, log.stem, colours[log.stem]))
    for file in files.values():
        file.close()
