"""Shows the processes' log files, each line after its process's colored name."""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

PAUSE_SECONDS = 0.1
SPAN = b'{"name": "'
"""The start of a span that OTEL_TRACES_EXPORTER=console writes between the log lines. Spans are for `make trace`."""


@contextmanager
def followed(logs: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """Print new lines of the files inside the block. `logs` may return more files later."""
    over = threading.Event()
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}

        def current() -> dict[str, IO[bytes]]:
            for log in logs():
                if log.stem not in files:
                    files[log.stem] = stack.enter_context(log.open("rb"))
                    files[log.stem].seek(0, os.SEEK_END)
            return files

        current()
        thread = threading.Thread(target=_follow, args=(current, over), name="follow")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _follow(current: Callable[[], dict[str, IO[bytes]]], over: threading.Event) -> None:
    printer = Printer(width=max(map(len, current())))
    next_colours = get_colours()
    colours: dict[str, str] = {}
    rest: dict[str, bytes] = {}
    last_round = False
    while not last_round:
        last_round = over.wait(PAUSE_SECONDS)
        for name, file in current().items():
            if name not in colours:
                colours[name] = next(next_colours)
            *lines, rest[name] = (rest.get(name, b"") + file.read()).split(b"\n")
            for line in lines:
                if line.startswith(SPAN):
                    continue
                now = datetime.datetime.now().astimezone()
                printer.write(Message("line", line, now, name, colours[name]))
