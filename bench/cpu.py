"""CPU time of the platform's processes, from /proc: user and system together."""

import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from launcher.platform import Platform

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
NOT_COUNTED = frozenset({"stripe", "mailbox"})
"""These processes stand in for computers of other companies."""


@dataclass(frozen=True)
class Reading:
    """CPU milliseconds of each process since its start, with the time of the reading in seconds."""

    at: float
    spent: dict[str, float]

    def until(self, later: "Reading") -> tuple[float, dict[str, float]]:
        """Seconds and CPU milliseconds of each process between two readings."""
        return later.at - self.at, {name: later.spent[name] - spent for name, spent in self.spent.items()}


def read(platform: Platform) -> Reading:
    """Return the running processes of the platform that count, with their children."""
    running = [name for name in platform.names if name not in NOT_COUNTED]
    return Reading(time.perf_counter(), {name: sum(map(spent, platform.pids(name))) for name in running})


def yardstick() -> float:
    """Return the CPU milliseconds of a fixed computation, which shows the machine's speed at this moment.

    Other users of the same host change it from minute to minute.
    """
    text = {str(number): [number, number / 7] for number in range(2000)}
    tries: list[float] = []
    for _ in range(20):
        began = time.process_time()
        json.loads(json.dumps(text, indent=1))
        tries.append((time.process_time() - began) * 1000)
    return statistics.median(tries)


def spent(pid: int) -> float:
    """Return the CPU milliseconds of a process since its start."""
    # After the name in parentheses, user time is the 12th field and system time the 13th (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_MS
