"""Migrations of indexes and stored data from one version to the next, without a failing start."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from chassis.ids import new_id
from chassis.mongo import migrations
from chassis.mongo.connection import connected
from chassis.mongo.indexes import NEVER_S
from chassis.mongo.migrations import Database, Migration, Schema, contract, expand, status
from chassis.mongo.outbox import Aggregate
from chassis.observability import telemetry
from chassis.settings import ServiceSettings
from chassis.testing import until
from pymongo import AsyncMongoClient, IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.monitoring import CommandListener

LAB = """
import asyncio
from chassis.mongo.migrations import Migration, Schema, update_in_batches
from chassis.mongo.connection import connected

async def mark(database):
    if await database.things.count_documents({"marks": 1}) == 0:
        await database.things.update_many({"_id": {"$lt": 500}}, {"$inc": {"marks": 1}})
        await asyncio.Event().wait()
    return await update_in_batches(database.things, {"marks": {"$exists": False}}, {"$inc": {"marks": 1}})

SCHEMA = Schema(migrations=[Migration("mark", "expand", mark)])
"""


class Commands(CommandListener):
    """The names of the commands that the driver sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def schema(*indexes: IndexModel, **parts: Any) -> Schema:
    """A version of the code whose collection has these indexes."""

    class Thing(Aggregate):
        class Settings:
            name = "things"

    Thing.Settings.indexes = list(indexes)  # pyright: ignore[reportAttributeAccessIssue]
    return Schema([Thing], **parts)


@pytest.fixture
async def database(mongo_uri: str) -> AsyncIterator[Database]:
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        database = client[f"migrations_{new_id()}"]
        yield database
        await client.drop_database(database.name)


@pytest.fixture
def start(mongo_uri: str, database: Database) -> Callable[[Schema], Any]:
    """Connects as a starting service of this version does."""

    async def starts(version: Schema) -> None:
        settings = ServiceSettings(service="lab", mongo_uri=mongo_uri, mongo_database=database.name)
        async with connected(settings, version):
            pass

    return starts


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "PATIENCE_S", 0)


async def has(database: Database) -> dict[str, dict[str, Any]]:
    """The indexes of the collection, by name."""
    return {each["name"]: dict(each) async for each in await database.things.list_indexes() if each["name"] != "_id_"}


async def never(_: Database) -> int:
    raise AssertionError("an empty database needs no migration")


OLD = IndexModel("due_at", name="due", partialFilterExpression={"open": True})
NEW = IndexModel([("due_at", 1), ("_id", 1)], name="due", partialFilterExpression={"open": True})
MIGRATIONS = [Migration("first", "expand", never), Migration("last", "contract", never)]


async def test_an_empty_database_is_initialised_and_later_starts_only_check(start, database, monkeypatch):
    version = schema(OLD, IndexModel([("place", "2dsphere")]), IndexModel("name", unique=True), migrations=MIGRATIONS)
    await asyncio.gather(start(version), start(version))
    assert set(await has(database)) == {"due", "place_2dsphere", "name_1", "outbox"}
    assert {each["_id"] async for each in database.migrations.find()} == {each.name for each in version.all_migrations}
    assert "expires_at_1" in await database.idempotency_keys.index_information()

    commands = Commands()
    monkeypatch.setattr(telemetry, "database_listeners", lambda: [commands])
    await start(version)
    assert commands.names.count("listIndexes") == 2
    assert set(commands.names) == {"hello", "buildInfo", "listCollections", "listIndexes", "find", "endSessions"}


async def test_contract_removes_responses_that_were_stored_in_the_clear(start, database):
    await start(Schema())
    await database.migrations.delete_many({})
    old = {"_id": "old", "status": 200, "headers": [[b"set-cookie", b"usher_session=secret"]], "body": b"sealed"}
    await database.idempotency_keys.insert_many([old, {"_id": "new", "status": 200, "answer": b"sealed"}])
    lines: list[str] = []
    await contract(database, Schema(), lines.append)
    assert [each["_id"] async for each in database.idempotency_keys.find()] == ["new"]
    assert lines == ["migration 2026-12-remove-clear-responses: 1 documents"]


async def test_a_start_on_a_database_that_is_behind_names_the_command_and_changes_nothing(start, database, impatient):
    await start(schema(OLD))
    with pytest.raises(migrations.DatabaseBehind) as behind:
        await start(schema(NEW, migrations=MIGRATIONS))
    assert str(behind.value) == (
        f"{database.name} lacks migration first, index things.due. Run: python -m chassis.migrate lab"
    )
    assert set(await has(database)) == {"due", "outbox"}


async def test_a_start_waits_for_the_command(start, database):
    await start(schema(OLD))
    starting = asyncio.create_task(start(schema(NEW)))
    await expand(database, schema(NEW), lambda _: None)
    await starting


async def test_another_definition_under_the_same_name_is_created_beside_it(start, database):
    """MongoDB rejects it, and the start used to fail because of that."""
    await start(schema(OLD))
    await database.things.create_index("by_hand")
    with pytest.raises(OperationFailure, match="same name"):
        await database.things.create_indexes([NEW])
    new, reported = schema(NEW, retired={"things": [OLD]}), list[str]()
    for _ in range(2):
        await expand(database, new, reported.append)
    (name,) = set(await has(database)) - {"due", "by_hand_1", "outbox"}
    assert name.startswith("due_")
    assert reported == [f"index things.{name}"]
    for version in (new, schema(OLD)):
        await start(version)

    await contract(database, new, reported.append)
    assert reported[1:] == ["index things.due dropped"]
    assert set(await has(database)) == {name, "by_hand_1", "outbox"}
    await start(new)


