"""The relay: events that are pending at the same time become one message per type, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage
from beanie import init_beanie
from chassis.ids import new_id
from chassis.messaging import broker
from chassis.messaging.broker import Broker
from chassis.messaging.consumer import events_of
from chassis.messaging.wire import BATCH, MAX_BATCH, to_envelope
from chassis.mongo import relay
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.mongo.relay import Relay
from chassis.testing import until
from contracts import topology
from contracts.envelope import Envelope, Event
from pymongo import AsyncMongoClient


class Noted(Event, type="lab.noted.v1", subject="note_id"):
    note_id: str
    text: str = ""


class Shown(Event, type="lab.shown.v1", subject="note_id"):
    note_id: str


class Note(Aggregate):
    text: str = ""

    class Settings:
        name = "notes"


stored = Collection(Note)


class Exchange:
    """The exchange with a recorder of its messages, and a proxy to it that a test can pause or cut."""

    def __init__(self, rabbit: Broker) -> None:
        self._rabbit = rabbit
        self.messages: list[AbstractIncomingMessage] = []
        self.is_open, self.is_cut = asyncio.Event(), False
        self.is_open.set()

    async def publish(self, *envelopes: Envelope) -> None:
        await self.is_open.wait()
        if self.is_cut:
            raise ConnectionError("no broker")
        await self._rabbit.publish(*envelopes)

    async def take(self, message: AbstractIncomingMessage) -> None:
        self.messages.append(message)

    def subjects(self, event: type[Event] = Noted) -> list[list[str]]:
        """The subjects of the events of each message of the type."""
        of_type = [message for message in self.messages if message.type == event.type]
        return [[to_envelope(each).subject for each in events_of(message)] for message in of_type]

    async def took(self, count: int) -> None:
        async def has_taken() -> bool:
            return len(self.messages) >= count

        await until(has_taken)


@pytest.fixture
async def exchange(service_env: None, toy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exchange]:
    monkeypatch.setitem(topology.CONSUMES, "lab", ())
    async with broker.connected(toy.Settings(service="lab")) as rabbit:
        exchange = Exchange(rabbit)
        tap = await rabbit.channel.declare_queue(exclusive=True, auto_delete=True)
        await tap.bind(topology.EXCHANGE, "lab.#")
        await tap.consume(exchange.take, no_ack=True)
        yield exchange


@pytest.fixture
async def notes(mongo_uri: str) -> AsyncIterator[type[Note]]:
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as mongo:
        database = mongo[f"relay_{new_id()}"]
        await init_beanie(database, document_models=[Note])
        yield Note
        await mongo.drop_database(database.name)


async def outboxes(notes: type[Note]) -> list[str]:
    """The ids of all events in outboxes."""
    return [entry["id"] async for note in notes.get_pymongo_collection().find() for entry in note["outbox"]]


async def note(*events: str, text: str = "") -> None:
    """Write notes with an event each, concurrently."""
    noted = [(Note(id=note_id), Noted(note_id=note_id, text=text)) for note_id in events]
    await asyncio.gather(*(stored.insert(aggregate, events=[event]) for aggregate, event in noted))


async def test_pending_events_become_one_message_per_type(exchange: Exchange, notes: type[Note]):
    async with Relay(exchange.publish, [notes]):
        await stored.insert(Note(id="a"), events=[Noted(note_id="a"), Shown(note_id="a"), Noted(note_id="b")])
        await exchange.took(2)
        await note("c")
        await exchange.took(3)
    assert exchange.subjects() == [["a", "b"], ["c"]]
    assert exchange.subjects(Shown) == [["a"]]
    assert [message.content_type == BATCH for message in exchange.messages].count(True) == 1
    assert await outboxes(notes) == []


async def test_events_that_arrive_during_a_publish_become_the_next_message(exchange: Exchange, notes: type[Note]):
    async with Relay(exchange.publish, [notes]):
        exchange.is_open.clear()
        await note("first")
        names = [f"{number:03}" for number in range(MAX_BATCH + 2)]
        await note(*names)
        exchange.is_open.set()
        await exchange.took(3)
    assert [len(subjects) for subjects in exchange.subjects()] == [1, MAX_BATCH, 2]
    assert sorted(name for subjects in exchange.subjects()[1:] for name in subjects) == names
    assert await outboxes(notes) == []


async def test_the_size_of_a_message_is_limited(exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Relay, "BATCH_CHARS", 1000)
    async with Relay(exchange.publish, [notes]):
        await stored.insert(
            Note(id="a"),
            events=[Noted(note_id=str(size), text="x" * size) for size in (2000, 400, 400, 400, 2000)],
        )
        await exchange.took(4)
    assert exchange.subjects() == [["2000"], ["400", "400"], ["400"], ["2000"]]


async def test_batched_types_wait_for_more_events_and_do_not_delay_other_types(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topology, "BATCHED", frozenset({Noted.type}))
    monkeypatch.setattr(Relay, "GATHER_S", 3600)
    async with Relay(exchange.publish, [notes]):
        await note("a")
        await stored.insert(Note(id="b"), events=[Noted(note_id="b"), Shown(note_id="b")])
        await exchange.took(1)
        assert exchange.subjects(Shown) == [["b"]]
    await exchange.took(2)
    assert exchange.subjects() == [["a", "b"]], "a stopping service publishes the events that it has gathered"
    assert await outboxes(notes) == []


async def test_gathered_events_are_published_after_the_interval(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topology, "BATCHED", frozenset({Noted.type}))
    async with Relay(exchange.publish, [notes]):
        await note("a")
        await exchange.took(1)
        await note("b")
        await exchange.took(2)
    assert exchange.subjects() == [["a"], ["b"]]


async def test_events_that_a_stopping_service_cannot_publish_stay_in_the_outbox(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "STOP_S", 0.1)
    exchange.is_open.clear()
    async with Relay(exchange.publish, [notes]):
        await note("a", "b")
    assert len(await outboxes(notes)) == 2


async def test_unconfirmed_events_stay_and_are_swept_together(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Relay, "SWEEP_AFTER_S", 0.0)
    exchange.is_cut = True
    async with Relay(exchange.publish, [notes]):
        await note("a", "b")
    left = await outboxes(notes)
    assert len(left) == 2

    exchange.is_cut = False
    async with Relay(exchange.publish, [notes]) as restarted:
        await restarted.sweep()
        await exchange.took(1)
    assert sorted(exchange.subjects()[0]) == ["a", "b"]
    assert sorted(to_envelope(each).id for each in events_of(exchange.messages[0])) == sorted(left)
    assert await outboxes(notes) == []


async def test_after_a_crash_before_the_removal_the_same_events_are_published_again(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Relay, "SWEEP_AFTER_S", 0.0)
    crashed = await Relay(exchange.publish, [notes]).__aenter__()
    await stored.insert(Note(id="a"), events=[Noted(note_id="a"), Noted(note_id="b")])
    await exchange.took(1)
    crashed._pulling.cancel()
    assert len(await outboxes(notes)) == 2

    async with Relay(exchange.publish, [notes]) as restarted:
        await restarted.sweep()
        await exchange.took(2)
    first, second = ([to_envelope(each).id for each in events_of(message)] for message in exchange.messages)
    assert first == second
    assert await outboxes(notes) == []


async def test_the_version_of_an_unguarded_write_is_read_only_for_displayed_events(
    exchange: Exchange, notes: type[Note], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "_DISPLAYED", frozenset({Shown.type}))
    async with Relay(exchange.publish, [notes]):
        await note("a")
        await stored.update({"_id": "a"}, {"$set": {"text": "x"}}, events=[Noted(note_id="a"), Shown(note_id="a")])
        await stored.update({"_id": "a", "version": 2}, {"$set": {"text": "y"}}, events=[Noted(note_id="a")])
        await exchange.took(4)
    versions = {Noted.type: list[int](), Shown.type: list[int]()}
    for message in exchange.messages:
        for each in map(to_envelope, events_of(message)):
            versions[each.type].append(each.version)
    assert sorted(versions[Noted.type]) == [0, 1, 3]
    assert versions[Shown.type][0] in {2, 3}, "a later write may have come"
