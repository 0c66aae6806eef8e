"""End a process whose event loop hangs, so that its supervisor restarts it.

Such a process looks alive from outside: the kernel accepts its connections and its unacknowledged messages stay. The
loop cannot notice that it hangs, so a thread watches it.
"""

import os
import sys
import threading
import traceback
from types import FrameType
from typing import Self

import structlog

log = structlog.get_logger()
LIMIT_S = 15
"""How long the loop may hang, in ticks of the thread. A tick is a second."""
LOG_S = 1.0
EXIT_STATUS = 70
"""EX_SOFTWARE of sysexits.h."""


class Watchdog:
    """Watches the event loop of the thread that enters it. The loop must call `beat` at least once a second.

    It counts its own ticks instead of comparing times: while the whole process is suspended (SIGSTOP, a paused
    container, a sleeping machine), the thread is suspended too and does not misjudge the pause as a hang.
    """

    def __init__(self) -> None:
        self._beats = 0
        self._is_over = threading.Event()
        self._watched = 0

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()

    def beat(self) -> None:
        """Report that the loop runs."""
        self._beats += 1

    def _watch(self) -> None:
        seen, silent_ticks = self._beats, 0
        while not self._is_over.wait(1):
            silent_ticks = silent_ticks + 1 if self._beats == seen else 0
            seen = self._beats
            if silent_ticks >= LIMIT_S:
                self._end_process()

    def _end_process(self) -> None:
        # In another thread: if the loop hangs while it writes a log line, it may hold the lock on the output.
        frame = sys._current_frames().get(self._watched)
        report = threading.Thread(target=_report, args=(frame,), daemon=True)
        report.start()
        report.join(LOG_S)
        os._exit(EXIT_STATUS)


def _report(frame: FrameType | None) -> None:
    log.critical("event_loop_hangs", seconds=LIMIT_S, stack="".join(traceback.format_stack(frame)))
