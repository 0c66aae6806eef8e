"""Consume events: a limited number at a time, acknowledged when their effect is durable.

An event whose handler fails goes through the retry tiers. After the last tier, or at once if it can never be handled,
it becomes a dead letter with the reason. Retries during a database outage are not counted as attempts. An event of an
unknown type is retried until a replica of a newer version handles it.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Self

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractMessage, AbstractRobustChannel, AbstractRobustQueue
from aiormq.abc import AbstractChannel
from contracts import registry, topology
from contracts.envelope import Envelope, Event
from contracts.errors import NotYet, RejectedEvent
from opentelemetry import context, propagate
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge, Histogram
from pydantic import ValidationError

from chassis.ids import new_id
from chassis.messaging.acknowledgements import Acknowledgements
from chassis.messaging.broker import RETRY_TIERS_S, Broker
from chassis.messaging.wire import ATTEMPT, BATCH, FIRST_SEEN, FORGED, REASON, STRUCTURED, again, singles, to_envelope
from chassis.mongo.connection import is_outage
from chassis.observability import telemetry
from chassis.observability.context import correlation_id

log = structlog.get_logger()
MAX_EVENT_BYTES = 1_048_576
DRAIN_S = 10.0
ACKNOWLEDGE_S = 2.0
"""How long a stopping service waits until its acknowledgements are sent."""
REQUEUE_AFTER_S = 5.0
"""Pause before a message is requeued whose events could be neither handled nor retried. RabbitMQ counts deliveries."""
SUSPECT_S = 1.0
"""Maximum delay of a message that may kill the process, for each redelivery after the first."""
PREFETCH = 2
"""Prefetched messages per running handler. Handled ones wait a moment to be acknowledged together."""
UNKNOWN_SOON_TIER, UNKNOWN_LATER_TIER = 1, 2
UNKNOWN_SOON_S = 60.0
"""How long an event of an unknown type is retried every 5 s. After that it is retried every 30 s."""
UNKNOWN_FOR_S = 3600.0
"""How long it is retried before it becomes a dead letter."""
EVENT_TYPE = re.compile(r"[a-z_.]{1,64}v\d+")
Handler = Callable[[Any], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]

_seconds = Histogram("usher_event_seconds", "Time to handle an event", ["type"])
_retried = Counter("usher_events_retried_total", "Events put into a retry tier", ["type", "tier"])
_dead_lettered = Counter("usher_events_dead_total", "Events that became dead letters", ["type", "reason"])
_retired = Counter("usher_events_retired_total", "Dropped events of types that this version no longer needs", ["type"])
_unknown = Counter("usher_events_unknown_total", "Retries of events whose type this version does not know", ["type"])
_unacknowledged = Gauge("usher_events_unacknowledged", "Messages received and neither acknowledged nor returned")
_oldest = Gauge("usher_event_oldest_unacknowledged_seconds", "Age of the oldest of these messages")
_in_hand = Gauge("usher_events_in_hand", "Events being handled now")

_envelope: ContextVar[Envelope] = ContextVar("envelope")


def current_envelope() -> Envelope:
    """Return the envelope of the event that is being handled. Raises LookupError outside a handler."""
    return _envelope.get()


class Unreadable(Exception):
    """The message is not an event that this service can read. `code` is the reason in the metrics."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class UnknownType(Unreadable):
    """The message has an event type that this version of the service does not handle."""

    def __init__(self, event_type: str) -> None:
        super().__init__("unknown_type", f"this version does not handle {event_type}")


def is_forged(message: AbstractIncomingMessage, service: str) -> bool:
    """Whether a message was neither published by its event's owner nor put back by the service that received it.

    Only the owner may write to the exchange that the message names. The headers prove nothing: a publisher can invent
    `x-death`, or send a header twice, of which RabbitMQ reads the first one and its clients the last one.
    """
    queue = topology.queue_name(service)
    ways = {("", queue), (topology.own_exchange(service), queue)}  # a retry tier, and a replayed dead letter
    publishing = topology.publishing_exchange(topology.owner_of(message.type or ""))
    return message.exchange != publishing and (message.exchange, message.routing_key) not in ways


