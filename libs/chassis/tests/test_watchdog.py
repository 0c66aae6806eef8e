"""A process whose loop hangs is ended; one that was suspended as a whole continues."""

import asyncio
import json
import signal
from pathlib import Path
from subprocess import PIPE

import httpx
import pytest
from chassis.observability import watchdog
from chassis.testing import replica_of

LIMIT_S = 2
HERE = {"PYTHONPATH": str(Path(__file__).parent), "WATCHDOG_S": str(LIMIT_S)}


async def test_a_process_whose_loop_hangs_logs_the_place_and_ends(service_env: None):
    async with replica_of("echo", "/readyz", PIPE, **HERE) as (process, http):
        with pytest.raises(httpx.TransportError):
            await http.post("/api/block", params={"seconds": 120})
        output, _ = await process.communicate()
    assert process.returncode == watchdog.EXIT_STATUS
    [line] = [line for line in map(json.loads, output.splitlines()) if line["event"] == "event_loop_hangs"]
    assert (line["service"], line["level"], line["seconds"]) == ("echo", "critical", LIMIT_S)
    assert "time.sleep(seconds)" in line["stack"]


async def test_a_process_that_was_suspended_continues(service_env: None):
    async with replica_of("echo", **HERE) as (process, http):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3 * LIMIT_S)
        process.send_signal(signal.SIGCONT)
        # It would be ended at the next tick.
        await http.post("/api/block", params={"seconds": 0.5})
        await asyncio.sleep(1.5)
        assert (await http.get("/healthz")).is_success
        assert process.returncode is None
