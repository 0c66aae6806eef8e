"""The connection to one of RabbitMQ's hosts.

`RABBITMQ_URI` names one host or several: `amqp://usher:secret@rabbit-1:5672,rabbit-2:5672,rabbit-3:5672/`. A service
connects to any of them and to the next one when it fails.
"""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aio_pika.robust_connection import RobustConnection
from yarl import URL

log = structlog.get_logger()
HEARTBEAT_S = 5
"""RabbitMQ redelivers a silent client's messages after two to three heartbeats. This is its documented minimum."""
CONNECT_TIMEOUT_S = 10.0
RECONNECT_S = 1.0
BLOCKED_S = 0.1
SINGLE_HOST, SEVERAL_HOSTS = (3, 10), (4, 0)
"""The oldest supported versions. In a test, three 3.10 nodes stopped confirming when one of them died."""


class BrokerTooOld(Exception):
    """RabbitMQ's version is too old for the service."""


def hosts_of(uri: str) -> list[URL]:
    """Return a URI for each host in `uri`. User, password, virtual host and options are the same for all."""
    parts = urlsplit(uri)
    who, at, hosts = parts.netloc.rpartition("@")
    listed = [host.strip() for host in hosts.split(",") if host.strip()]
    each = [URL(parts._replace(netloc=f"{who}{at}{host}").geturl()) for host in listed]
    return [url if "heartbeat" in url.query else url.update_query(heartbeat=HEARTBEAT_S) for url in each]


class HostsConnection(RobustConnection):
    """A robust connection that tries the next host each time."""

    def __init__(self, urls: Sequence[URL], **options: Any) -> None:
        super().__init__(urls[0], **options)
        self.hosts = len(urls)
        self._next = cycle([*urls[1:], urls[0]])

    async def _on_connection_close(self, closing: asyncio.Future[Any]) -> None:
        """Called by aio-pika when a connection ends and when a connection attempt fails."""
        self.url = next(self._next)
        await super()._on_connection_close(closing)

    async def move(self) -> None:
        """Connect to the next host, if there is one.

        Do nothing while RabbitMQ blocks publishers: a memory or disk alarm blocks all nodes, and every reconnection
        adds to the delivery count of the unacknowledged messages.
        """
        transport = self.transport
        if self.hosts == 1 or transport is None:
            return
        try:
            async with asyncio.timeout(BLOCKED_S):
                await transport.ready()
        except TimeoutError:
            return
        log.error("rabbitmq_host_given_up", host=self.url.host)
        self._leaving = asyncio.create_task(transport.connection.close())


async def connect(uri: str, name: str) -> HostsConnection:
    """Connect to the first host that answers. Waits until one does."""
    connection = HostsConnection(
        hosts_of(uri), reconnect_interval=RECONNECT_S, fail_fast=False, client_properties={"connection_name": name}
    )
    await connection.connect(timeout=CONNECT_TIMEOUT_S)
    return connection


async def connect_once(uri: str) -> AbstractConnection:
    """Open a plain connection for a command. Raises the last host's error when none answers."""
    *others, last = hosts_of(uri)
    for url in others:
        try:
            return await aio_pika.connect(url, timeout=CONNECT_TIMEOUT_S)
        except CONNECTION_EXCEPTIONS as error:
            log.warning("rabbitmq_host_unreachable", host=url.host, reason=repr(error))
    return await aio_pika.connect(last, timeout=CONNECT_TIMEOUT_S)


def check_version(connection: HostsConnection) -> None:
    """Check that RabbitMQ's version supports the number of hosts. Raises BrokerTooOld."""
    transport: Any = connection.transport
    version = str(transport.connection.server_properties["version"])
    oldest = SINGLE_HOST if connection.hosts == 1 else SEVERAL_HOSTS
    if tuple(int(part) for part in version.split(".")[:2]) < oldest:
        needed = ".".join(map(str, oldest))
        where = "a single host" if connection.hosts == 1 else "a cluster"
        raise BrokerTooOld(f"RABBITMQ_URI: RabbitMQ {version} is too old for {where}; {needed} or newer is needed")