def events_of(message: AbstractMessage) -> Sequence[AbstractMessage]:
    """Split a message into one message per event. A malformed batch counts as one unreadable event."""
    if message.content_type == BATCH:
        with suppress(ValueError):
            return singles(message)
    return [message]


def read(message: AbstractMessage, handlers: Handlers) -> tuple[Envelope, Event]:
    """Parse a message. Raises Unreadable, or UnknownType if a newer version may be able to handle it."""
    if len(message.body) > MAX_EVENT_BYTES:
        raise Unreadable("oversized", f"{len(message.body)} bytes; {MAX_EVENT_BYTES} are allowed")
    event_type = message.type or ""
    if not EVENT_TYPE.fullmatch(event_type):
        raise Unreadable("malformed", f"{event_type!r} is no event type")
    model = registry.model_of(event_type)
    if model is None or model not in handlers:
        raise UnknownType(event_type)
    if message.content_type in {BATCH, STRUCTURED}:
        raise Unreadable("malformed", f"no {message.content_type}")
    try:
        return to_envelope(message), model.model_validate_json(message.body)
    except (ValidationError, UnicodeDecodeError) as error:
        raise Unreadable("malformed", str(error)) from error


async def handle(envelope: Envelope, event: Event, handlers: Handlers) -> None:
    """Call the event's handler with its correlation id and trace as the context."""
    correlation_id.set(envelope.correlation_id)
    _envelope.set(envelope)
    parent = envelope.traceparent
    trace = context.attach(propagate.extract({"traceparent": parent})) if parent else None
    try:
        with (
            _seconds.labels(envelope.type).time(),
            telemetry.span(envelope.type, SpanKind.CONSUMER, subject=envelope.subject),
        ):
            await handlers[type(event)](event)
    finally:
        if trace is not None:
            context.detach(trace)


def _log_unsettled(event: AbstractMessage, failure: BaseException) -> None:
    log.error(
        "event_not_settled",
        type=event.type,
        event_id=event.message_id,
        correlation_id=event.correlation_id,
        exc_info=failure,
    )


async def _wait_if_suspect(message: AbstractIncomingMessage) -> None:
    """Delay a redelivered message, which may have killed the process, by a random time.

    The messages that were received with it are settled first, so that they do not reach the queue's delivery limit.
    """
    deliveries = _number(message, "x-delivery-count")
    if deliveries > 1:
        await asyncio.sleep(random.uniform(0, SUSPECT_S * (deliveries - 1)))  # noqa: S311 - not a secret


def _number(message: AbstractMessage, header: str) -> int:
    """Return a header's number; 0 if it is missing or not a valid count. Headers are not trusted."""
    value = message.headers.get(header)
    return value if isinstance(value, int) and value >= 0 else 0


