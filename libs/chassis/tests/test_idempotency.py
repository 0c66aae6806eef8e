"""A key whose process dies, hangs or loses MongoDB: the next attempt runs soon, and one key has one response."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.http import idempotency
from chassis.ids import new_id
from chassis.testing import replica_of, servers, until
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

Database = AsyncDatabase[dict[str, Any]]
KEY = b"f" * 32


@dataclass
class Replica:
    """A process of the echo service."""

    process: Process
    http: httpx.AsyncClient

    async def echo(self, key: str, text: str) -> httpx.Response:
        return await self.http.post("/api/echo", params={"text": text}, headers={"Idempotency-Key": key})

    async def go(self, text: str) -> None:
        assert (await self.http.post("/api/go", params={"text": text})).is_success


@pytest.fixture(scope="module")
async def database(mongo_uri: str) -> AsyncIterator[Database]:
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as mongo:
        database = mongo[f"echo_{new_id()}"]
        yield database
        await mongo.drop_database(database.name)


@asynccontextmanager
async def replica(database: Database) -> AsyncIterator[Replica]:
    where = {"PYTHONPATH": str(Path(__file__).parent), "MONGO_DATABASE": database.name}
    async with replica_of("echo", **where) as started:
        yield Replica(*started)


@pytest.fixture(scope="module")
async def replicas(service_env: None, database: Database) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas on one database."""
    async with replica(database) as first, replica(database) as second:
        yield first, second


@pytest.fixture
async def mortal(service_env: None, database: Database) -> AsyncIterator[Replica]:
    """A third one."""
    async with replica(database) as third:
        yield third


async def has_run(database: Database, text: str, times: int = 1) -> None:
    async def ran() -> bool:
        return await database.runs.count_documents({"text": text}) == times

    await until(ran)


def seconds_to_wait(running: httpx.Response) -> int:
    """The Retry-After of a response to a key that is still running."""
    assert (running.status_code, running.json()["code"]) == (409, "idempotency_key_running"), running.text
    return int(running.headers["Retry-After"])


async def test_the_key_of_a_killed_process_is_free_when_its_lease_ends(replicas, mortal: Replica, database: Database):
    killed, (other, _) = mortal, replicas
    key, text = new_id(), new_id()
    await other.go(text)
    trying = asyncio.create_task(killed.echo(key, text))
    await has_run(database, text)
    killed.process.kill()
    with pytest.raises(httpx.TransportError):
        await trying

    wait_s = seconds_to_wait(await other.echo(key, text))
    assert 1 <= wait_s <= 5
    await asyncio.sleep(wait_s)
    answer = await other.echo(key, text)
    assert (answer.status_code, answer.json()) == (200, {"text": text, "process": other.process.pid})
    assert (await other.echo(key, text)).headers["Idempotent-Replayed"] == "true"
    await has_run(database, text, times=2)


async def test_the_lease_of_a_living_process_is_renewed(replicas, database: Database):
    slow, other = replicas
    key, text = new_id(), new_id()
    await other.go(text)
    trying = asyncio.create_task(slow.echo(key, text))
    await has_run(database, text)
    [record] = await database.idempotency_keys.find({"status": {"$exists": False}}).to_list()

    async def is_renewed_past_its_first_end() -> bool:
        assert seconds_to_wait(await other.echo(key, text)) >= 1
        renewed = await database.idempotency_keys.find_one({"_id": record["_id"]})
        assert renewed
        return renewed["renewed_at"] - record["renewed_at"] > timedelta(seconds=idempotency.LEASE_S)

    await until(is_renewed_past_its_first_end)
    await slow.go(text)
    assert (await trying).json() == {"text": text, "process": slow.process.pid}
    assert (await other.echo(key, text)).json() == {"text": text, "process": slow.process.pid}
    await has_run(database, text, times=1)


async def test_a_process_that_lost_its_lease_returns_the_response_of_its_successor(replicas, database: Database):
    stopped, other = replicas
    key, text = new_id(), new_id()
    await other.go(text)
    trying = asyncio.create_task(stopped.echo(key, text))
    await has_run(database, text)
    stopped.process.send_signal(signal.SIGSTOP)

    async def is_taken_over() -> bool:
        return (await other.echo(key, text)).status_code == 200

    await until(is_taken_over)
    stopped.process.send_signal(signal.SIGCONT)
    await stopped.go(text)
    late = await trying
    assert late.json() == (await stopped.echo(key, text)).json() == {"text": text, "process": other.process.pid}
    assert late.headers["Idempotent-Replayed"] == "true"


async def test_a_response_that_mongodb_cannot_store_is_sent_and_the_next_attempt_runs(
    replicas, database: Database, mongo_uri: str
):
    first, other = replicas
    key, text = new_id(), new_id()
    await other.go(text)
    trying = asyncio.create_task(first.echo(key, text))
    await has_run(database, text)
    with servers.hung(mongo_uri):
        await first.go(text)
        answer = await trying
    assert answer.json() == {"text": text, "process": first.process.pid}

    async def is_answered() -> bool:
        again = await other.echo(key, text)
        return again.status_code == 200 or not seconds_to_wait(again)

    await until(is_answered)


async def test_while_mongodb_hangs_a_write_gets_503(replicas, mongo_uri: str):
    replica = replicas[0]
    key, text = new_id(), new_id()
    await replica.go(text)
    with servers.hung(mongo_uri):
        without = replica.http.post("/api/echo", params={"text": text})
        answers = await asyncio.gather(without, replica.echo(key, text))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1

    async def is_answered() -> bool:
        return (await replica.echo(key, text)).status_code == 200

    await until(is_answered)


@pytest.fixture
async def keys(database: Database) -> AsyncCollection[dict[str, Any]]:
    return database[f"keys_{new_id()}"]


async def left_behind(keys: AsyncCollection[dict[str, Any]], **facts: Any) -> str:
    """The id of a record whose process died an hour ago."""
    record_id = new_id()
    record = {"_id": record_id, "fingerprint": KEY, "owner": "dead", "renewed_at": now() - timedelta(hours=1)}
    await keys.insert_one(record | facts)
    return record_id


@pytest.fixture(params=["no guard", "the guard"])
def takers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of two attempts that take over a lease."""
    if request.param == "the guard":
        return 1
    monkeypatch.setattr(idempotency, "unchanged", lambda _: {})
    return 2


async def test_two_attempts_take_over_a_lease_at_the_same_time(keys, takers: int, monkeypatch: pytest.MonkeyPatch):
    both_have_read = asyncio.Barrier(2)
    take_over: Callable[..., Any] = idempotency._Lease._take_over

    async def after_both_have_read(lease: Any, known: Any) -> None:
        await both_have_read.wait()
        await take_over(lease, known)

    monkeypatch.setattr(idempotency._Lease, "_take_over", after_both_have_read)
    record_id = await left_behind(keys)
    results = await asyncio.gather(
        *(idempotency._Lease(keys, record_id).take(KEY) for _ in range(2)), return_exceptions=True
    )
    assert results.count(None) == takers
    losers = [result for result in results if result is not None]
    assert all(isinstance(loser, idempotency.StillRunning) for loser in losers)


async def test_an_owner_that_lost_its_lease_changes_nothing(keys):
    record_id = await left_behind(keys)
    owner, late = (idempotency._Lease(keys, record_id) for _ in range(2))
    assert await owner.take(KEY) is None
    start = {"type": "http.response.start", "status": 200, "headers": []}
    before = await keys.find_one({"_id": record_id})
    assert not await late.store([start], idempotency._cipher("key"))
    await late.release()
    assert await keys.find_one({"_id": record_id}) == before
