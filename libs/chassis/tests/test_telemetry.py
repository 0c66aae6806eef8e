"""Logs and traces as a process writes them. Each test runs a separate process."""

import json
import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import structlog, logging
from chassis.observability import telemetry
from chassis.observability.context import correlation_id
telemetry.configure_logging("toy", "INFO")
provider = telemetry.configure_tracing("toy")
correlation_id.set("corr-12345678")
structlog.get_logger().info("ours", seats=2)
logging.getLogger("uvicorn.error").warning("theirs")
with telemetry.span("step"):
    pass
if provider: provider.shutdown()
"""


def lines(**environment: str) -> list[dict]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=clean | environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_log_line_is_json_with_service_and_correlation_id():
    ours, theirs = lines()
    assert (ours["event"], ours["seats"], theirs["event"]) == ("ours", 2, "theirs")
    assert {line["service"] for line in (ours, theirs)} == {"toy"}
    assert {line["correlation_id"] for line in (ours, theirs)} == {"corr-12345678"}
    assert (ours["level"], theirs["level"]) == ("info", "warning")


TWICE = """
import structlog
from chassis.observability import telemetry
log = structlog.get_logger()
for service in ("toy", "echo"):
    telemetry.configure_logging(service, "INFO")
    log.info("ours")
"""


def test_a_logger_in_use_follows_a_later_configuration():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, check=True)
    assert [json.loads(line)["service"] for line in done.stdout.splitlines()] == ["toy", "echo"]


WEBSOCKET = """
import asyncio, uvicorn, websockets
from chassis.observability import telemetry
telemetry.configure_logging("toy", "INFO")
async def app(scope, receive, send):
    await send({"type": "websocket.accept"})
async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws?token=hush"):
        server.should_exit = True
    await serving
asyncio.run(main())
"""


def test_the_address_of_a_websocket_is_logged_without_its_query_string():
    done = subprocess.run([sys.executable, "-c", WEBSOCKET], capture_output=True, check=True, text=True)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert any('"WebSocket /ws" [accepted]' in event for event in events)
    assert "hush" not in done.stdout + done.stderr


LIVE = """
import logging, sys
import structlog
from chassis.observability import telemetry
telemetry.configure_logging("toy", "INFO")
log = structlog.get_logger()
log.debug("too fine")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("ours", seats=2)
logging.getLogger("any").warning("theirs")
sys.stdin.read()
"""


def test_a_line_is_one_write_and_is_there_at_once():
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, subprocess.Popen([sys.executable, "-c", LIVE], stdout=there.fileno(), stdin=subprocess.PIPE) as running:
        there.close()
        ours, theirs = (here.recv(100_000) for _ in range(2))  # one write per line
        assert running.stdin
        running.stdin.close()
        assert here.recv(1) == b""
    assert (json.loads(ours)["event"], json.loads(theirs)["event"]) == ("ours", "theirs")
    assert "ZeroDivisionError: division by zero" in json.loads(ours)["exception"]
    assert ours.endswith(b"}\n")


@pytest.mark.parametrize(
    ("environment", "traced"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
    ],
)
def test_tracing_is_off_until_the_standard_variables_turn_it_on(environment, traced):
    spans = [line for line in lines(**environment) if line.get("name") == "step"]
    assert bool(spans) == traced
