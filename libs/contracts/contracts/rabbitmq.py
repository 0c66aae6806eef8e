"""What RabbitMQ holds: exchanges, queues and bindings, and each service's user with its permissions.

All of it follows from the topology. A service's user may publish through its own exchange, consume its own queue, put
messages back into its own queues, and declare the temporary queues of its replicas; nothing else. RabbitMQ checks the
right to write to an exchange also for bindings and for dead letters, and a message keeps the name of the exchange that
it was published to. So this name proves who has published an event, and no service can put a message into the queue
of another one.
"""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts import topology
from contracts.registry import SERVICES

OPERATOR = "usher"
"""The user of tools and people. It may do everything."""
RETRY_TIERS_S = (1, 5, 30, 120)
NOTHING = "^$"
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}

# Limits, so that one service can fill neither the disk nor the memory.
MAX_QUEUES = 1000
"""Maximum number of queues of all services. A replica declares one."""
USER_LIMITS = {"max-connections": 200, "max-channels": 2000}
"""Limits of each service's user. A replica uses one connection and five channels."""
TEMPORARY = {"expires": 60_000, "max-length": 10_000, "max-length-bytes": 32 * 1024**2}
"""Limits of the queues that services declare. A full one drops its oldest messages; one without a consumer ends."""
WAITING = {"max-length-bytes": 1024**3, "overflow": "reject-publish"}
"""Limits of each retry tier and each dead-letter queue. A full one refuses further messages."""


@dataclass(frozen=True)
class Queue:
    """A durable queue. `bindings`: exchange and routing key of each."""

    name: str
    arguments: Mapping[str, Any]
    bindings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Rights:
    """A user's permissions as regular expressions. `topics`: by exchange, the routing keys for write and read."""

    configure: str
    write: str
    read: str
    topics: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])


def exchanges() -> dict[str, Literal["topic", "direct"]]:
    """Return the type of each exchange by its name."""
    found: dict[str, Literal["topic", "direct"]] = {topology.EXCHANGE: "topic"}
    for service in topology.CONSUMES:
        found |= {topology.publishing_exchange(service): "topic", topology.own_exchange(service): "direct"}
    return found


def exchange_bindings() -> list[tuple[str, str]]:
    """Return the publishing exchanges and the routing keys with which `usher.events` is bound to them."""
    return [(topology.publishing_exchange(service), f"{service}.#") for service in topology.CONSUMES]


def queues() -> list[Queue]:
    """Return each service's queue, its dead-letter queue and its retry tiers."""
    found: list[Queue] = []
    for service, events in topology.CONSUMES.items():
        own = topology.own_exchange(service)
        name, dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
        found.append(Queue(dead, _QUORUM | {"x-delivery-limit": 1_000_000}, ((own, dead),)))
        arguments = {"x-delivery-limit": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        consumed = tuple((topology.EXCHANGE, event.type) for event in events)
        found.append(Queue(name, _QUORUM | arguments, ((own, name), *consumed)))
        for seconds in RETRY_TIERS_S:
            returning = {
                "x-message-ttl": seconds * 1000,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            tier = topology.retry_queue_name(service, seconds)
            found.append(Queue(tier, _QUORUM | returning, ((own, tier),)))
    return found


def rights(service: str) -> Rights:
    """Return the permissions of a service's user.

    Binding a queue takes the right to read the exchange, here for the routing keys of the service's broadcast events.
    The bindings of durable queues are declared with the operator's rights.
    """
    publishing, own = topology.publishing_exchange(service), topology.own_exchange(service)
    name, dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
    temporary = rf"{service}\.watch\..+"
    return Rights(
        configure=f"^{temporary}$",
        write=rf"^({re.escape(publishing)}|{re.escape(own)}|{temporary})$",
        read=rf"^({re.escape(topology.EXCHANGE)}|{re.escape(name)}|{re.escape(dead)}|{temporary})$",
        topics={
            publishing: (rf"^{service}\.", NOTHING),
            topology.EXCHANGE: (NOTHING, _any_of(*(event.type for event in topology.BROADCAST[service]))),
        },
    )


def definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Return RabbitMQ's definitions: the operator and the services as users, and what they use.

    `passwords`: by user. Importing them only adds or corrects: queues and bindings of other versions stay.
    """
    everything = Rights(configure=".*", write=".*", read=".*")
    granted = {OPERATOR: everything} | {service: rights(service) for service in SERVICES}
    place = {"vhost": "/"}
    lasting = place | {"durable": True, "auto_delete": False}
    return {
        "rabbit_version": "3.10.0",
        "vhosts": [{"name": "/"}],
        "users": [_user(name, passwords[name]) for name in granted],
        "permissions": [
            place | {"user": name, "configure": each.configure, "write": each.write, "read": each.read}
            for name, each in granted.items()
        ],
        "topic_permissions": [
            place | {"user": name, "exchange": exchange, "write": write, "read": read}
            for name, each in granted.items()
            for exchange, (write, read) in each.topics.items()
        ],
        "exchanges": [
            lasting | {"name": name, "type": kind, "internal": False, "arguments": {}}
            for name, kind in exchanges().items()
        ],
        "queues": [lasting | {"name": queue.name, "arguments": dict(queue.arguments)} for queue in queues()],
        "bindings": [
            place
            | {"source": source, "destination": queue.name, "destination_type": "queue"}
            | {"routing_key": key, "arguments": {}}
            for queue in queues()
            for source, key in queue.bindings
        ]
        + [
            place
            | {"source": source, "destination": topology.EXCHANGE, "destination_type": "exchange"}
            | {"routing_key": key, "arguments": {}}
            for source, key in exchange_bindings()
        ],
        "parameters": [
            place | {"component": "vhost-limits", "name": "limits", "value": {"max-queues": MAX_QUEUES}},
            # A queue's own arguments can lift the limits of a policy, but not those of an operator policy.
            place | {"component": "operator_policy", "name": "temporary", "value": _policy(r"\.watch\.", TEMPORARY)},
        ],
        "policies": [place | {"name": "waiting"} | _policy(r"\.events\.(dead|retry\.\d+s)$", WAITING)],
    }


def _user(name: str, password: str) -> dict[str, Any]:
    """A user with its password as RabbitMQ stores it: a salt and a SHA-256 hash."""
    salt = secrets.token_bytes(4)
    return {
        "name": name,
        "password_hash": b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == OPERATOR else [],
        "limits": {} if name == OPERATOR else USER_LIMITS,
    }


def _policy(names: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    return {"pattern": f"^[a-z]+{names}", "apply-to": "queues", "priority": 0, "definition": dict(limits)}


def _any_of(*routing_keys: str) -> str:
    return f"^({'|'.join(map(re.escape, routing_keys))})$"
