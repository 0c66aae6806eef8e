"""RabbitMQ: the exchange, the queues of the topology, the retry tiers and the dead-letter queues.

A retry tier is a queue with a time-to-live. A message is put into it with the name of its queue as the routing key.
When its time is over, RabbitMQ dead-letters it to the default exchange, which routes it back to that queue only.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractMessage, AbstractRobustChannel
from aiormq.exceptions import ChannelClosed, ChannelInvalidStateError, DeliveryError, PublishError
from contracts import topology
from contracts.envelope import Envelope, Event
from opentelemetry.trace import SpanKind

from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.hosts import HostsConnection, check_version, connect
from chassis.messaging.wire import MAX_BATCH, to_batch, to_message
from chassis.observability import telemetry
from chassis.observability.context import correlation_id, traceparent
from chassis.settings import ServiceSettings

RETRY_TIERS_S = (1, 5, 30, 120)
CONFIRM_TIMEOUT_S = 10.0
BROADCAST_TIMEOUT_S = 1.0
MOVE_AFTER = 5
"""Number of consecutive unconfirmed messages after which the connection moves to the next host."""
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


@dataclass
class Broker:
    """An open connection to RabbitMQ. The topology is declared."""

    connection: HostsConnection
    channel: AbstractRobustChannel
    exchange: AbstractExchange
    retries: list[AbstractExchange]
    transient: AbstractExchange
    """The same exchange on a channel without publisher confirms."""
    _refused: int = field(default=0, init=False)
    """Number of consecutive messages that the host did not confirm."""

    async def publish(self, *envelopes: Envelope) -> None:
        """Publish events of one type as one message. Returns when the broker has confirmed it.

        Events that a service consumes are `mandatory`: raises PublishError when they reach no queue.
        """
        kind = envelopes[0].type
        with ExitStack() as spans:
            traced = [_traced(envelope, spans) for envelope in envelopes]
            message = to_message(traced[0]) if len(traced) == 1 else to_batch(traced)
            await self._confirmed(self.exchange, message, kind, mandatory=topology.is_consumed(kind))

    async def broadcast(self, events: Sequence[Event]) -> None:
        """Publish events of one type as one transient message, which may be lost.

        Raises TimeoutError or an AMQPError when the broker cannot be reached.
        """
        for start in range(0, len(events), MAX_BATCH):
            envelopes = [_transient(event) for event in events[start : start + MAX_BATCH]]
            message, kind = to_batch(envelopes, is_persistent=False), envelopes[0].type
            await _publish(self.transient, message, kind, mandatory=False, seconds=BROADCAST_TIMEOUT_S)

    async def retry_later(self, message: AbstractMessage, queue: str, tier: int) -> None:
        """Put a message into a retry tier, which returns it to `queue`."""
        await self._confirmed(self.retries[tier], message, queue)

    async def put(self, message: AbstractMessage, queue: str) -> None:
        """Put a message into one queue."""
        await self._confirmed(self.channel.default_exchange, message, queue)

    async def _confirmed(
        self, exchange: AbstractExchange, message: AbstractMessage, routing_key: str, *, mandatory: bool = True
    ) -> None:
        """Publish a message and wait for the confirm. After MOVE_AFTER failures, connect to the next host."""
        try:
            await _publish(exchange, message, routing_key, mandatory=mandatory, seconds=CONFIRM_TIMEOUT_S)
        except PublishError:  # unroutable: another host would return it too
            raise
        except (TimeoutError, DeliveryError):
            self._refused += 1
            if self._refused >= MOVE_AFTER:
                self._refused = 0
                await self.connection.move()
            raise
        self._refused = 0

    @property
    def is_connected(self) -> bool:
        """Whether the connection and its channel are open."""
        return self.connection.connected.is_set() and not self.channel.is_closed


async def _publish(
    exchange: AbstractExchange, message: AbstractMessage, routing_key: str, *, mandatory: bool, seconds: float
) -> None:
    """Publish a message. Raises TimeoutError, or an AMQPError when the broker refuses it or the connection ends."""
    try:
        async with asyncio.timeout(seconds):
            await exchange.publish(message, routing_key, mandatory=mandatory)
    except asyncio.CancelledError as error:
        # aiormq also raises CancelledError in tasks that wait for a channel when it closes.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ChannelClosed(0, "closed while publishing") from error
    except ChannelInvalidStateError as error:
        raise ChannelClosed(0, "closed before publishing") from error


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncIterator[Broker]:
    """Wait for RabbitMQ and declare the whole topology, so that services that start later miss no event.

    Raises BrokerTooOld.
    """
    connection = await connect(settings.rabbitmq_uri, f"usher-{settings.service}")
    async with connection:
        check_version(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        yield await declare(connection, channel)


async def declare(connection: Any, channel: Any) -> Broker:
    """Declare exchange, queues, retry tiers and dead-letter queues, and bind the events that this version consumes.

    It only adds: queues and bindings of other versions stay. It is idempotent.
    """
    exchange = await channel.declare_exchange(topology.EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    for service, events in topology.CONSUMES.items():
        dead = topology.dead_letter_queue_name(service)
        await channel.declare_queue(dead, durable=True, arguments=_QUORUM | {"x-delivery-limit": 1_000_000})
        arguments = {"x-delivery-limit": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        queue = await channel.declare_queue(topology.queue_name(service), durable=True, arguments=_QUORUM | arguments)
        for event in events:
            await queue.bind(exchange, event.type)
    retries = [await _declare_tier(channel, seconds) for seconds in RETRY_TIERS_S]
    unconfirmed = await connection.channel(publisher_confirms=False)
    transient = await unconfirmed.get_exchange(topology.EXCHANGE, ensure=False)
    return Broker(connection, channel, exchange, retries, transient)


def _traced(envelope: Envelope, spans: ExitStack) -> Envelope:
    """Open a span for the envelope and return the envelope with it as the parent of the consumers' spans."""
    span = telemetry.span(
        f"publish {envelope.type}", SpanKind.PRODUCER, subject=envelope.subject, parent=envelope.traceparent
    )
    spans.enter_context(span)
    here = traceparent()
    return envelope.model_copy(update={"traceparent": here}) if here else envelope


def _transient(event: Event) -> Envelope:
    return Envelope.model_construct(
        id=new_id(),
        source=event.source(),
        type=event.type,
        subject=event.subject,
        time=now(),
        correlation_id=correlation_id.get(),
        traceparent=traceparent(),
        body=event.model_dump_json(exclude_none=True),
    )


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
