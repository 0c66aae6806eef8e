"""Each operation has a time limit. Exceeding it counts as an outage, and a write that was applied is not lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pymongo
import pytest
from chassis.ids import new_id
from chassis.mongo.connection import connected, is_outage
from chassis.mongo.migrations import Schema
from chassis.settings import ServiceSettings
from chassis.testing import servers, until
from chassis.testing.bus import Bus
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

SLOW = {"$where": "sleep(500) || true"}


@pytest.fixture
async def things(mongo_uri: str) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    """A collection of a service that gives an operation 200 ms."""
    settings = ServiceSettings(service=f"slow_{new_id()}", mongo_uri=mongo_uri, mongo_timeout_ms=200)
    async with AsyncExitStack() as stack:
        with pymongo.timeout(0):
            database = await stack.enter_async_context(connected(settings, Schema()))
            await database.things.insert_one({"_id": "a"})
        yield database.things
        with pymongo.timeout(0):
            await database.client.drop_database(database.name)


async def failure(operation: Any) -> PyMongoError:
    with pytest.raises(PyMongoError) as failed:
        await operation
    return failed.value


async def test_an_operation_that_takes_too_long_is_an_outage(things: AsyncCollection[dict[str, Any]]):
    error = await failure(things.find_one(SLOW))
    assert isinstance(error, ExecutionTimeout | NetworkTimeout)
    assert is_outage(error)


async def test_the_limit_can_be_switched_off(things: AsyncCollection[dict[str, Any]]):
    with pymongo.timeout(0):
        assert await things.find_one(SLOW) == {"_id": "a"}


async def test_a_mongodb_that_hangs_or_is_missing_is_an_outage(things, mongo_uri: str):
    with servers.hung(mongo_uri):
        assert is_outage(await failure(things.find_one()))
    nobody = f"mongodb://127.0.0.1:{servers.free_port()}"
    async with AsyncMongoClient[dict[str, Any]](nobody, timeoutMS=100) as client:
        error = await failure(client.one.things.find_one())
    assert isinstance(error, ServerSelectionTimeoutError)
    assert is_outage(error)


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (WaitQueueTimeoutError("all connections are in use"), True),
        (WTimeoutError("not replicated in time", 64), True),
        (OperationFailure("interrupted", 50), True),
        (AutoReconnect("closed"), True),
        (DuplicateKeyError("taken", 11000), False),
        (OperationFailure("no such operator", 2), False),
        (TimeoutError("of somebody else"), False),
    ],
)
def test_which_errors_are_an_outage(error: Exception, outage: bool):
    assert is_outage(error) is outage


async def test_events_of_writes_whose_answer_came_too_late_are_published(client, bus: Bus, toy, mongo_uri: str):
    """When MongoDB resumes, it applies a command that it had received, although the response was already 503."""
    text = new_id()[:20]
    with servers.hung(mongo_uri):
        answers = await asyncio.gather(*(client.post("/api/pings", json={"text": text}) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {503}
    assert (await client.post("/api/pings", json={"text": text})).status_code == 201

    async def all_are_published() -> bool:
        return not await toy.Ping.get_pymongo_collection().find_one({"text": text, "outbox.0": {"$exists": True}})

    await until(all_are_published)
    written = {ping["_id"] async for ping in toy.Ping.get_pymongo_collection().find({"text": text})}
    assert {event.ping_id for event in bus.events(toy.Pinged, lambda event: event.text == text)} == written
