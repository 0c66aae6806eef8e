"""A service of one route, for tests that end, stop or block a whole process: `replica_of("echo", **ECHO)`.

`CLOCK_AHEAD_S` shifts the process's clock at its one place, before anything else has imported it.
"""

import os
from datetime import datetime, timedelta

from chassis import clock

if ahead := float(os.environ.get("CLOCK_AHEAD_S", "0")):
    right = clock.now

    def shifted() -> datetime:
        return right() + timedelta(seconds=ahead)

    clock.now = shifted
