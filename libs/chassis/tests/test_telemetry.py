"""Logs and traces as they leave the process, each in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import structlog, logging
from chassis import telemetry
from chassis.context import correlation_id
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
