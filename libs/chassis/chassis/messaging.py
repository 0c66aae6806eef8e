"""Events in: a bounded number at a time, acknowledged once their effect is durable.

An event that cannot be handled now waits in the retry tiers; one that never can be, or that has used them up, goes
to the dead letters with its reason. While the database cannot be reached, events wait and are not counted. An event of
an unknown type waits for a replica of a newer version.
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

from chassis import telemetry
from chassis.acks import Acknowledgements
from chassis.broker import RETRY_TIERS_S, Broker
from chassis.context import correlation_id
from chassis.ids import new_id
from chassis.mongo import is_outage
from chassis.wire import ATTEMPT, BATCH, FIRST_SEEN, REASON, STRUCTURED, again, singles, to_envelope

log = structlog.get_logger()
MAX_EVENT_BYTES = 1_048_576
DRAIN_S = 10.0
ACKNOWLEDGE_S = 2.0
"""How long a service that stops waits for a broker that does not read its acknowledgements."""
REQUEUE_AFTER_S = 5.0
"""Before a message whose events could be neither handled nor put off comes again. Each time counts for the broker."""
SUSPECT_S = 1.0
"""The head start that others get on a suspect message, more with each delivery."""
PREFETCH = 2
"""Messages at hand for each running handler: handled ones wait a moment to be acknowledged together."""
UNKNOWN_SOON_TIER, UNKNOWN_LATER_TIER = 1, 2
UNKNOWN_SOON_S = 60.0
"""How long an event of an unknown type comes back every 5 s, later every 30 s."""
UNKNOWN_FOR_S = 3600.0
"""How long it comes back before it is a dead letter."""
EVENT_TYPE = re.compile(r"[a-z_.]{1,64}v\d+")
Reaction = Callable[[Any], Awaitable[None]]
Reactions = Mapping[type[Event], Reaction]

_seconds = Histogram("usher_event_seconds", "Time to react to an event", ["type"])
_retried = Counter("usher_events_retried_total", "Events put into a retry tier", ["type", "tier"])
_buried = Counter("usher_events_dead_total", "Events put to the dead letters", ["type", "reason"])
_retired = Counter("usher_events_retired_total", "Events that this version no longer needs, dropped", ["type"])
_unknown = Counter("usher_events_unknown_total", "Events of a type that this version does not know, put back", ["type"])
_unacknowledged = Gauge("usher_events_unacknowledged", "Messages received and neither acknowledged nor returned")
_oldest = Gauge("usher_event_oldest_unacknowledged_seconds", "How long the oldest of them has been here")
_in_hand = Gauge("usher_events_in_hand", "Events being handled now")

_envelope: ContextVar[Envelope] = ContextVar("envelope")


def current_envelope() -> Envelope:
    """The envelope of the event that is being handled. Raises LookupError outside a reaction."""
    return _envelope.get()


class Unreadable(Exception):
    """The message is not an event that this service hears. `code` says why, for the metrics."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class UnknownType(Unreadable):
    """The message has an event type that this version of the service does not handle."""

    def __init__(self, event_type: str) -> None:
        super().__init__("unknown_type", f"this version does not handle {event_type}")


def events_of(message: AbstractMessage) -> Sequence[AbstractMessage]:
    """The message's events, each as a message of its own. A batch that cannot be read is one unreadable event."""
    if message.content_type == BATCH:
        with suppress(ValueError):
            return singles(message)
    return [message]


def read(message: AbstractMessage, reactions: Reactions) -> tuple[Envelope, Event]:
    """The envelope and the event of a message. Raises Unreadable; UnknownType if a newer version may handle it."""
    if len(message.body) > MAX_EVENT_BYTES:
        raise Unreadable("oversized", f"{len(message.body)} bytes; {MAX_EVENT_BYTES} are allowed")
    event_type = message.type or ""
    if not EVENT_TYPE.fullmatch(event_type):
        raise Unreadable("malformed", f"{event_type!r} is no event type")
    model = registry.model_of(event_type)
    if model is None or model not in reactions:
        raise UnknownType(event_type)
    if message.content_type in {BATCH, STRUCTURED}:
        raise Unreadable("malformed", f"no {message.content_type}")
    try:
        return to_envelope(message), model.model_validate_json(message.body)
    except (ValidationError, UnicodeDecodeError) as error:
        raise Unreadable("malformed", str(error)) from error


