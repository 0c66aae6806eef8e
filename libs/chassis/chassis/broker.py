"""RabbitMQ as every service uses it: the exchange, the queues that the topology names, retry tiers, dead letters.

A retry tier is one queue with a time-to-live. A message enters it with the routing key of the queue that it came from
and leaves it, when its time is over, through the default exchange: back into that queue and no other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractExchange, AbstractMessage, AbstractRobustChannel, AbstractRobustConnection
from contracts import topology
from contracts.envelope import Envelope
from opentelemetry.trace import SpanKind

from chassis import telemetry
from chassis.context import traceparent
from chassis.settings import ServiceSettings
from chassis.wire import to_message

log = structlog.get_logger()
RETRY_TIERS_S = (1, 5, 30, 120)
CONFIRM_TIMEOUT_S = 10.0
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


@dataclass
class Broker:
    """An open connection with the exchange to publish on and the topology declared."""

    connection: AbstractRobustConnection
    channel: AbstractRobustChannel
    exchange: AbstractExchange
    retries: list[AbstractExchange]

    async def publish(self, envelope: Envelope) -> None:
        """Publish an event; returns when the broker has it safely.

        An event that somebody hears is `mandatory`: raises PublishError when no queue took it.
        """
        kind, parent = envelope.type, envelope.traceparent
        with telemetry.span(f"publish {kind}", SpanKind.PRODUCER, subject=envelope.subject, parent=parent):
            message = to_message(envelope)
            if here := traceparent():
                message.headers["traceparent"] = here
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                await self.exchange.publish(message, kind, mandatory=topology.is_heard(kind))

    async def retry_later(self, message: AbstractMessage, queue: str, tier: int) -> None:
        """Put a message into a retry tier, from where it comes back to `queue`."""
        async with asyncio.timeout(CONFIRM_TIMEOUT_S):
            await self.retries[tier].publish(message, queue)  # pyright: ignore[reportArgumentType]

    async def bury(self, message: AbstractMessage, queue: str) -> None:
        """Put a message into a dead-letter queue."""
        async with asyncio.timeout(CONFIRM_TIMEOUT_S):
            await self.channel.default_exchange.publish(message, queue)  # pyright: ignore[reportArgumentType]

    @property
    def is_connected(self) -> bool:
        """Whether the broker can be reached at this moment."""
        return self.connection.connected.is_set() and not self.channel.is_closed


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncIterator[Broker]:
    """Wait for RabbitMQ and declare the whole topology, so that no event is lost on a service that starts later."""
    connection = await aio_pika.connect_robust(
        settings.rabbitmq_uri,
        fail_fast=False,
        reconnect_interval=1,
        client_properties={"connection_name": f"usher-{settings.service}"},
    )
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        yield await declare(connection, channel)


async def declare(connection: AbstractRobustConnection, channel: Any) -> Broker:
    """Declare exchange, queues, retry tiers and dead-letter queues. Repeating it changes nothing."""
    exchange = await channel.declare_exchange(topology.EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    for service, events in topology.HEARS.items():
        dead = topology.dead_letter_queue_name(service)
        await channel.declare_queue(dead, durable=True, arguments=_QUORUM | {"x-delivery-limit": 1_000_000})
        arguments = {"x-delivery-limit": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        queue = await channel.declare_queue(topology.queue_name(service), durable=True, arguments=_QUORUM | arguments)
        for event in events:
            await queue.bind(exchange, event.type)
    retries = [await _declare_tier(channel, seconds) for seconds in RETRY_TIERS_S]
    return Broker(connection, channel, exchange, retries)


async def _declare_tier(channel: Any, seconds: int) -> AbstractExchange:
    name = f"usher.retry.{seconds}s"
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.FANOUT, durable=True)
    returning = {
        "x-message-ttl": seconds * 1000,
        "x-dead-letter-exchange": "",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    queue = await channel.declare_queue(name, durable=True, arguments=_QUORUM | returning)
    await queue.bind(exchange)
    return exchange
