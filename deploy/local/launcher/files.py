"""The contents of the data folder before the servers start: folders and the servers' configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from chassis.rights import passwords_of
from contracts import rabbitmq

from launcher import passwords
from launcher.ports import LOOPBACK
from launcher.settings import ROOT

TEMPLATE = ROOT / "deploy/gateway/nginx.conf.template"


def prepare(data: Path, environment: Mapping[str, str]) -> None:
    """Create the folders and write the passwords and the configuration of RabbitMQ and the gateway."""
    for name in ("mongo", "rabbitmq", "mail", "gateway", "logs"):
        (data / name).mkdir(parents=True, exist_ok=True)
    passwords.save(data, environment)
    known = {rabbitmq.OPERATOR: environment["RABBITMQ_PASSWORD"], **passwords_of(environment)}
    (data / "rabbitmq/definitions.json").write_text(json.dumps(rabbitmq.definitions(known)))
    (data / "rabbitmq/rabbitmq.conf").write_text(_rabbitmq(data, environment))
    (data / "rabbitmq/enabled_plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].\n")
    write_gateway(data, environment)


def write_gateway(data: Path, environment: Mapping[str, str]) -> None:
    """Write the configuration of the gateway."""
    (data / "gateway/nginx.conf").write_text(render(TEMPLATE.read_text(), environment))


def render(template: str, values: Mapping[str, str]) -> str:
    """Replace `${NAME}` in capitals, as the nginx image's template step does; nginx's `$name` stays.

    Raises KeyError for a name without a value.
    """
    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)\}", lambda match: values[match[1]], template)


def _rabbitmq(data: Path, environment: Mapping[str, str]) -> str:
    return f"""\
listeners.tcp.1 = {LOOPBACK}:{environment["RABBITMQ_PORT"]}
management.tcp.ip = {LOOPBACK}
management.tcp.port = {environment["RABBITMQ_MANAGEMENT_PORT"]}
prometheus.tcp.ip = {LOOPBACK}
prometheus.tcp.port = {environment["RABBITMQ_PROMETHEUS_PORT"]}
load_definitions = {data / "rabbitmq/definitions.json"}
raft.wal_max_size_bytes = 64000000
"""
