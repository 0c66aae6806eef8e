"""The event bus in tests: publishes events as other services would, and records those of the service under test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel
from contracts import topology
from contracts.envelope import Envelope, Event
from pydantic import ValidationError

from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging import broker, wire
from chassis.messaging.consumer import events_of
from chassis.messaging.wire import REASON, to_envelope

E = TypeVar("E", bound=Event)


def envelope(event: Event, *, version: int = 0, event_id: str | None = None, time: datetime | None = None) -> Envelope:
    """Create the envelope of an event."""
    return Envelope(
        id=event_id or new_id(),
        source=event.source(),
        type=event.type,
        subject=event.subject,
        time=time or now(),
        version=version,
        body=event.model_dump_json(exclude_none=True),
    )


@dataclass
class DeadLetter:
    """A message of a dead-letter queue."""

    type: str
    reason: str
    body: bytes


class Bus:
    """Records every envelope that is published to the exchange."""

    def __init__(self, rabbit: broker.Broker) -> None:
        self._rabbit = rabbit
        self._envelopes: list[Envelope] = []
        self._arrived = asyncio.Condition()

    async def listen(self, message: AbstractIncomingMessage) -> None:
        """Consumer callback of the tap."""
        async with self._arrived:
            self._envelopes += map(to_envelope, events_of(message))
            self._arrived.notify_all()

    async def publish(
        self, event: Event, *, version: int = 0, event_id: str | None = None, time: datetime | None = None
    ) -> Envelope:
        """Publish an event as the service that owns it. Reuse an `event_id` to publish a duplicate.

        `time`: when the event was recorded, by default now.
        """
        published = envelope(event, version=version, event_id=event_id, time=time)
        await self._rabbit.publish(published)
        return published

    async def publish_batch(self, *events: Event) -> list[Envelope]:
        """Publish events of one type as one message."""
        published = [envelope(event) for event in events]
        await self._rabbit.publish(*published)
        return published

    async def publish_raw(
        self, event_type: str, body: bytes | str, *, content_type: str | None = None, **headers: Any
    ) -> None:
        """Publish arbitrary bytes under an event type."""
        raw = body.encode() if isinstance(body, str) else body
        message = aio_pika.Message(
            raw, type=event_type, message_id=new_id(), app_id="test", content_type=content_type, headers=headers
        )
        exchange = topology.publishing_exchange(topology.owner_of(event_type))
        await (await self._rabbit.channel.get_exchange(exchange, ensure=False)).publish(message, event_type)

    async def forge(self, event: Event) -> str:
        """Publish an event past its owner's exchange. Returns its id."""
        message = wire.to_message(envelope(event))
        exchange = await self._rabbit.channel.get_exchange(topology.EXCHANGE, ensure=False)
        await exchange.publish(message, event.type)
        return message.message_id or ""

    async def put(self, event: Event, queue: str, *copies: str) -> str:
        """Put an event into queues as RabbitMQ does with its dead letters. Returns the event's id."""
        message = wire.to_message(envelope(event))
        message.headers["CC"] = list(copies)
        await self._rabbit.channel.default_exchange.publish(message, queue)
        return message.message_id or ""

    def envelopes(self, event: type[Event]) -> list[Envelope]:
        """Return all recorded envelopes of the type."""
        return [envelope for envelope in self._envelopes if envelope.type == event.type]

    def events(self, event: type[E], where: Callable[[E], bool] = lambda _: True) -> list[E]:
        """Return all recorded events of the type that are valid and match."""
        found: list[E] = []
        for envelope in self.envelopes(event):
            # A test may publish a malformed event on purpose.
            with suppress(ValidationError):
                found.append(event.model_validate_json(envelope.body))
        return [each for each in found if where(each)]

    async def wait_for(self, event: type[E], where: Callable[[E], bool] = lambda _: True, *, seconds: float = 60) -> E:
        """Wait for the first matching event of the type. Raises AssertionError when none arrives in time."""
        async with self._arrived:
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait_for(lambda: self.events(event, where))
            except TimeoutError:
                raise AssertionError(f"no fitting {event.type} within {seconds} s") from None
            return self.events(event, where)[0]

    async def dead(self, service: str, *, count: int = 1, seconds: float = 60) -> list[DeadLetter]:
        """Wait until a service has `count` dead letters and remove them from their queue."""
        queue = await self._rabbit.channel.get_queue(topology.dead_letter_queue_name(service))
        letters: list[DeadLetter] = []
        deadline = asyncio.get_running_loop().time() + seconds
        while len(letters) < count and asyncio.get_running_loop().time() < deadline:
            message = await queue.get(fail=False, no_ack=True)
            if message is None:
                await asyncio.sleep(0.05)
                continue
            letters.append(DeadLetter(message.type or "", str(message.headers.get(REASON, "")), message.body))
        return letters


@asynccontextmanager
async def tapped(rabbitmq_uri: str) -> AsyncIterator[Bus]:
    """Open a bus that records everything on the exchange."""
    connection = await aio_pika.connect_robust(rabbitmq_uri)
    async with connection:
        publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await broker.declare(publishing)
        bus = Bus(await broker.opened(connection, publishing, "test"))
        channel: AbstractRobustChannel = await connection.channel()  # pyright: ignore[reportAssignmentType]
        tap = await channel.declare_queue(exclusive=True, auto_delete=True)
        await tap.bind(topology.EXCHANGE, "#")
        await tap.consume(bus.listen, no_ack=True)
        yield bus
