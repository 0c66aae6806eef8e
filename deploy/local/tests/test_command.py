"""`make run` as a person uses it: wait for the addresses, open one, press Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from launcher.ports import free_ports, is_free
from launcher.processes import marked_processes
from launcher.settings import NO_LIMITS, ROOT


def launched(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the launcher."""
    command = [sys.executable, "-m", "launcher", *arguments]
    known = {**os.environ, **environment, "PYTHONPATH": "deploy/local"}
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)


def test_any_command_gets_the_local_platforms_environment():
    shown = launched("env", "sh", "-c", "echo $MONGO_URI; exit 3", MONGO_PORT="27999")
    assert shown.returncode == 3
    assert shown.stdout.endswith("@127.0.0.1:27999/?replicaSet=usher\n")
    for nonsense in ((), ("env",), ("run", "fast"), ("walk",)):
        refused = launched(*nonsense)
        assert (refused.returncode, refused.stderr[:6]) == (1, "usage:")


def test_run_prints_the_addresses_and_ctrl_c_leaves_nothing_behind(tmp_path: Path):
    ports = free_ports()
    given = {name: str(port) for name, port in ports.items()}
    environment = {**os.environ, **NO_LIMITS, **given, "USHER_DATA_DIR": str(tmp_path), "PYTHONPATH": "deploy/local"}
    command = [sys.executable, "-m", "launcher"]
    run = subprocess.Popen([*command, "run"], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE)
    assert run.stdout
    shown = ""
    for line in run.stdout:
        shown += line
        if line.startswith("Ctrl-C"):
            break
    assert f"http://127.0.0.1:{ports['GATEWAY_PORT']}/docs" in shown
    assert "customer@usher.example" in shown
    assert httpx.get(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/healthz", trust_env=False).is_success

    reset = subprocess.run([*command, "reset"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (reset.returncode, "make stop" in reset.stderr) == (1, True)

    run.send_signal(signal.SIGINT)
    shown, _ = run.communicate(timeout=60)
    assert (run.returncode, shown.splitlines()[-1]) == (0, "Everything has stopped.")
    assert marked_processes(tmp_path) == set()
    assert all(map(is_free, ports.values()))
