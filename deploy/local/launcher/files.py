"""What has to lie in the data folder before the servers start: folders and the servers' configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from launcher.ports import LOOPBACK
from launcher.settings import ROOT

TEMPLATE = ROOT / "deploy/gateway/nginx.conf.template"


def prepare(data: Path, environment: Mapping[str, str]) -> None:
    """Makes the folders and writes the configuration of RabbitMQ and of the gateway."""
    for name in ("mongo", "rabbitmq", "mail", "gateway", "logs"):
        (data / name).mkdir(parents=True, exist_ok=True)
    (data / "rabbitmq/rabbitmq.conf").write_text(_rabbitmq(environment))
    (data / "rabbitmq/enabled_plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].\n")
    write_gateway(data, environment)


def write_gateway(data: Path, environment: Mapping[str, str]) -> None:
    """Writes the configuration of the gateway."""
    (data / "gateway/nginx.conf").write_text(render(TEMPLATE.read_text(), environment))


def render(template: str, values: Mapping[str, str]) -> str:
    """Fills in `${NAME}` in capitals, as the nginx image's own template step does; nginx's `$name` stays.

    Raises KeyError for a name without a value.
    """
    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)\}", lambda match: values[match[1]], template)


def _rabbitmq(environment: Mapping[str, str]) -> str:
    return f"""\
listeners.tcp.1 = {LOOPBACK}:{environment["RABBITMQ_PORT"]}
management.tcp.ip = {LOOPBACK}
management.tcp.port = {environment["RABBITMQ_MANAGEMENT_PORT"]}
prometheus.tcp.ip = {LOOPBACK}
prometheus.tcp.port = {environment["RABBITMQ_PROMETHEUS_PORT"]}
default_user = usher
default_pass = {environment["RABBITMQ_PASSWORD"]}
raft.wal_max_size_bytes = 64000000
"""
