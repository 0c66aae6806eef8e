"""What RabbitMQ holds: exchanges, queues and bindings, and each service's user with its permissions.

All of it follows from the topology. A service's user may publish its own events, consume its own queue, put messages
back into that queue and its dead-letter queue, and declare the temporary queues of its replicas; nothing else. So
nobody but the payment service can publish `payment.succeeded.v1`, and no service can put a message into the queue of
another one.
"""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import topology
from contracts.registry import SERVICES

OPERATOR = "usher"
"""The user of tools and people. It may do everything."""
QUEUES = "usher.queues"
"""The exchange that routes a message to the queue of its routing key, unlike the default exchange with permissions."""
RETRY_TIERS_S = (1, 5, 30, 120)
NOTHING = "^$"
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


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


def retry_exchange(seconds: int) -> str:
    """Return the name of the exchange that puts messages into a retry tier."""
    return f"usher.retries.{seconds}s"


def exchanges() -> tuple[str, ...]:
    """Return the names of all exchanges. They are topic exchanges, because only those have topic permissions."""
    return (topology.EXCHANGE, QUEUES, *map(retry_exchange, RETRY_TIERS_S))


def queues() -> list[Queue]:
    """Return each service's queue and dead-letter queue, and the retry tiers."""
    found: list[Queue] = []
    for service, events in topology.CONSUMES.items():
        name, dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
        found.append(Queue(dead, _QUORUM | {"x-delivery-limit": 1_000_000}, ((QUEUES, dead),)))
        arguments = {"x-delivery-limit": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        consumed = tuple((topology.EXCHANGE, event.type) for event in events)
        found.append(Queue(name, _QUORUM | arguments, ((QUEUES, name), *consumed)))
    for seconds in RETRY_TIERS_S:
        returning = {
            "x-message-ttl": seconds * 1000,
            "x-dead-letter-exchange": "",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        found.append(Queue(f"usher.retry.{seconds}s", _QUORUM | returning, ((retry_exchange(seconds), "#"),)))
    return found


def rights(service: str) -> Rights:
    """Return the permissions of a service's user.

    Binding a queue takes the right to read the exchange, here for the routing keys of the service's broadcast events.
    The bindings of durable queues are declared with the operator's rights.
    """
    name, dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
    temporary = rf"{service}\.watch\..+"
    retries = {retry_exchange(seconds): (_any_of(name), NOTHING) for seconds in RETRY_TIERS_S}
    return Rights(
        configure=f"^{temporary}$",
        write=rf"^({'|'.join(map(re.escape, exchanges()))}|{temporary})$",
        read=rf"^({re.escape(topology.EXCHANGE)}|{re.escape(name)}|{re.escape(dead)}|{temporary})$",
        topics={
            topology.EXCHANGE: (rf"^{service}\.", _any_of(*(event.type for event in topology.BROADCAST[service]))),
            QUEUES: (_any_of(name, dead), NOTHING),
            **retries,
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
            lasting | {"name": name, "type": "topic", "internal": False, "arguments": {}} for name in exchanges()
        ],
        "queues": [lasting | {"name": queue.name, "arguments": dict(queue.arguments)} for queue in queues()],
        "bindings": [
            place
            | {"source": source, "destination": queue.name, "destination_type": "queue"}
            | {"routing_key": key, "arguments": {}}
            for queue in queues()
            for source, key in queue.bindings
        ],
    }


def _user(name: str, password: str) -> dict[str, Any]:
    """A user with its password as RabbitMQ stores it: a salt and a SHA-256 hash."""
    salt = secrets.token_bytes(4)
    return {
        "name": name,
        "password_hash": b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == OPERATOR else [],
        "limits": {},
    }


def _any_of(*routing_keys: str) -> str:
    return f"^({'|'.join(map(re.escape, routing_keys))})$"