async def react(envelope: Envelope, event: Event, reactions: Reactions) -> None:
    """Run the reaction with the event's correlation id and trace around it."""
    correlation_id.set(envelope.correlation_id)
    _envelope.set(envelope)
    parent = envelope.traceparent
    trace = context.attach(propagate.extract({"traceparent": parent})) if parent else None
    try:
        with (
            _seconds.labels(envelope.type).time(),
            telemetry.span(envelope.type, SpanKind.CONSUMER, subject=envelope.subject),
        ):
            await reactions[type(event)](event)
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
    """Give other messages a head start on one that may have killed the process, in another order each time.

    So they are settled before the queue's delivery limit counts them among the dead.
    """
    deliveries = _number(message, "x-delivery-count")
    if deliveries > 1:
        await asyncio.sleep(random.uniform(0, SUSPECT_S * (deliveries - 1)))  # noqa: S311 - guards nothing


def _number(message: AbstractMessage, header: str) -> int:
    """A header's number; 0 if it is missing or something else, because anybody may write anything into it."""
    value = message.headers.get(header)
    return value if isinstance(value, int) and value >= 0 else 0


class Consumer:
    """Feeds a service's durable queue to its reactions."""

    def __init__(self, broker: Broker, service: str, reactions: Reactions, concurrency: int) -> None:
        heard = set(topology.HEARS.get(service, ()))
        if heard != set(reactions):
            missing = ", ".join(sorted(event.type for event in heard ^ set(reactions)))
            raise ValueError(f"{service}: the topology and the reactions disagree about {missing}")
        self._broker, self._reactions, self._concurrency = broker, reactions, concurrency
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
        with suppress(TimeoutError):  # a broker that does not read gets no acknowledgement: all comes again
            async with asyncio.timeout(ACKNOWLEDGE_S):
                for acks in self._acks.values():
                    await acks.send()
        if self._channel is not None:
            await self._channel.close()

    async def is_consuming(self) -> bool:
        """Whether the broker still feeds this consumer; false while a reconnect has not restored it."""
        if self._channel is None or not self._broker.is_connected:
            return False
        underlay: Any = await self._channel.get_underlay_channel()
        return self._tag in underlay.consumers

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        """Handle the events of a message together and acknowledge it once all are settled.

        Whatever happens, the message is acknowledged or returned at the end, or else its channel is closed.
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
            acks.returned(tag)  # only now: an acknowledgement of all messages up to a later one must not overtake it
        except BaseException as error:
            if not acks.is_over:
                _log_unsettled(message, error)
            acks.give_up(repr(error))
            if not isinstance(error, Exception):
                raise

    async def _settle(self, message: AbstractIncomingMessage) -> bool:
        """Handle a message's events together; False when one could be neither handled nor put elsewhere."""
        try:
            await _wait_if_suspect(message)
            events = events_of(message)
        except Exception as error:
            _log_unsettled(message, error)
            return False
        # A batch that comes again may hold an event that kills the process.
        settle = self._set_apart if message.redelivered and len(events) > 1 else self._process
        results = await asyncio.gather(*map(settle, events), return_exceptions=True)
        failures = [(event, result) for event, result in zip(events, results, strict=True) if result is not None]
        for event, failure in failures:
            _log_unsettled(event, failure)
        return not failures

    def _acks_on(self, channel: AbstractChannel) -> Acknowledgements:
        if channel not in self._acks:
            # After a reconnect the tags begin anew, and what the old channel delivered comes again.
            live = {each: acks for each, acks in self._acks.items() if not acks.is_over}
            self._acks = live | {channel: Acknowledgements(channel)}
        return self._acks[channel]

    async def _set_apart(self, event: AbstractMessage) -> None:
        """Let an event of a batch come again as a message of its own, a little later: the batch is gone by then."""
        await self._broker.retry_later(event, self._queue_name, tier=0)

    async def _process(self, event: AbstractMessage) -> None:
        """Handle an event. One that fails goes alone into a retry tier or to the dead letters; raises if it cannot."""
        async with self._gate:
            with _in_hand.track_inprogress():
                try:
                    envelope, parsed = read(event, self._reactions)
                    await react(envelope, parsed, self._reactions)
                except UnknownType as error:
                    await self._leave(event, error)
                except Unreadable as error:
                    await self._bury(event, error.code, str(error))
                except RejectedEvent as error:
                    await self._bury(event, "rejected", f"{type(error).__name__}: {error}")
                except Exception as error:
                    await self._retry(event, error)

    async def _leave(self, event: AbstractMessage, error: UnknownType) -> None:
        """Leave an event to replicas of another version: of a newer one for an hour, or to the past."""
        event_type, now = event.type or "", int(time.time())
        if event_type in self._retired:
            _retired.labels(event_type).inc()
            log.debug("event_retired", type=event_type, event_id=event.message_id)
            return
        first_seen = _number(event, FIRST_SEEN) or now
        if now - first_seen >= UNKNOWN_FOR_S:
            await self._bury(event, error.code, str(error))
            return
        _unknown.labels(event_type).inc()
        if event_type not in self._unknown:
            self._unknown.add(event_type)
            log.warning("event_unknown", type=event_type, event_id=event.message_id)
        tier = UNKNOWN_SOON_TIER if now - first_seen < UNKNOWN_SOON_S else UNKNOWN_LATER_TIER
        await self._broker.retry_later(again(event, **{FIRST_SEEN: first_seen}), self._queue_name, tier)

    async def _retry(self, message: AbstractMessage, error: Exception) -> None:
        attempt = _number(message, ATTEMPT)
        reason = f"{type(error).__name__}: {error}"
        if is_outage(error):
            # Without the database no event can be handled; that uses up nobody's attempts, however long it takes.
            await self._put_off(message, error, reason, tier=0, attempt=attempt)
        elif attempt < len(RETRY_TIERS_S):
            await self._put_off(message, error, reason, tier=attempt, attempt=attempt + 1)
        else:
            log.error("event_retries_spent", type=message.type, event_id=message.message_id, exc_info=error)
            await self._bury(message, "spent", reason)

    async def _put_off(
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
        await self._broker.retry_later(late, self._queue_name, tier)

    async def _bury(self, message: AbstractMessage, code: str, reason: str) -> None:
        log.error("event_dead", type=message.type, event_id=message.message_id, code=code, reason=reason[:500])
        _buried.labels(message.type if registry.model_of(message.type or "") else "unknown", code).inc()
        await self._broker.put(again(message, **{REASON: f"{code}: {reason[:500]}"}), self._dead)


class Watcher:
    """Feeds a replica's own short-lived queue to its handlers: live display only, no retries, nothing durable."""

    def __init__(self, broker: Broker, service: str, watchers: Reactions) -> None:
        self._broker, self._service, self._watchers = broker, service, watchers
        self._channel: AbstractRobustChannel | None = None

    async def __aenter__(self) -> Self:
        channel = await self._broker.connection.channel(publisher_confirms=False)
        name = f"{self._service}.watch.{new_id()}"
        queue = await channel.declare_queue(name, exclusive=True, auto_delete=True, durable=False)
        for event in topology.WATCHES.get(self._service, ()):
            await queue.bind(self._broker.exchange, event.type)
        await queue.consume(self._receive, no_ack=True)
        self._channel = channel  # pyright: ignore[reportAttributeAccessIssue]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        for each in events_of(message):
            try:
                envelope, event = read(each, self._watchers)
                await react(envelope, event, self._watchers)
            except Exception:
                log.exception("watched_event_failed", type=each.type, event_id=each.message_id)
