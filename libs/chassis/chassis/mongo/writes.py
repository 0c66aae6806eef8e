"""Group commit: concurrent writes to one collection are sent to MongoDB as one command.

Writes that arrive while a command is running wait for the next one; a single write does not wait. Sixteen guarded
updates in one command cost MongoDB a third of sixteen commands, and the driver a tenth. Each caller gets the result of
its own write. When MongoDB does not answer in time, all callers get that error, and any write may have been applied.

The client's time limit applies. `pymongo.timeout` around one write would also limit the others.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from chassis.observability import telemetry

RawCollection = AsyncCollection[dict[str, Any]]
Change = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Operators, or the stages of a pipeline."""
Operation = InsertOne[dict[str, Any]] | UpdateOne
MAX_OPERATIONS = 500
_DUPLICATE = 11000
_MISSED = frozenset({54, 66})
"""NotSingleValueField, ImmutableField: the errors of an upsert that matched nothing and cannot insert."""
_NEVER_INSERT = {"$setOnInsert": {"_id": None}}
"""Makes an update whose guard does not match fail with an error that identifies it, because MongoDB counts the matches
of a command and not of each update. The upsert would have to insert an id that differs from its filter's, which fails.
"""


async def insert(collection: RawCollection, document: Mapping[str, Any], *, linger: float = 0) -> bool:
    """Insert a document. Returns False when its id or another unique key already exists. `linger`: see `merge`."""
    try:
        await _group(collection, linger).write(InsertOne(dict(document)))
    except DuplicateKeyError:
        return False
    return True


async def update(collection: RawCollection, where: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Update the document that `where` matches by `_id` and guards. Returns False when it does not match.

    `where` must not contain `$expr`, which MongoDB does not allow in an upsert. Raises DuplicateKeyError when the
    change violates a unique index.
    """
    try:
        await _group(collection).write(UpdateOne(where, {**change, **_NEVER_INSERT}, upsert=True))
    except WriteError as error:
        if error.code in _MISSED:
            return False
        raise
    return True


async def merge(collection: RawCollection, document_id: str, change: Change, *, linger: float = 0) -> None:
    """Update the document or insert it. The write waits `linger` seconds for other writes to join."""
    await _group(collection, linger).write(UpdateOne({"_id": document_id}, change, upsert=True))


class _Group:
    """The pending writes of one collection. The group exists while a command is running."""

    def __init__(self, collection: RawCollection, linger: float) -> None:
        self._collection, self._linger = collection, linger
        self._waiting: list[tuple[Operation, asyncio.Future[Exception | None]]] = []
        self._running = asyncio.create_task(self._drain())

    async def write(self, operation: Operation) -> None:
        """Wait until the write is durable. Raises the error of this write."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, done))
        with telemetry.span(f"write {self._collection.name}", telemetry.CLIENT):
            failure = await done
        if failure:  # outside the span: a guard that does not match is not an error in the trace
            raise failure

    async def _drain(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._linger)
            batch, self._waiting = self._waiting[:MAX_OPERATIONS], self._waiting[MAX_OPERATIONS:]
            failures = await self._commit([operation for operation, _ in batch])
            for index, (_, done) in enumerate(batch):
                if not done.done():  # unless its caller was cancelled
                    done.set_result(failures.get(index, failures.get(None)))
        del _groups[self._collection]

    async def _commit(self, operations: list[Operation]) -> dict[int | None, Exception]:
        """Send the operations. Returns the errors by index; the error under None applies to all others."""
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
    """Create the error without the operation, so that its addresses and secrets do not get into logs and traces."""
    kind = DuplicateKeyError if failure["code"] == _DUPLICATE else WriteError
    return kind(failure["errmsg"], failure["code"], {name: fact for name, fact in failure.items() if name != "op"})


_groups: dict[RawCollection, _Group] = {}


def _group(collection: RawCollection, linger: float = 0) -> _Group:
    if (group := _groups.get(collection)) is None:
        group = _groups[collection] = _Group(collection, linger)
    return group
