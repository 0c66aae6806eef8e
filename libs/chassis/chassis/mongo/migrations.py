"""Database migrations of a service: indexes and changes of stored data.

`expand` adds what this version needs and keeps what the previous version needs, so that both can run. `contract`
removes what only earlier versions needed, when none of them runs. `python -m chassis.migrate` runs them; a starting
service only checks. (docs/adr/0034-migrations-as-data.md)

Exception
├── DatabaseBehind    the database lacks something that the code needs
└── LeaseLost         another runner took over
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import pymongo
import structlog
from beanie import Document
from pymongo import IndexModel, ReturnDocument, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from chassis.clock import now
from chassis.http import idempotency
from chassis.ids import new_id
from chassis.mongo import indexes
from chassis.mongo.indexes import Index
from chassis.mongo.outbox import OUTBOX_INDEX, Aggregate
from chassis.mongo.writes import RawCollection

log = structlog.get_logger()
Database = AsyncDatabase[dict[str, Any]]
Phase = Literal["expand", "contract"]
Report = Callable[[str], None]
PATIENCE_S = 60.0
"""How long a starting service waits for `expand`, which may still be running."""
BATCH = 500
"""Documents that one write of a migration changes, so that it takes a fraction of a second."""
LEASE_S, RENEW_S, LOOK_S = 6.0, 2.0, 0.2
_LEASE, _LEASES, _RECORDS = "migrations", "job_leases", "migrations"


class DatabaseBehind(Exception):
    """The database lacks something that the code needs. The message names it and the command to run."""


class LeaseLost(Exception):
    """The lease expired and another runner took it, so this runner stops."""


@dataclass(frozen=True)
class Migration:
    """A change of stored data. `run` returns the number of changed documents.

    `run` must be idempotent, also if it was killed half-way and while services write.
    """

    name: str
    phase: Phase
    run: Callable[[Database], Awaitable[int]]


@dataclass(frozen=True)
class Schema:
    """The schema of a service's database.

    `migrations` run in this order, after the chassis' own, and are never renamed. `retired` has, by collection, the
    indexes of earlier versions that `contract` drops. Raises ValueError when names or indexes occur twice.
    """

    documents: Sequence[type[Document]] = ()
    migrations: Sequence[Migration] = ()
    retired: Mapping[str, Sequence[IndexModel]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [migration.name for migration in self.all_migrations]
        if len(names) != len(set(names)):
            raise ValueError("two migrations have the same name")
        for collection, wanted in self.indexes.items():
            definitions = [each.definition for each in chain(wanted, self.retired_indexes(collection))]
            if len(definitions) != len(set(definitions)):
                raise ValueError(f"{collection} has the same index twice")

    @property
    def all_migrations(self) -> Sequence[Migration]:
        """Return the migrations of every service and of this one."""
        return [*_COMMON, *self.migrations]

    @cached_property
    def indexes(self) -> dict[str, list[Index]]:
        """Return the indexes that this version needs, by collection."""
        wanted = {"idempotency_keys": [Index.wanted(idempotency.INDEX)]}
        for document in self.documents:
            settings: Any = getattr(document, "Settings")  # noqa: B009 - Beanie's convention, not in its type hints
            models = [*getattr(settings, "indexes", ()), *([OUTBOX_INDEX] if issubclass(document, Aggregate) else [])]
            if models:
                wanted[settings.name] = [Index.wanted(model) for model in models]
        return wanted

    def retired_indexes(self, collection: str) -> list[Index]:
        """Return the indexes of this collection that only earlier versions needed."""
        return [Index.wanted(model) for model in self.retired.get(collection, ())]


async def ensure_ready(database: Database, schema: Schema, command: str) -> None:
    """Wait until the database has what the code needs. Sets up an empty database, but changes no other.

    Raises DatabaseBehind after PATIENCE_S.
    """
    if await _is_empty(database):
        await _initialise(database, schema)
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    is_logged = False
    while behind := await pending(database, schema):
        if asyncio.get_running_loop().time() >= deadline:
            raise DatabaseBehind(f"{database.name} lacks {', '.join(behind)}. Run: {command}")
        if not is_logged:
            log.warning("waiting_for_migrations", database=database.name, lacks=behind, command=command)
            is_logged = True
        await asyncio.sleep(LOOK_S)


async def pending(database: Database, schema: Schema) -> list[str]:
    """Return what `expand` has to add. A different lifetime is ignored, because correctness does not depend on it."""
    done = await _done(database)
    lacking = [
        f"migration {each.name}" for each in schema.all_migrations if each.phase == "expand" and each.name not in done
    ]
    for name, wanted in schema.indexes.items():
        has = await indexes.stored(database[name])
        lacking += [f"index {name}.{index.name}" for index in indexes.missing(wanted, has)]
    return lacking


async def expand(database: Database, schema: Schema, report: Report) -> None:
    """Add what this version needs. Migrations run first, because a unique index may need clean data."""
    async with _lease(database, report):
        if await _is_empty(database):
            await _initialise(database, schema)
            report("initialised")
            return
        await _run(database, schema, "expand", report)
        for name, wanted in schema.indexes.items():
            for line in await indexes.create(database[name], wanted):
                report(line)


async def contract(database: Database, schema: Schema, report: Report) -> None:
    """Remove what only earlier versions needed. Raises DatabaseBehind when `expand` has not run yet."""
    async with _lease(database, report):
        if behind := await pending(database, schema):
            raise DatabaseBehind(f"{database.name} lacks {', '.join(behind)}: expand it first")
        await _run(database, schema, "contract", report)
        for name in schema.retired:
            wanted = schema.indexes.get(name, [])
            for line in await indexes.drop(database[name], schema.retired_indexes(name), wanted):
                report(line)


async def status(database: Database, schema: Schema, report: Report) -> None:
    """Report what each phase has to do, and which migrations and indexes this version does not know."""
    done = await _done(database)
    known = {migration.name for migration in schema.all_migrations}
    to_expand = await pending(database, schema)
    to_contract = [
        f"migration {each.name}" for each in schema.all_migrations if each.phase == "contract" and each.name not in done
    ]
    unknown = [f"migration {name}" for name in sorted(done - known)]
    for name in sorted(await database.list_collection_names()):
        wanted = {index.definition for index in schema.indexes.get(name, [])}
        retired = {index.definition for index in schema.retired_indexes(name)}
        for index in await indexes.stored(database[name]):
            if index.definition not in wanted:
                (to_contract if index.definition in retired else unknown).append(f"index {name}.{index.name}")
    for what, names in (("to expand", to_expand), ("to contract", to_contract), ("unknown", unknown)):
        if names:
            report(f"{what}: {', '.join(names)}")
    if not to_expand:
        report("this version can run")


async def update_in_batches(collection: RawCollection, where: Mapping[str, Any], change: Mapping[str, Any]) -> int:
    """`update_many` in batches, for a large collection. Returns the number of changed documents."""
    return sum(
        [(await collection.update_many(some, change)).modified_count async for some in _batches(collection, where)]
    )


async def delete_in_batches(collection: RawCollection, where: Mapping[str, Any]) -> int:
    """`delete_many` in batches, for a large collection. Returns the number of deleted documents."""
    return sum([(await collection.delete_many(some)).deleted_count async for some in _batches(collection, where)])


async def _remove_clear_responses(database: Database) -> int:
    """Delete responses that were stored with their headers in the clear, which may contain a refresh token."""
    return await delete_in_batches(database.idempotency_keys, idempotency.CLEAR)


_COMMON = (Migration("2026-12-remove-clear-responses", "contract", _remove_clear_responses),)


async def _batches(collection: RawCollection, where: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Yield filters for BATCH documents each. All ids must have one type, because `$gt` compares within a type."""
    after: Mapping[str, Any] = {}
    while found := await collection.find({"$and": [where, after]}, {"_id": 1}).sort("_id").limit(BATCH).to_list():
        ids = [document["_id"] for document in found]
        yield {"$and": [where, {"_id": {"$in": ids}}]}
        after = {"_id": {"$gt": ids[-1]}}