async def test_a_new_lifetime_changes_the_existing_index(start, database):
    lifetimes = [60, 90, None, 30]
    for seconds in lifetimes:
        options = {} if seconds is None else {"expireAfterSeconds": seconds}
        version = schema(IndexModel("asked_at", **options))
        await start(version)
        await expand(database, version, lambda _: None)
        assert (await has(database))["asked_at_1"].get("expireAfterSeconds") == (seconds or NEVER_S)


async def test_a_unique_index_is_created_once_the_data_are_clean(start, database):
    await start(schema(IndexModel("name")))
    await database.things.insert_many([{"name": "same"}, {"name": "same"}])
    unique = schema(IndexModel("name", unique=True))
    with pytest.raises(DuplicateKeyError):
        await expand(database, unique, lambda _: None)
    await start(schema(IndexModel("name")))

    async def rename(database: Database) -> int:
        await database.things.update_one({"name": "same"}, {"$set": {"name": "other"}})
        return 1

    clean = schema(IndexModel("name", unique=True), migrations=[Migration("rename", "expand", rename)])
    await expand(database, clean, lambda _: None)
    await start(clean)
    with pytest.raises(DuplicateKeyError):
        await database.things.insert_one({"name": "same"})


async def test_a_version_runs_on_a_newer_database_and_does_not_change_it(start, database):
    await start(schema(OLD))

    async def nothing(_: Database) -> int:
        return 0

    await expand(database, schema(OLD, NEW, migrations=[Migration("next", "expand", nothing)]), lambda _: None)
    before, reported = await has(database), list[str]()
    await start(schema(OLD))
    await expand(database, schema(OLD), lambda _: None)
    await contract(database, schema(OLD), lambda _: None)
    assert await has(database) == before
    await status(database, schema(OLD), reported.append)
    (name,) = set(before) - {"due", "outbox"}
    assert reported == [f"unknown: migration next, index things.{name}", "this version can run"]


async def test_contract_requires_expand_and_status_lists_what_each_has_to_do(start, database):
    await start(schema(OLD))

    async def close(database: Database) -> int:
        return await migrations.delete_in_batches(database.things, {"open": False})

    new = schema(NEW, migrations=[Migration("close", "contract", close)], retired={"things": [OLD]})
    reported = list[str]()
    with pytest.raises(migrations.DatabaseBehind, match=r"index things\.due: expand it first"):
        await contract(database, new, reported.append)
    await status(database, new, reported.append)
    assert reported == ["to expand: index things.due", "to contract: migration close, index things.due"]

    await database.things.insert_many([{"open": False}, {"open": True}])
    await expand(database, new, lambda _: None)
    assert await database.things.count_documents({}) == 2
    await contract(database, new, lambda _: None)
    assert await database.things.count_documents({}) == 1


async def test_only_one_of_two_runners_migrates(start, database):
    await start(schema())
    runs, reported = list[str](), list[str]()

    async def slow(_: Database) -> int:
        runs.append("run")
        await until(lambda: told(reported))
        return 1

    async def told(lines: list[str]) -> bool:
        return "waiting for another runner" in lines

    version = schema(migrations=[Migration("slow", "expand", slow)])
    await asyncio.gather(*(expand(database, version, reported.append) for _ in range(2)))
    assert runs == ["run"]
    assert sorted(reported) == ["migration slow: 1 documents", "waiting for another runner"]


async def test_a_runner_that_has_lost_its_lease_stops(start, database, monkeypatch):
    monkeypatch.setattr(migrations, "RENEW_S", 0.05)
    await start(schema())

    async def outlived(database: Database) -> int:
        other = {"$set": {"owner": "another", "until": migrations.now().replace(year=3000)}}
        await database.job_leases.update_one({"_id": "migrations"}, other)
        return await asyncio.Future()

    with pytest.raises(migrations.LeaseLost):
        await expand(database, schema(migrations=[Migration("outlived", "expand", outlived)]), lambda _: None)
    assert await database.migrations.find_one({"_id": "outlived"}) is None


async def test_the_next_runner_completes_the_work_of_a_killed_one(database, mongo_uri, tmp_path: Path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/migrations.py").write_text(LAB)
    await database.things.insert_many([{"_id": number} for number in range(1200)])
    environment = {"MONGO_URI": mongo_uri, "MONGO_DATABASE": database.name, "PYTHONPATH": str(tmp_path)}

    async def command(*words: str) -> Process:
        arguments = (sys.executable, "-m", "chassis.migrate", "lab", *words)
        return await asyncio.create_subprocess_exec(*arguments, env=os.environ | environment, stdout=PIPE, stderr=PIPE)

    async def is_under_way() -> bool:
        return await database.things.count_documents({"marks": 1}) == 500

    killed = await command()
    await until(is_under_way)
    killed.kill()
    await killed.communicate()
    failed = await command("contract")
    _, complaint = await failed.communicate()
    assert failed.returncode == 1
    assert complaint.decode().startswith(f"DatabaseBehind: {database.name} lacks migration mark")

    resumed = await command()
    output, _ = await resumed.communicate()
    assert "lab: migration mark: 700 documents\n" in output.decode()
    assert await database.things.count_documents({"marks": 1}) == 1200


def test_a_schema_with_duplicates_is_refused():
    with pytest.raises(ValueError, match="same name"):
        Schema(migrations=[MIGRATIONS[0], MIGRATIONS[0]])
    with pytest.raises(ValueError, match="things has the same index twice"):
        schema(OLD, retired={"things": [OLD]})
    with pytest.raises(ValueError, match="collation cannot be compared"):
        schema(IndexModel("name", collation={"locale": "en"}))
