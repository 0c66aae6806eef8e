"""A service with one route, for tests that kill, suspend or block a whole process: `replica_of("echo", **ECHO)`.

`CLOCK_AHEAD_S` shifts the clock of the process.
"""

import os
from datetime import datetime, timedelta

from chassis import clock

if ahead := float(os.environ.get("CLOCK_AHEAD_S", "0")):
    right = clock.local

    def shifted() -> datetime:
        return right() + timedelta(seconds=ahead)

    clock.local = shifted
