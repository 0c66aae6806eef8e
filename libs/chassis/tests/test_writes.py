"""Group commit: many callers, few commands, and each gets the result of its own write."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.ids import new_id
from chassis.mongo import writes
from chassis.observability import telemetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, ServerSelectionTimeoutError
from pymongo.monitoring import CommandListener

RawCollection = writes.RawCollection


class Commands(CommandListener):
    """The names of the commands that the driver sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
async def things(mongo_uri: str, commands: Commands) -> AsyncIterator[RawCollection]:
    async with AsyncMongoClient[dict[str, Any]](
        mongo_uri, w="majority", journal=True, event_listeners=[commands]
    ) as mongo:
        collection = mongo[f"writes_{new_id()}"].things
        await collection.create_index("name", unique=True, sparse=True)
        yield collection
        await mongo.drop_database(collection.database.name)


async def test_only_one_of_many_updates_of_the_same_version_succeeds(things: RawCollection, commands: Commands):
    await writes.insert(things, {"_id": "a", "version": 1})
    commands.names.clear()
    won = await asyncio.gather(
        *(writes.update(things, {"_id": "a", "version": 1}, {"$inc": {"version": 1}}) for _ in range(40))
    )
    assert won.count(True) == 1
    assert await things.find_one({"_id": "a"}) == {"_id": "a", "version": 2}
    assert commands.names.count("update") <= 2


async def test_an_update_that_does_not_match_changes_nothing_and_does_not_affect_the_others(things: RawCollection):
    assert all(await asyncio.gather(*(writes.insert(things, {"_id": name, "n": 0}) for name in "abc")))
    outcomes = await asyncio.gather(
        writes.update(things, {"_id": "a", "n": 0}, {"$inc": {"n": 1}}),
        writes.update(things, {"_id": "b", "n": 7}, {"$inc": {"n": 1}}),
        writes.update(things, {"_id": "nobody"}, {"$inc": {"n": 1}}),
        writes.insert(things, {"_id": "c", "n": 5}),
        writes.update(things, {"_id": "c", "list": {"$elemMatch": {"id": 1}}}, {"$set": {"list.$.id": 2}}),
        writes.update(things, {"_id": "c", "n": 0, "$and": [{"x.y": 1}, {"x.y": 1}]}, {"$inc": {"n": 1}}),
    )
    assert outcomes == [True, False, False, False, False, False]
    assert await things.find(sort={"_id": 1}).to_list() == [
        {"_id": "a", "n": 1},
        {"_id": "b", "n": 0},
        {"_id": "c", "n": 0},
    ]


async def test_only_the_caller_with_a_taken_unique_key_gets_the_error(things: RawCollection):
    await writes.insert(things, {"_id": "a", "name": "taken"})
    await writes.insert(things, {"_id": "b"})
    outcomes = await asyncio.gather(
        writes.update(things, {"_id": "b"}, {"$set": {"name": "taken"}}),
        writes.insert(things, {"_id": "c", "name": "taken"}),
        writes.insert(things, {"_id": "d", "name": "free"}),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], DuplicateKeyError)
    assert outcomes[1:] == [False, True]


async def test_an_update_that_does_not_match_is_no_error_in_a_trace(
    things: RawCollection, monkeypatch: pytest.MonkeyPatch
):
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    monkeypatch.setattr(telemetry, "_is_tracing", True)
    assert not await writes.update(things, {"_id": "nobody"}, {"$inc": {"n": 1}})
    (span,) = spans.get_finished_spans()
    assert (span.name, span.status.is_unset, span.events) == ("write things", True, ())


async def test_an_error_does_not_contain_the_write(things: RawCollection):
    await writes.insert(things, {"_id": "a", "text": "no number"})
    with pytest.raises(OperationFailure) as raised:
        await writes.update(things, {"_id": "a"}, {"$inc": {"text": 1}, "$set": {"email": "ada@example.org"}})
    assert "ada@example.org" not in f"{raised.value} {raised.value.details}"


async def test_an_invalid_write_is_an_error(things: RawCollection):
    await writes.insert(things, {"_id": "a", "text": "no number"})
    with pytest.raises(OperationFailure):
        await writes.update(things, {"_id": "a"}, {"$inc": {"text": 1}})


async def test_a_merge_inserts_the_document_and_waits_for_others(things: RawCollection, commands: Commands):
    await asyncio.gather(*(writes.merge(things, "a", {"$max": {"n": n}}, linger=0.01) for n in range(50)))
    assert await things.find_one({"_id": "a"}) == {"_id": "a", "n": 49}
    assert commands.names.count("update") == 1


async def test_a_cancelled_caller_does_not_affect_the_others(things: RawCollection):
    given_up = asyncio.create_task(writes.insert(things, {"_id": "a"}))
    stays = asyncio.create_task(writes.insert(things, {"_id": "b"}))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await stays
    assert await writes.update(things, {"_id": "b"}, {"$set": {"n": 1}})


async def test_an_outage_is_an_error_for_all_callers():
    async with AsyncMongoClient[dict[str, Any]]("mongodb://127.0.0.1:9/", serverSelectionTimeoutMS=50) as nowhere:
        outcomes = await asyncio.gather(
            *(writes.insert(nowhere.x.things, {"_id": n}) for n in range(3)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [ServerSelectionTimeoutError] * 3
