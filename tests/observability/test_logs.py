"""Each process writes JSON lines with time, level, logger and message."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from chassis.testing import until
from cinema import Cinema
from launcher.platform import Platform
from launcher.ports import free_ports
from launcher.settings import ROOT, platform_environment

from .test_metrics import QUERIES, RULES

FIELDS = {
    "mongo": {"t", "s", "c", "msg"},
    "rabbitmq": {"time", "level", "msg"},
}
"""The two servers name their fields themselves."""
OURS = {"timestamp", "level", "service", "event"}
SILENT = {"mailbox"}
"""maildev has no log of its own; it stands for the mail server only on a developer's machine."""
FAULTS = """
import asyncio, gc, threading, warnings
from chassis.observability.telemetry import configure_logging
configure_logging("broken", "INFO")
class Unraisable:
    def __del__(self): raise ValueError("unraisable")
async def forgotten():
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    del task
async def fail(): raise ValueError("never retrieved")
warnings.warn("deprecated")
Unraisable()
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
asyncio.run(forgotten())
gc.collect()
1 / 0
"""


def lines(log: Path) -> list[dict[str, Any]]:
    """Return the complete lines. Raises ValueError for a line that is not JSON."""
    return [json.loads(line) for line in log.read_text().rpartition("\n")[0].splitlines()]


async def test_every_line_of_every_process_is_json(cinema: Cinema):
    await cinema.http.get(f"{cinema.platform.url}/api/movies")
    logs = cinema.platform.logs_dir
    await until(lambda: asyncio.to_thread((logs / "gateway.log").read_text))
    assert {log.stem for log in logs.glob("*.log")} >= set(cinema.platform.names)
    for log in logs.glob("*.log"):
        found = lines(log)
        assert bool(found) != (log.stem in SILENT), log.stem
        wanted = FIELDS.get(log.stem, OURS)
        assert [line for line in found if not wanted <= line.keys()] == [], log.stem


async def test_the_gateways_errors_are_json_without_query_strings():
    async with Platform(only={"gateway"}) as platform, httpx.AsyncClient(base_url=platform.url) as http:
        answer = await http.get("/api/users/me", params={"token": 'sec"ret'}, headers={"Referer": "/?secret"})
        assert answer.status_code == 502
        log = platform.log("gateway")

        async def logged() -> dict[str, Any]:
            return next((line for line in lines(log) if line["event"] == "request"), {})

        request = await until(logged)
        assert (request["target"], request["status"], request["path"]) == ("identity", 502, "/api/users/me")
        errors = [line for line in lines(log) if line["level"] == "error"]
        assert any("connect() failed" in line["event"] and '"GET /api/users/me"' in line["event"] for line in errors)
        assert all(line.keys() >= OURS for line in errors)
        assert "sec" not in re.sub(r'"(upstream_)?seconds"', "", log.read_text())


def test_what_python_says_of_faults_is_json():
    done = subprocess.run([sys.executable, "-W", "always", "-c", FAULTS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line.keys() >= OURS for line in said)
    events = " ".join(line["event"] for line in said)
    assert re.search(
        "UserWarning: deprecated.*exception_ignored thread_crashed .*never retrieved.*process_crashed",
        events,
        re.DOTALL,
    )
    assert said[-1]["level"] == "critical"
    assert "ZeroDivisionError" in said[-1]["exception"]


@pytest.mark.parametrize(
    ("service", "environment"), [("identity", {"LOG_LEVEL": "shout"}), ("no_such_service", {}), ("stripe_sandbox", {})]
)
def test_a_crash_before_the_service_runs_is_json(service: str, environment: dict[str, str], tmp_path: Path):
    env = platform_environment(free_ports(), tmp_path, environment)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "chassis.serve", service, "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr == ""
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line.keys() >= OURS for line in said)
    assert any(line["level"] in {"critical", "error"} for line in said)


INCIDENTS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/runbooks/alerts.md").read_text().split("\n## ")[1].splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| incident"))
]
SOURCES = "\n".join(
    file.read_text()
    for folder in ("libs/chassis/chassis", *(f"services/{path.name}/{path.name}" for path in ROOT.glob("services/*")))
    for file in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("row", INCIDENTS, ids=lambda row: row[0])
def test_an_incident_is_explained_by_what_there_is(row: list[str]):
    _, alerts, metrics, log = row
    expressions = {rule["alert"]: rule["expr"] for rule in RULES}
    assert set(alerts.split(", ")) <= expressions.keys()
    named = re.findall(r"`(\w+)`", metrics)
    assert named
    assert all(any(re.search(rf"\b{metric}", query) for query in QUERIES.values()) for metric in named)
    assert any(metric in expressions[alert] for alert in alerts.split(", ") for metric in named)
    events = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", log))
    assert {event for event in events if f'"{event}"' not in SOURCES} == set()


def test_each_page_belongs_to_a_kind_of_incident():
    listed = {alert for row in INCIDENTS for alert in row[1].split(", ")}
    assert {rule["alert"] for rule in RULES if rule["labels"]["severity"] == "page"} - listed == set()
