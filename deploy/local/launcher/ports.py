"""The port of each process: the default, the one in `.env`, or a free one for a separate platform."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

LOOPBACK = "127.0.0.1"

DEFAULTS = {
    "GATEWAY_PORT": 8080,
    "IDENTITY_PORT": 8101,
    "CATALOG_PORT": 8102,
    "INVENTORY_PORT": 8103,
    "BOOKING_PORT": 8104,
    "PAYMENT_PORT": 8105,
    "NOTIFIER_PORT": 8106,
    "REALTIME_PORT": 8107,
    "STRIPE_SANDBOX_PORT": 8112,
    "MONGO_PORT": 27117,
    "RABBITMQ_PORT": 5772,
    "RABBITMQ_MANAGEMENT_PORT": 15772,
    "RABBITMQ_PROMETHEUS_PORT": 15792,
    "RABBITMQ_DISTRIBUTION_PORT": 25772,
    "SMTP_PORT": 1125,
    "MAILBOX_PORT": 1180,
}
SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
# Below the kernel's range for outgoing connections, so that none of them takes a port before its server.
FREE_RANGE = range(20_000, 32_000)

_handed_out: set[int] = set()


class PortError(Exception):
    """A port cannot be used; the text names it and its variable."""


def replica_variable(service: str, number: int) -> str:
    """Return the variable for the port of the service's replica `number`, counted from 1."""
    return f"{service.upper()}_PORT" if number == 1 else f"{service.upper()}_{number}_PORT"


def replicas(environment: Mapping[str, str]) -> dict[str, int]:
    """Return the number of replicas of each service: `INVENTORY_REPLICAS=2`, else one."""
    return {service: int(environment.get(f"{service.upper()}_REPLICAS") or 1) for service in SERVICES}


def configured_ports(environment: Mapping[str, str]) -> dict[str, int]:
    """Return variable to port, from the environment or the defaults; each further replica listens 100 higher.

    Raises PortError for an invalid value.
    """
    ports = {name: _number(name, environment.get(name) or default) for name, default in DEFAULTS.items()}
    for service, copies in replicas(environment).items():
        for number in range(2, copies + 1):
            name = replica_variable(service, number)
            default = ports[replica_variable(service, 1)] + 100 * (number - 1)
            ports[name] = _number(name, environment.get(name) or default)
    return ports


def replica_port(ports: Mapping[str, int], environment: Mapping[str, str], service: str, number: int) -> int:
    """Return one more replica's port: its setting, else 100 higher per replica, else a free one. Raises PortError."""
    name = replica_variable(service, number)
    if given := environment.get(name):
        return _number(name, given)
    usual = ports[replica_variable(service, 1)] + 100 * (number - 1)
    is_taken = usual in _handed_out or usual in ports.values() or not is_free(usual)
    return _free_port() if is_taken else usual


def free_ports(environment: Mapping[str, str] | None = None) -> dict[str, int]:
    """Return a free port by variable: nobody listens on it, and no launcher on this machine has reserved it."""
    return {name: _free_port() for name in configured_ports(environment or {})}


def check_free(ports: Mapping[str, int]) -> None:
    """Check the ports. Raises PortError when two variables name the same port or a port is in use."""
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port in seen:
            raise PortError(f"{seen[port]} and {name} are both set to port {port}.")
        seen[port] = name
        if not is_free(port):
            raise PortError(f"Port {port} is taken by another program; set {name} in .env to a free one.")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for port in random.sample(FREE_RANGE, len(FREE_RANGE)):
        if port not in _handed_out and _reserve(port) and is_free(port):
            _handed_out.add(port)
            return port
    raise PortError(f"No port between {FREE_RANGE.start} and {FREE_RANGE.stop} is free.")


def _reserve(port: int) -> bool:
    """Reserve the port against other launchers on this machine, whose servers may not listen yet.

    The reservation is a lock on one byte of a file. The kernel releases it when this process ends.
    """
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _reservations() -> BinaryIO:
    return (Path(tempfile.gettempdir()) / f"usher-ports.{os.getuid()}").open("ab")


def _number(name: str, value: str | int) -> int:
    if not str(value).isdecimal() or not 0 < int(value) < 65_536:
        raise PortError(f"{name} is set to {value!r}, which is no port number.")
    return int(value)
