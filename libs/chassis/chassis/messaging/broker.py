"""RabbitMQ: the exchanges, the queues of the topology, the retry tiers and the dead-letter queues.

A retry tier is a queue of one service with a time-to-live. When a message's time is over, RabbitMQ dead-letters it to
the service's durable queue.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractMessage, AbstractRobustChannel
from aiormq.exceptions import ChannelClosed, ChannelInvalidStateError, DeliveryError, PublishError
from contracts import rabbitmq, topology
from contracts.envelope import Envelope, Event
from opentelemetry.trace import SpanKind

from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.hosts import HostsConnection, check_version, connect
from chassis.messaging.wire import MAX_BATCH, to_batch, to_message
from chassis.observability import telemetry
from chassis.observability.context import correlation_id, traceparent
from chassis.settings import ServiceSettings

RETRY_TIERS_S = rabbitmq.RETRY_TIERS_S
CONFIRM_TIMEOUT_S = 10.0
BROADCAST_TIMEOUT_S = 1.0
MOVE_AFTER = 5
"""Number of consecutive unconfirmed messages after which the connection moves to the next host."""


@dataclass
class Broker:
    """An open connection to RabbitMQ. The topology is declared."""

    connection: HostsConnection
    channel: AbstractRobustChannel
    service: str
    queues: AbstractExchange
    """The exchange that routes a message to the service's queue that its routing key names."""
    unconfirmed: AbstractRobustChannel
    """A channel without publisher confirms."""
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
            exchange = await _publishing(self.channel, kind)
            await self._confirmed(exchange, message, kind, mandatory=topology.is_consumed(kind))

    async def broadcast(self, events: Sequence[Event]) -> None:
        """Publish events of one type as one transient message, which may be lost.

        Raises TimeoutError or an AMQPError when the broker cannot be reached.
        """
        for start in range(0, len(events), MAX_BATCH):
            envelopes = [_transient(event) for event in events[start : start + MAX_BATCH]]
            message, kind = to_batch(envelopes, is_persistent=False), envelopes[0].type
            exchange = await _publishing(self.unconfirmed, kind)
            await _publish(exchange, message, kind, mandatory=False, seconds=BROADCAST_TIMEOUT_S)

    async def retry_later(self, message: AbstractMessage, tier: int) -> None:
        """Put a message into a retry tier, which returns it to the service's durable queue."""
        await self.put(message, topology.retry_queue_name(self.service, RETRY_TIERS_S[tier]))

    async def put(self, message: AbstractMessage, queue: str) -> None:
        """Put a message into one of the service's queues."""
        await self._confirmed(self.queues, message, queue)

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
    except Exception as error:
        # aiormq raises a bare Exception in tasks that wait until the socket has taken the message.
        if type(error) is not Exception:
            raise
        raise ChannelClosed(0, "closed while publishing") from error


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncIterator[Broker]:
    """Wait for RabbitMQ. Raises BrokerTooOld.

    Unless an operator's step has declared the topology, declare all of it, so that services that start later miss no
    event.
    """
    connection = await connect(settings.rabbitmq_uri, f"usher-{settings.service}")
    async with connection:
        check_version(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        if settings.declares_topology:
            await declare(channel)
        yield await opened(connection, channel, settings.service)


async def declare(channel: Any) -> None:
    """Declare exchanges, queues, retry tiers and dead-letter queues, and bind the events that this version consumes.

    It only adds: queues and bindings of other versions stay. It is idempotent.
    """
    declared = {
        name: await channel.declare_exchange(name, aio_pika.ExchangeType(kind), durable=True)
        for name, kind in rabbitmq.exchanges().items()
    }
    for source, routing_key in rabbitmq.exchange_bindings():
        await declared[topology.EXCHANGE].bind(source, routing_key)
    for each in rabbitmq.queues():
        queue = await channel.declare_queue(each.name, durable=True, arguments=dict(each.arguments))
        for exchange, routing_key in each.bindings:
            await queue.bind(exchange, routing_key)


async def opened(connection: Any, channel: Any, service: str) -> Broker:
    """Return a service's broker of a connection and its channel with publisher confirms. The topology is declared."""
    queues = await channel.get_exchange(topology.own_exchange(service), ensure=False)
    return Broker(connection, channel, service, queues, await connection.channel(publisher_confirms=False))


async def _publishing(channel: AbstractRobustChannel, event_type: str) -> AbstractExchange:
    """Return the exchange of the service that owns the event."""
    return await channel.get_exchange(topology.publishing_exchange(topology.owner_of(event_type)), ensure=False)


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