async def _is_empty(database: Database) -> bool:
    return not set(await database.list_collection_names()) - {_LEASES}


async def _initialise(database: Database, schema: Schema) -> None:
    """Create all indexes in an empty database and record every migration as done."""
    with pymongo.timeout(0):  # building an index may take longer than a request's time limit
        if records := [_record(migration, 0) for migration in schema.all_migrations]:
            await database[_RECORDS].bulk_write(records, ordered=False)
        for name, wanted in schema.indexes.items():
            await indexes.create(database[name], wanted)


async def _run(database: Database, schema: Schema, phase: Phase, report: Report) -> None:
    done = await _done(database)
    for migration in schema.all_migrations:
        if migration.phase == phase and migration.name not in done:
            changed = await migration.run(database)
            await database[_RECORDS].bulk_write([_record(migration, changed)])
            report(f"migration {migration.name}: {changed} documents")


async def _done(database: Database) -> set[str]:
    return {record["_id"] async for record in database[_RECORDS].find({}, {"_id": 1})}


def _record(migration: Migration, changed: int) -> UpdateOne:
    facts = {"phase": migration.phase, "done_at": now(), "changed": changed}
    return UpdateOne({"_id": migration.name}, {"$setOnInsert": facts}, upsert=True)


@asynccontextmanager
async def _lease(database: Database, report: Report) -> AsyncIterator[None]:
    """Lets one runner work at a time, by MongoDB's clock. A killed runner's lease expires after LEASE_S.

    It only saves duplicate work: two runners at once would do no harm.
    """
    leases, owner = database[_LEASES], new_id()
    is_told = False
    while not await _take(leases, owner):
        if not is_told:
            report("waiting for another runner")
            is_told = True
        await asyncio.sleep(LOOK_S)
    try:
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(_renew(leases, owner))
            yield
            renewing.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        await leases.delete_one({"_id": _LEASE, "owner": owner})


async def _take(leases: RawCollection, owner: str) -> bool:
    """Take the lease or extend it, unless another runner has it."""
    is_free = {"$or": [{"$eq": ["$owner", owner]}, {"$lte": ["$until", "$$NOW"]}]}
    taken = {"_id": _LEASE, "owner": owner, "until": {"$add": ["$$NOW", int(LEASE_S * 1000)]}}
    try:
        lease = await leases.find_one_and_update(
            {"_id": _LEASE},
            [{"$replaceWith": {"$cond": [is_free, taken, "$$ROOT"]}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
    except DuplicateKeyError:  # another runner was faster
        return False
    return lease is not None and lease["owner"] == owner


async def _renew(leases: RawCollection, owner: str) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        if not await _take(leases, owner):
            raise LeaseLost
