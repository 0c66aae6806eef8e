"""Every message is settled or redelivered: after stalls and cancellations, and with unknown or retired types."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aio_pika
import pytest
from chassis import bindings
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging import broker, wire
from chassis.messaging import consumer as consuming
from chassis.messaging.acknowledgements import Acknowledgements
from chassis.messaging.broker import Broker
from chassis.messaging.consumer import Consumer
from chassis.testing import Bus, until
from contracts import topology
from contracts.envelope import Envelope, Event
from contracts.errors import NotYet
from prometheus_client import REGISTRY

NEWER, RETIRED = "desk.stamped.v2", "desk.folded.v1"


class Stamped(Event, type="desk.stamped.v1", subject="letter"):
    letter: str


def envelope(letter: str, event_type: str = Stamped.type) -> Envelope:
    body = Stamped(letter=letter).model_dump_json()
    return Envelope(id=new_id(), source="desk", type=event_type, subject=letter, time=now(), body=body)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def consumer(rabbit: Broker, handle: Callable[[Stamped], Awaitable[None]]) -> Consumer:
    return Consumer(rabbit, "desk", {Stamped: handle}, 16)


@pytest.fixture
async def desk(service_env: None, toy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    """A connection of a service `desk` with an empty queue and no consumer yet."""
    monkeypatch.setitem(topology.CONSUMES, "desk", (Stamped,))
    monkeypatch.setitem(topology.RETIRED, "desk", (RETIRED,))
    async with broker.connected(toy.Settings(service="desk")) as rabbit:
        for name in (topology.queue_name("desk"), topology.dead_letter_queue_name("desk")):
            await (await rabbit.channel.get_queue(name)).purge()
        yield rabbit


async def is_empty(rabbit: Broker) -> bool:
    """Whether the queue has no message, ready or unacknowledged. Only then can it be deleted."""
    channel = await rabbit.connection.channel()
    count = (await channel.declare_queue(topology.queue_name("desk"), passive=True)).declaration_result.message_count
    await channel.close()
    return not count and metric("usher_events_unacknowledged") == 0


async def test_no_message_stays_unsettled_when_the_broker_stalls_during_a_retry(
    desk: Broker, proxy: Any, toy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(broker, "CONFIRM_TIMEOUT_S", 0.5)
    monkeypatch.setattr(consuming, "REQUEUE_AFTER_S", 0.1)
    letters = [f"letter-{number}" for number in range(40)]
    handled: set[str] = set()
    stalls, is_over = asyncio.Event(), asyncio.Event()

    async def handle(event: Stamped) -> None:
        if not is_over.is_set():
            proxy.is_open.clear()
            stalls.set()
            raise NotYet("too early")
        handled.add(event.letter)

    async def are_handled() -> bool:
        return handled == set(letters)

    async def all_returned() -> bool:
        return metric("usher_events_unacknowledged") == 0

    async with (
        broker.connected(toy.Settings(service="desk", rabbitmq_uri=proxy.uri)) as rabbit,
        consumer(rabbit, handle),
    ):
        await desk.publish(*map(envelope, letters[:20]))
        for letter in letters[20:]:
            await desk.publish(envelope(letter))
        await stalls.wait()
        assert metric("usher_events_unacknowledged") > 0
        assert metric("usher_event_oldest_unacknowledged_seconds") > 0
        await until(all_returned)
        is_over.set()
        proxy.is_open.set()
        await until(are_handled)
        await until(lambda: is_empty(desk))


async def test_a_message_whose_task_is_cancelled_is_redelivered_on_a_new_channel(desk: Broker):
    tasks: list[asyncio.Task[Any]] = []
    attempts: list[str] = []
    blocked = asyncio.Event()

    async def handle(event: Stamped) -> None:
        attempts.append(event.letter)
        if len(attempts) == 1:
            tasks.extend(reader._running)
            blocked.set()
            await asyncio.Event().wait()

    async def came_again() -> bool:
        return attempts == ["a", "a", "b"]

    reader = consumer(desk, handle)
    async with reader:
        await desk.publish(envelope("a"))
        await blocked.wait()
        for task in tasks:
            task.cancel()
        await until(lambda: _length(attempts, 2))
        await desk.publish(envelope("b"))
        await until(came_again)
        await until(reader.is_consuming)
        await until(lambda: is_empty(desk))


async def _length(items: list[str], count: int) -> bool:
    return len(items) == count


@pytest.mark.parametrize("method", ["basic_ack", "basic_nack"])
async def test_a_message_that_cannot_be_settled_is_redelivered(
    desk: Broker, method: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consuming, "REQUEUE_AFTER_S", 0.0)
    attempts: list[str] = []

    async def handle(event: Stamped) -> None:
        attempts.append(event.letter)
        if len(attempts) == 1:
            underlay: Any = await reader._channel.get_underlay_channel()  # pyright: ignore[reportOptionalMemberAccess]
            monkeypatch.setattr(underlay, method, fails)
            if method == "basic_nack":
                raise asyncio.CancelledError

    async def fails(*_: object, **__: object) -> None:
        raise ValueError("a fault below")

    reader = consumer(desk, handle)
    async with reader:
        await desk.publish(envelope("a"))
        await until(lambda: _length(attempts, 2))
        await until(lambda: is_empty(desk))


@pytest.mark.parametrize("header", ["x-delivery-count", wire.ATTEMPT, wire.FIRST_SEEN])
async def test_a_header_that_is_not_a_number_is_ignored(desk: Broker, bus: Bus, header: str):
    handled: list[str] = []

    async def handle(event: Stamped) -> None:
        handled.append(event.letter)
        if len(handled) == 1:
            raise NotYet("too early")

    async with consumer(desk, handle):
        await bus.publish_raw(Stamped.type, '{"letter": "a"}', **{header: "many"})
        await until(lambda: _length(handled, 2))
        await until(lambda: is_empty(desk))


async def test_messages_handled_while_others_are_acknowledged_are_acknowledged_too(desk: Broker):
    """If the broker reads slowly, an acknowledgement takes longer than handling the next message."""
    queue = await desk.channel.get_queue(topology.queue_name("desk"))
    await desk.publish(envelope("a"))
    await desk.publish(envelope("b"))
    messages = [await queue.get(), await queue.get()]
    underlay: Any = await desk.channel.get_underlay_channel()
    acks = Acknowledgements(underlay)
    acknowledge = underlay.basic_ack

    async def slowly(tag: int, **how: Any) -> None:
        await acknowledge(tag, **how)
        if tag == first:
            acks.handled(second)

    first, second = (message.delivery_tag or 0 for message in messages if message)
    acks.received(first)
    acks.received(second)
    underlay.basic_ack = slowly
    acks.handled(first)

    async def all_told() -> bool:
        return acks.unsettled == 0

    await until(all_told)
    underlay.basic_ack = acknowledge


async def test_an_unknown_type_waits_for_a_newer_version(desk: Broker, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consuming, "UNKNOWN_SOON_TIER", 0)
    queue, handled = topology.queue_name("desk"), list[str]()
    before = metric("usher_events_unknown_total", type=NEWER)

    async def handle(event: Stamped) -> None:
        handled.append(event.letter)

    async def put_back() -> bool:
        return metric("usher_events_unknown_total", type=NEWER) >= before + 4

    async with consumer(desk, handle):
        for message in (wire.to_batch([envelope("a", NEWER), envelope("b", NEWER)]), wire.to_message(envelope("c"))):
            await desk.put(message, queue)
        await until(put_back)
        assert handled == ["c"]

    class Renewed(Event, type=NEWER, subject="letter"):
        letter: str

    newer = list[tuple[str, int]]()

    async def handle_newer(event: Renewed) -> None:
        newer.append((event.letter, consuming.current_envelope().version))

    async def both() -> bool:
        return len(newer) == 2

    monkeypatch.setitem(topology.CONSUMES, "desk", (Stamped, Renewed))
    async with Consumer(desk, "desk", {Stamped: handle, Renewed: handle_newer}, 16):
        await until(both)
        await until(lambda: is_empty(desk))
    assert sorted(newer) == [("a", 0), ("b", 0)]


async def test_after_an_hour_an_unknown_type_becomes_a_dead_letter(desk: Broker, bus: Bus):
    message = wire.to_message(envelope("a", "desk.stamped.v3"))
    message.headers[wire.FIRST_SEEN] = int(time.time() - consuming.UNKNOWN_FOR_S)
    async with consumer(desk, lambda _: asyncio.sleep(0)):
        await desk.put(message, topology.queue_name("desk"))
        (letter,) = await bus.dead("desk")
    assert letter.reason == "unknown_type: this version does not handle desk.stamped.v3"


async def test_a_text_that_is_not_an_event_type_becomes_a_dead_letter_at_once(desk: Broker, bus: Bus):
    async with consumer(desk, lambda _: asyncio.sleep(0)):
        await desk.put(aio_pika.Message(b"{}", type="Something else", message_id=new_id()), topology.queue_name("desk"))
        (letter,) = await bus.dead("desk")
    assert letter.reason.startswith("malformed: ")


async def test_an_event_that_its_owner_has_not_published_becomes_a_dead_letter(desk: Broker, bus: Bus):
    handled = list[str]()

    async def handle(event: Stamped) -> None:
        handled.append(event.letter)

    copied = wire.to_message(envelope("a"))
    copied.headers["CC"] = [Stamped.type, topology.queue_name("desk")]  # RabbitMQ does not check these routing keys
    others = await desk.channel.get_exchange(topology.publishing_exchange("booking"), ensure=False)
    own = await desk.channel.get_exchange(topology.publishing_exchange("desk"), ensure=False)
    async with consumer(desk, handle):
        await others.publish(copied, "booking.mine")
        (forged,) = await bus.dead("desk")
        await own.publish(wire.to_batch([envelope("b"), envelope("c", NEWER)]), Stamped.type)
        (mixed,) = await bus.dead("desk")
        await until(lambda: is_empty(desk))
    assert forged.reason.startswith("forged: ")
    assert mixed.reason.startswith("malformed: ")
    assert handled == ["b"]


@pytest.mark.parametrize(
    ("exchange", "routing_key", "forged"),
    [
        ("desk.published", "desk.stamped.v1", False),
        ("", "till.events", False),  # from a retry tier
        ("till.queues", "till.events", False),  # a replayed dead letter
        ("toy.published", "desk.stamped.v1", True),
        ("usher.events", "desk.stamped.v1", True),
        ("", "toy.events", True),  # a copy of what another service's retry tier has returned
        ("", "till.events.dead", True),
        ("toy.queues", "till.events", True),
        ("toy.watch.1", "till.events", True),
    ],
)
def test_the_exchange_proves_who_has_published_a_message(exchange: str, routing_key: str, forged: bool):
    message: Any = SimpleNamespace(exchange=exchange, routing_key=routing_key, type=Stamped.type)
    assert consuming.is_forged(message, "till") is forged


async def test_a_start_keeps_bindings_and_contract_removes_the_retired_ones(desk: Broker, bus: Bus, rabbitmq_uri: str):
    handled, retired = list[str](), metric("usher_events_retired_total", type=RETIRED)
    queue: Any = await desk.channel.get_queue(topology.queue_name("desk"))
    await queue.bind(topology.EXCHANGE, RETIRED, robust=False)
    empty, full, *gone = topology.RETIRED_QUEUES
    for name in (empty, full):
        await desk.channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
    await desk.channel.default_exchange.publish(aio_pika.Message(b"{}"), full)

    async def handle(event: Stamped) -> None:
        handled.append(event.letter)

    async def dropped() -> bool:
        return metric("usher_events_retired_total", type=RETIRED) == retired + 1

    async with consumer(desk, handle):
        await bus.publish_raw(RETIRED, "{}")
        await until(dropped)
        lines = [line async for line in bindings.contract(rabbitmq_uri)]
        assert f"desk.events is not bound to {RETIRED}" in lines
        assert f"{empty} is deleted" in lines
        assert f"{full} still has messages: run this again later" in lines
        await (await desk.channel.get_queue(full)).purge()
        await bindings.run(rabbitmq_uri)
        lines = [line async for line in bindings.contract(rabbitmq_uri)]
        assert [f"{name} does not exist" for name in (empty, full, *gone)] == lines[-len(topology.RETIRED_QUEUES) :]
        await bus.publish_raw(RETIRED, "{}")
        await desk.publish(envelope("a"))
        await until(lambda: _length(handled, 1))
        await until(lambda: is_empty(desk))
    assert await dropped()
