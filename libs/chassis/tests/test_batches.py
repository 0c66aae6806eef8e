"""Batches: their events are handled concurrently, and a failing event does not affect the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from aiormq.exceptions import AMQPError
from chassis.ids import new_id
from chassis.messaging import broker, wire
from chassis.messaging import consumer as consuming
from chassis.messaging.broker import Broker
from chassis.messaging.consumer import Consumer, current_envelope
from chassis.observability.context import correlation_id
from chassis.testing import Bus, until
from contracts import topology
from contracts.envelope import Envelope, Event
from contracts.errors import NotYet, RejectedEvent
from structlog.testing import capture_logs


class Probed(Event, type="lab.probed.v1", subject="probe_id"):
    probe_id: str
    text: str = ""


def envelopes(*probe_ids: str) -> list[Envelope]:
    return [
        Envelope(
            id=new_id(),
            source="lab",
            type=Probed.type,
            subject=probe_id,
            time=datetime(2026, 11, 21, 20, 15, tzinfo=UTC),
            version=number,
            correlation_id=f"correlation-{number}" if number else "",
            traceparent=f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333{number}-01" if number else "",
            body=Probed(probe_id=probe_id, text='"å\n\u2028').model_dump_json(),
        )
        for number, probe_id in enumerate(probe_ids)
    ]


def test_a_batch_is_read_as_it_was_written():
    written = envelopes("a", "b", 'c"\\')
    assert [wire.to_envelope(each) for each in wire.singles(wire.to_batch(written))] == written


def test_a_batch_contains_the_json_of_its_events():
    (written,) = envelopes("a")
    assert written.body.encode() in wire.to_batch([written]).body


async def pings(toy, count: int) -> list[str]:
    ping_ids = [new_id() for _ in range(count)]
    for ping_id in ping_ids:
        await toy.pings.insert(toy.Ping(id=ping_id))
    return ping_ids


async def test_each_event_of_a_batch_is_handled_with_its_own_envelope(client, bus: Bus, toy):
    ping_ids = await pings(toy, 3)
    said = await bus.publish_batch(*(toy.Pinged(ping_id=ping_id, text='"å\n') for ping_id in ping_ids))
    for ping_id in ping_ids:
        await bus.wait_for(toy.Ponged, lambda event, ping_id=ping_id: event.ping_id == ping_id)
    heard = [each for each in bus.envelopes(toy.Pinged) if each.subject in ping_ids]
    assert heard == said


async def test_a_failing_event_does_not_affect_the_others_of_its_message(client, bus: Bus, toy):
    good, late, bad = await pings(toy, 3)
    toy.failures[late], toy.failures[bad] = [NotYet("too early")], [RejectedEvent("makes no sense")]
    await bus.publish_batch(*(toy.Pinged(ping_id=ping_id) for ping_id in (bad, late, good)))
    for ping_id in (good, late):
        await bus.wait_for(toy.Ponged, lambda event, ping_id=ping_id: event.ping_id == ping_id)
    (letter,) = await bus.dead("toy")
    assert letter.reason == "rejected: RejectedEvent: makes no sense"
    assert toy.Pinged.model_validate_json(letter.body).ping_id == bad


@pytest.mark.parametrize(
    "entry",
    [
        "null",
        '"text"',
        '{"ping_id": "no envelope"}',
        '{"specversion": "1.0", "id": 7, "source": "toy", "type": "toy.pinged.v1", "time": "2026-11-21T20:15:00Z",'
        ' "data": {"ping_id": "a number for an id"}}',
        '{"specversion": "1.0", "id": "7", "source": "toy", "type": "toy.pinged.v1", "time": "2026-11-21T20:15:00Z"}',
    ],
)
async def test_only_the_entry_that_is_not_an_event_becomes_a_dead_letter(client, bus: Bus, toy, entry: str):
    (ping_id,) = await pings(toy, 1)
    whole = wire.to_batch(_pinged(toy, ping_id)).body.decode()
    await bus.publish_raw(toy.Pinged.type, f"[{entry},{whole[1:-1]}]", content_type=wire.BATCH)
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    (letter,) = await bus.dead("toy")
    assert letter.reason.startswith("malformed")
    assert letter.body.decode() == entry.replace('": ', '":').replace(', "', ',"')


def _pinged(toy, ping_id: str) -> list[Envelope]:
    body = toy.Pinged(ping_id=ping_id).model_dump_json()
    now = datetime.now(UTC)
    return [Envelope(id=new_id(), source="toy", type=toy.Pinged.type, subject=ping_id, time=now, body=body)]


async def test_only_the_entry_with_another_shape_becomes_a_dead_letter(client, bus: Bus, toy):
    (ping_id,) = await pings(toy, 1)
    (strange,) = _pinged(toy, "x")
    strange = strange.model_copy(update={"body": '{"text":"no id"}'})
    batch = wire.to_batch([strange, *_pinged(toy, ping_id)])
    await bus.publish_raw(toy.Pinged.type, batch.body, content_type=wire.BATCH)
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    (letter,) = await bus.dead("toy")
    assert letter.reason.startswith("malformed")
    assert letter.body.decode() == strange.body


@pytest.mark.parametrize("body", [b"[{", b'{"a": 1}', b"\xff"])
async def test_an_unreadable_batch_becomes_one_dead_letter(client, bus: Bus, toy, body: bytes):
    await bus.publish_raw(toy.Pinged.type, body, content_type=wire.BATCH)
    (letter,) = await bus.dead("toy")
    assert letter.reason.startswith("malformed")
    assert letter.body == body


@pytest.fixture
async def lab(service_env: None, toy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    """A connection of a service `lab` with an empty queue and no consumer yet."""
    monkeypatch.setitem(topology.CONSUMES, "lab", (Probed,))
    async with broker.connected(toy.Settings(service="lab")) as rabbit:
        for name in (topology.queue_name("lab"), topology.dead_letter_queue_name("lab")):
            await (await rabbit.channel.get_queue(name)).purge()
        yield rabbit


def lab_consumer(rabbit: Broker, handle: Callable[[Probed], Awaitable[None]]) -> Consumer:
    return Consumer(rabbit, "lab", {Probed: handle}, 16)


async def waiting(rabbit: Broker) -> int:
    """The number of messages that are ready in the queue."""
    channel = await rabbit.channel.get_underlay_channel()
    return (await channel.queue_declare(topology.queue_name("lab"), passive=True)).message_count or 0


async def test_events_of_a_message_are_handled_concurrently_each_in_its_own_context(lab: Broker):
    together, seen = asyncio.Barrier(3), dict[str, tuple[str, str, int]]()

    async def handle(event: Probed) -> None:
        await together.wait()
        seen[event.probe_id] = (correlation_id.get(), current_envelope().subject, current_envelope().version)

    async def all_seen() -> bool:
        return len(seen) == 3

    async with lab_consumer(lab, handle):
        await lab.publish(*envelopes("a", "b", "c"))
        await until(all_seen)
    assert seen == {"a": ("", "a", 0), "b": ("correlation-1", "b", 1), "c": ("correlation-2", "c", 2)}
    assert await waiting(lab) == 0


async def test_an_event_that_kills_the_process_does_not_affect_the_others_of_its_message(
    lab: Broker, toy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consuming, "SUSPECT_S", 0.1)
    handled: set[str] = set()

    async def lives_through(rabbit: Broker) -> None:
        killed = asyncio.Event()

        async def handle(event: Probed) -> None:
            if event.probe_id == "poison":
                killed.set()
                await asyncio.Event().wait()
            handled.add(event.probe_id)

        async with lab_consumer(rabbit, handle):
            await killed.wait()
            await rabbit.connection.close()

    await lab.publish(*envelopes("poison", "a", "b", "c"))
    left = deaths = 0
    while left != 1 or deaths < 4:  # the first split the batch
        deaths += 1
        assert deaths < 18, "the queue's delivery limit is twenty"
        async with broker.connected(toy.Settings(service="lab")) as rabbit:
            await lives_through(rabbit)
        left = await until(lambda: waiting(lab))
    assert handled == {"a", "b", "c"}
    poison = await (await lab.channel.get_queue(topology.queue_name("lab"))).get(no_ack=True)
    assert poison is not None
    assert wire.to_envelope(poison).subject == "poison"


@pytest.mark.parametrize("together", [1, 2])
async def test_a_message_that_can_be_neither_handled_nor_retried_is_redelivered(
    lab: Broker, monkeypatch: pytest.MonkeyPatch, together: int
):
    monkeypatch.setattr(consuming, "REQUEUE_AFTER_S", 0.1)
    attempts: list[str] = []

    async def handle(event: Probed) -> None:
        attempts.append(event.probe_id)
        if len(attempts) <= together:
            raise NotYet("too early")

    async def all_tried_again() -> bool:
        return len(attempts) >= 2 * together

    async def none_settled() -> bool:
        return len(lost()) >= together

    def lost() -> list[Any]:
        return [line for line in logs if line["event"] == "event_not_settled"]

    said = envelopes("x", "a", "b")[1 : together + 1]
    own = lab.queues
    lab.queues = await lab.channel.declare_exchange(f"lab.nowhere.{new_id()}", auto_delete=True, robust=False)
    with capture_logs() as logs:
        async with lab_consumer(lab, handle):
            await lab.publish(*said)
            await until(none_settled)
            lab.queues = own
            await until(all_tried_again)
    assert {line["event_id"] for line in lost()} == {each.id for each in said}
    assert {line["correlation_id"] for line in lost()} == {each.correlation_id for each in said}
    assert await waiting(lab) == 0


async def test_a_closing_channel_fails_the_messages_that_are_being_published(lab: Broker):
    missing = await lab.channel.get_exchange("lab.missing", ensure=False)
    message = wire.to_message(*envelopes("a"))
    wrong = [broker._publish(missing, message, "", mandatory=True, seconds=10) for _ in range(3)]
    outcomes = await asyncio.gather(*wrong, lab.put(message, topology.queue_name("lab")), return_exceptions=True)
    assert all(isinstance(outcome, AMQPError) for outcome in outcomes[:3])
    assert outcomes[3] is None or isinstance(outcomes[3], AMQPError)

    async def works_again() -> bool:
        with suppress(AMQPError):
            await lab.put(message, topology.queue_name("lab"))
            return True
        return False

    await until(works_again)


async def test_a_cancelled_handler_leaves_no_message_unsettled(lab: Broker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consuming, "REQUEUE_AFTER_S", 0.0)
    attempts: list[str] = []

    async def handle(event: Probed) -> None:
        attempts.append(event.probe_id)
        if len(attempts) == 1:
            raise asyncio.CancelledError

    async def tried_again() -> bool:
        return attempts == ["a", "a"]

    async with lab_consumer(lab, handle):
        await lab.publish(*envelopes("a"))
        await until(tried_again)
    assert await waiting(lab) == 0


async def test_broadcast_events_are_received_and_stored_nowhere(lab: Broker, bus: Bus):
    probe_ids = [new_id() for _ in range(wire.MAX_BATCH + 1)]
    await lab.broadcast([Probed(probe_id=probe_id) for probe_id in probe_ids])
    await bus.wait_for(Probed, lambda event: event.probe_id == probe_ids[-1])
    assert [each.probe_id for each in bus.events(Probed) if each.probe_id in probe_ids] == probe_ids
    message: Any = await (await lab.channel.get_queue(topology.queue_name("lab"))).get(no_ack=True)
    assert message.delivery_mode == 1


async def test_a_broadcast_without_a_broker_fails_quickly(lab: Broker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(broker, "BROADCAST_TIMEOUT_S", 0.1)
    monkeypatch.setattr(lab.connection, "reconnect_interval", 3600)
    transport: Any = lab.connection.transport
    await transport.connection.close()
    with pytest.raises((TimeoutError, AMQPError)):
        await lab.broadcast([Probed(probe_id="a")])


@pytest.fixture
async def behind(lab: Broker, proxy: Any, toy) -> AsyncIterator[tuple[Broker, Any]]:
    """A connection of the service `lab` through the proxy, and the proxy."""
    async with broker.connected(toy.Settings(service="lab", rabbitmq_uri=proxy.uri)) as rabbit:
        yield rabbit, proxy
        proxy.cut()


async def test_a_broadcast_to_a_broker_that_does_not_read_fails_quickly(
    behind: tuple[Broker, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(broker, "BROADCAST_TIMEOUT_S", 0.1)
    rabbit, proxy = behind
    proxy.is_open.clear()
    with pytest.raises(TimeoutError):
        while True:
            await rabbit.broadcast([Probed(probe_id="a", text="x" * 1_000_000)])


async def test_a_lost_connection_fails_the_messages_that_wait_for_a_confirm(behind: tuple[Broker, Any]):
    rabbit, proxy = behind
    proxy.is_open.clear()
    waits = asyncio.create_task(rabbit.put(wire.to_message(*envelopes("a")), topology.queue_name("lab")))
    await asyncio.sleep(0.1)
    transport: Any = rabbit.connection.transport
    closes = asyncio.create_task(transport.connection.close())
    with pytest.raises(AMQPError):
        await waits
    proxy.cut()
    await closes