class Consumer:
    """Passes the events of a service's durable queue to their handlers."""

    def __init__(self, broker: Broker, service: str, handlers: Handlers, concurrency: int) -> None:
        consumed = set(topology.CONSUMES.get(service, ()))
        if consumed != set(handlers):
            missing = ", ".join(sorted(event.type for event in consumed ^ set(handlers)))
            raise ValueError(f"{service}: the topology and the handlers differ in {missing}")
        self._broker, self._service, self._handlers, self._concurrency = broker, service, handlers, concurrency
        self._retired, self._unknown = frozenset(topology.RETIRED.get(service, ())), set[str]()
        self._queue_name, self._dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
        self._running: set[asyncio.Task[None]] = set()
        self._channel: AbstractRobustChannel | None = None
        self._queue: AbstractRobustQueue | None = None
        self._tag = ""
        self._gate = asyncio.Semaphore(concurrency)
        self._acks: dict[AbstractChannel, Acknowledgements] = {}

    async def __aenter__(self) -> Self:
        channel = await self._broker.connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=PREFETCH * self._concurrency)
        queue = await channel.get_queue(self._queue_name)
        _unacknowledged.set_function(lambda: sum(acks.unsettled for acks in self._acks.values()))
        _oldest.set_function(lambda: max((acks.oldest_s for acks in self._acks.values()), default=0.0))
        self._tag = await queue.consume(self._receive)
        self._channel, self._queue = channel, queue  # pyright: ignore[reportAttributeAccessIssue]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._queue is not None and self._broker.is_connected:
            await self._queue.cancel(self._tag)
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_S)
        with suppress(TimeoutError):  # unacknowledged messages are redelivered
            async with asyncio.timeout(ACKNOWLEDGE_S):
                for acks in self._acks.values():
                    await acks.send()
        if self._channel is not None:
            await self._channel.close()

    async def is_consuming(self) -> bool:
        """Whether the broker delivers to this consumer. False until a reconnect has restored it."""
        if self._channel is None or not self._broker.is_connected:
            return False
        underlay: Any = await self._channel.get_underlay_channel()
        return self._tag in underlay.consumers

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        """Handle the events of a message concurrently and acknowledge it when all are settled.

        In every case the message is acknowledged or requeued, or its channel is closed.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback runs in a task
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        acks, tag = self._acks_on(message.channel), message.delivery_tag or 0
        acks.received(tag)
        try:
            if await self._settle(message):
                acks.handled(tag)
                return
            await asyncio.sleep(REQUEUE_AFTER_S)
            await message.nack(requeue=True)
            acks.returned(tag)  # after the nack: a cumulative acknowledgement must not overtake it
        except BaseException as error:
            if not acks.is_over:
                _log_unsettled(message, error)
            acks.give_up(repr(error))
            if not isinstance(error, Exception):
                raise

    async def _settle(self, message: AbstractIncomingMessage) -> bool:
        """Handle a message's events concurrently. Returns False when one could be neither handled nor retried."""
        try:
            await _wait_if_suspect(message)
            events = events_of(message)
        except Exception as error:
            _log_unsettled(message, error)
            return False
        settle = self._process
        if is_forged(message, self._service):
            settle = self._refuse
        elif message.redelivered and len(events) > 1:
            settle = self._retry_alone  # the batch may contain an event that kills the process
        results = await asyncio.gather(*map(settle, events), return_exceptions=True)
        failures = [(event, result) for event, result in zip(events, results, strict=True) if result is not None]
        for event, failure in failures:
            _log_unsettled(event, failure)
        return not failures

    def _acks_on(self, channel: AbstractChannel) -> Acknowledgements:
        if channel not in self._acks:
            # After a reconnect, delivery tags restart and RabbitMQ redelivers the messages of the old channel.
            live = {each: acks for each, acks in self._acks.items() if not acks.is_over}
            self._acks = live | {channel: Acknowledgements(channel)}
        return self._acks[channel]

    async def _refuse(self, event: AbstractMessage) -> None:
        """Dead-letter an event of a forged message."""
        await self._dead_letter(event, FORGED, "the event's owner has not published it")

    async def _retry_alone(self, event: AbstractMessage) -> None:
        """Retry an event of a batch as a separate message."""
        await self._broker.retry_later(event, tier=0)

    async def _process(self, event: AbstractMessage) -> None:
        """Handle an event. If that fails, retry or dead-letter this event only. Raises if neither is possible."""
        async with self._gate:
            with _in_hand.track_inprogress():
                try:
                    envelope, parsed = read(event, self._handlers)
                    await handle(envelope, parsed, self._handlers)
                except UnknownType as error:
                    await self._drop_or_retry(event, error)
                except Unreadable as error:
                    await self._dead_letter(event, error.code, str(error))
                except RejectedEvent as error:
                    await self._dead_letter(event, "rejected", f"{type(error).__name__}: {error}")
                except Exception as error:
                    await self._retry(event, error)

    async def _drop_or_retry(self, event: AbstractMessage, error: UnknownType) -> None:
        """Drop an event of a retired type. Retry one of an unknown type for an hour, for a newer version's replica."""
        event_type, now = event.type or "", int(time.time())
        if event_type in self._retired:
            _retired.labels(event_type).inc()
            log.debug("event_retired", type=event_type, event_id=event.message_id)
            return
        first_seen = _number(event, FIRST_SEEN) or now
        if now - first_seen >= UNKNOWN_FOR_S:
            await self._dead_letter(event, error.code, str(error))
            return
        _unknown.labels(event_type).inc()
        if event_type not in self._unknown:
            self._unknown.add(event_type)
            log.warning("event_unknown", type=event_type, event_id=event.message_id)
        tier = UNKNOWN_SOON_TIER if now - first_seen < UNKNOWN_SOON_S else UNKNOWN_LATER_TIER
        await self._broker.retry_later(again(event, **{FIRST_SEEN: first_seen}), tier)

    async def _retry(self, message: AbstractMessage, error: Exception) -> None:
        attempt = _number(message, ATTEMPT)
        reason = f"{type(error).__name__}: {error}"
        if is_outage(error):
            # During a database outage no event can be handled, so it does not count as an attempt.
            await self._schedule_retry(message, error, reason, tier=0, attempt=attempt)
        elif attempt < len(RETRY_TIERS_S):
            await self._schedule_retry(message, error, reason, tier=attempt, attempt=attempt + 1)
        else:
            log.error("event_retries_spent", type=message.type, event_id=message.message_id, exc_info=error)
            await self._dead_letter(message, "spent", reason)

    async def _schedule_retry(
        self, message: AbstractMessage, error: Exception, reason: str, *, tier: int, attempt: int
    ) -> None:
        expected = isinstance(error, NotYet) or is_outage(error)
        log.log(
            20 if expected else 30,
            "event_retried",
            type=message.type,
            event_id=message.message_id,
            tier_s=RETRY_TIERS_S[tier],
            reason=reason,
            exc_info=None if expected else error,
        )
        _retried.labels(message.type, RETRY_TIERS_S[tier]).inc()
        late = again(message, **{ATTEMPT: attempt, REASON: reason[:500]})
        await self._broker.retry_later(late, tier)

    async def _dead_letter(self, message: AbstractMessage, code: str, reason: str) -> None:
        log.error("event_dead", type=message.type, event_id=message.message_id, code=code, reason=reason[:500])
        _dead_lettered.labels(message.type if registry.model_of(message.type or "") else "unknown", code).inc()
        await self._broker.put(again(message, **{REASON: f"{code}: {reason[:500]}"}), self._dead)


class BroadcastConsumer:
    """Passes the events of a replica's temporary queue to their handlers, without retries. For live displays."""

    def __init__(self, broker: Broker, service: str, broadcast_handlers: Handlers) -> None:
        self._broker, self._service, self._handlers = broker, service, broadcast_handlers
        self._channel: AbstractRobustChannel | None = None

    async def __aenter__(self) -> Self:
        channel = await self._broker.connection.channel(publisher_confirms=False)
        name = f"{self._service}.watch.{new_id()}"
        queue = await channel.declare_queue(name, exclusive=True, auto_delete=True, durable=False)
        for event in topology.BROADCAST.get(self._service, ()):
            await queue.bind(topology.EXCHANGE, event.type)
        await queue.consume(self._receive, no_ack=True)
        self._channel = channel  # pyright: ignore[reportAttributeAccessIssue]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        if is_forged(message, self._service):
            log.error("broadcast_event_forged", type=message.type)
            return
        for each in events_of(message):
            try:
                envelope, event = read(each, self._handlers)
                await handle(envelope, event, self._handlers)
            except Exception:
                log.exception("broadcast_event_failed", type=each.type, event_id=each.message_id)
