"""Group commit: writes to one collection that come while another is on its way go to MongoDB together as one command.

Sixteen guarded updates in one command cost MongoDB a third of sixteen commands and the driver a tenth; a write that
comes alone waits for nobody. Each caller learns what became of its own write. When MongoDB does not answer in time, all
callers get that error: any of their writes may have been carried out.

The client's time limit applies. `pymongo.timeout` around one write would limit the others, too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from chassis import telemetry

Collection = AsyncCollection[dict[str, Any]]
Change = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Operators, or the stages of a pipeline."""
Operation = InsertOne[dict[str, Any]] | UpdateOne
MOST = 500
_DUPLICATE = 11000
_MISSED = frozenset({54, 66})
"""NotSingleValueField, ImmutableField: what an update that found no document cannot do to make one."""
_NEVER_INSERT = {"$setOnInsert": {"_id": None}}
"""Makes an update whose guard misses an error that names it: MongoDB counts the matches of a command, not of each of
its updates. As an upsert it would have to insert a document under another id than its filter's, and may not.
"""


async def insert(collection: Collection, document: Mapping[str, Any], *, linger: float = 0) -> bool:
    """Insert a document; False when its id or another unique key is taken. `linger` as in `merge`."""
    try:
        await _group(collection, linger).write(InsertOne(dict(document)))
    except DuplicateKeyError:
        return False
    return True


async def update(collection: Collection, where: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Change the document with `where`'s `_id`; False when there is none or the rest of `where` does not hold.

    `where` may not say `$expr`: MongoDB does not allow it in what it takes for an upsert.
    Raises DuplicateKeyError when the change takes another document's unique key.
    """
    try:
        await _group(collection).write(UpdateOne(where, {**change, **_NEVER_INSERT}, upsert=True))
    except WriteError as error:
        if error.code in _MISSED:
            return False
        raise
    return True


async def merge(collection: Collection, document_id: str, change: Change, *, linger: float = 0) -> None:
    """Change the document, which is made when it is not there; `linger` for so many seconds, so that others join."""
    await _group(collection, linger).write(UpdateOne({"_id": document_id}, change, upsert=True))


class _Group:
    """The writes that wait for one collection. It is there as long as one is on its way."""

    def __init__(self, collection: Collection, linger: float) -> None:
        self._collection, self._linger = collection, linger
        self._waiting: list[tuple[Operation, asyncio.Future[Exception | None]]] = []
        self._running = asyncio.create_task(self._drain())

    async def write(self, operation: Operation) -> None:
        """Returns when the write is durable. Raises what it would have raised alone."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, done))
        with telemetry.span(f"write {self._collection.name}", telemetry.CLIENT):
            failure = await done
        if failure:  # a guard that misses is nothing that the trace should call an error
            raise failure

    async def _drain(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._linger)
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            failures = await self._commit([operation for operation, _ in batch])
            for index, (_, done) in enumerate(batch):
                if not done.done():  # unless its caller was cancelled
                    done.set_result(failures.get(index, failures.get(None)))
        del _groups[self._collection]

    async def _commit(self, operations: list[Operation]) -> dict[int | None, Exception]:
        """Write; returns what failed by its place, under None what concerns all the others."""
        try:
            await self._collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            failures: dict[int | None, Exception] = {
                each["index"]: _error(each) for each in error.details["writeErrors"]
            }
            if unconfirmed := error.details["writeConcernErrors"]:
                failures[None] = AutoReconnect(f"not confirmed: {unconfirmed[0]['errmsg']}")
            return failures
        except Exception as error:
            return {None: error}
        return {}


def _error(failure: Mapping[str, Any]) -> OperationFailure:
    """The failure without the operation, whose addresses and secrets would go into logs and traces with it."""
    kind = DuplicateKeyError if failure["code"] == _DUPLICATE else WriteError
    return kind(failure["errmsg"], failure["code"], {name: fact for name, fact in failure.items() if name != "op"})


_groups: dict[Collection, _Group] = {}


def _group(collection: Collection, linger: float = 0) -> _Group:
    if (group := _groups.get(collection)) is None:
        group = _groups[collection] = _Group(collection, linger)
    return group
