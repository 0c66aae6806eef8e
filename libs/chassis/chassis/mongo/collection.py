"""How services read and write documents: one class for every collection.

The guard of a change is part of its filter (`where`), never a read before it. A change of an aggregate also counts its
`version` and adds the events to its outbox, in the same write (chassis.mongo.outbox).
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from beanie import Document
from contracts.envelope import Event
from pydantic import BaseModel
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from chassis.mongo import writes
from chassis.mongo.outbox import Aggregate, entry_of
from chassis.mongo.writes import Change, Operation, RawCollection

T = TypeVar("T", bound=BaseModel)
Row = dict[str, Any]
Where = Mapping[str, Any]
Sort = Sequence[tuple[str, int]]


class Collection(Generic[T]):
    """The documents of one class, in the database that the service is connected to.

    `document` defines the collection and its indexes. Documents are read as objects of `model`, by default of the same
    class.
    """

    @overload
    def __init__(self, document: type[T]) -> None: ...

    @overload
    def __init__(self, document: type[Document], model: type[T]) -> None: ...

    def __init__(self, document: type[Any], model: type[T] | None = None) -> None:
        self._document: type[Document] = document
        self._model = model or cast("type[T]", document)
        self._is_aggregate = issubclass(document, Aggregate)
        self._plain_id = "id" in self._model.model_fields and self._model.model_fields["id"].alias is None

    @property
    def _raw(self) -> RawCollection:
        return self._document.get_pymongo_collection()

    async def insert(self, item: T, *, events: Sequence[Event] = (), linger: float = 0) -> bool:
        """Insert a document with its events. Returns False when its id or another unique key already exists.

        The write waits `linger` seconds for other writes to join.
        """
        entries = [entry_of(event) for event in events]
        document = self._dump(item)
        if self._is_aggregate:
            document |= {"version": 1, "outbox": entries}
        if not await writes.insert(self._raw, document, linger=linger):
            return False
        self._enqueue(document["_id"], 1, entries)
        return True

    async def get(self, document_id: object) -> T | None:
        """Return the document with this id."""
        return await self.find_one({"_id": document_id})

    async def find_one(self, where: Where, *, sort: Sort | None = None) -> T | None:
        """Return the first document that matches."""
        document = await self._raw.find_one(where, {"outbox": 0}, sort=sort)
        return self._parse(document) if document else None

    async def find(
        self, where: Where, *, sort: Sort | None = None, limit: int = 0, hint: str | None = None
    ) -> AsyncIterator[T]:
        """Yield the documents that match. `limit` 0 means all."""
        async for document in self._raw.find(where, {"outbox": 0}, sort=sort, limit=limit, hint=hint):
            yield self._parse(document)

    async def rows(
        self,
        where: Where,
        fields: Iterable[str] | Mapping[str, Any],
        *,
        sort: Sort | None = None,
        limit: int = 0,
        hint: str | None = None,
    ) -> AsyncIterator[Row]:
        """Yield some fields of the documents that match, as dicts: cheaper than whole objects."""
        projection = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, 1)
        async for row in self._raw.find(where, projection, sort=sort, limit=limit, hint=hint):
            yield row

    async def row(self, where: Where, fields: Iterable[str] | Mapping[str, Any]) -> Row | None:
        """Return some fields of the first document that matches."""
        projection = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, 1)
        return await self._raw.find_one(where, projection)

    async def exists(self, where: Where) -> bool:
        """Whether a document matches."""
        return await self._raw.find_one(where, {"_id": 1}) is not None

    async def count(self, where: Where, *, limit: int | None = None) -> int:
        """Count the documents that match, up to `limit`."""
        options: dict[str, Any] = {"limit": limit} if limit else {}
        return await self._raw.count_documents(where, **options)

    async def distinct(self, field: str, where: Where) -> list[Any]:
        """Return the different values of a field."""
        return await self._raw.distinct(field, where)

    async def aggregate(self, stages: Sequence[Mapping[str, Any]], *, hint: str | None = None) -> AsyncIterator[Row]:
        """Yield the results of an aggregation."""
        options: dict[str, Any] = {"hint": hint} if hint else {}
        async for row in await self._raw.aggregate(list(stages), **options):
            yield row

    async def update(
        self,
        where: Where,
        change: Change,
        *,
        events: Sequence[Event] = (),
        upsert: bool = False,
        bump: bool = True,
    ) -> bool:
        """Change the document that `where` matches. Returns False when nothing matched.

        Concurrent changes that are guarded by `_id` are sent as one command. With `upsert`, returns False when the
        document exists but does not match. `bump=False` leaves an aggregate's version as it is: for fields on which no
        guard depends. Raises DuplicateKeyError when the change violates a unique index.
        """
        if "_id" not in where or upsert or not isinstance(change, Mapping) or "$expr" in where:
            return await self._find_and_update(where, change, events, {"_id": 1}, upsert=upsert, bump=bump) is not None
        entries = [entry_of(event) for event in events]
        if not await writes.update(self._raw, where, self._counted(change, entries, bump=bump)):
            return False
        version = where.get("version")
        self._enqueue(where["_id"], version + bump if isinstance(version, int) else None, entries)
        return True

    async def update_and_get(
        self,
        where: Where,
        change: Change,
        *,
        events: Sequence[Event] = (),
        upsert: bool = False,
        bump: bool = True,
        sort: Sort | None = None,
    ) -> T | None:
        """Like `update`, but return the document after the change; None when nothing matched. Not grouped.

        Of several documents that match, the first one in the order of `sort` is changed.
        """
        document = await self._find_and_update(
            where, change, events, {"outbox": 0}, upsert=upsert, bump=bump, sort=sort
        )
        return self._parse(document) if document else None

    async def update_many(self, where: Where, change: Change) -> int:
        """Change all documents that match, without events and versions. Returns the number of changed documents."""
        return (await self._raw.update_many(where, change)).modified_count

    async def merge(self, document_id: str, change: Change, *, linger: float = 0) -> None:
        """Change the document or insert it. The write waits `linger` seconds for other writes to join."""
        await writes.merge(self._raw, document_id, change, linger=linger)

    async def bulk_write(self, operations: Sequence[Operation]) -> int:
        """Send many writes as one command, in any order. Returns the number of inserted and changed documents."""
        if not operations:
            return 0
        result = await self._raw.bulk_write(operations, ordered=False)
        return result.inserted_count + result.upserted_count + result.modified_count

    async def delete(self, where: Where) -> bool:
        """Delete one document that matches. Returns False when nothing matched."""
        return (await self._raw.delete_one(where)).deleted_count > 0

    async def delete_many(self, where: Where) -> int:
        """Delete all documents that match. Returns their number."""
        return (await self._raw.delete_many(where)).deleted_count

    async def take(self, where: Where) -> T | None:
        """Delete one document that matches and return it, so that only one caller gets it."""
        document = await self._raw.find_one_and_delete(where)
        return self._parse(document) if document else None

    async def _find_and_update(
        self,
        where: Where,
        change: Change,
        events: Sequence[Event],
        projection: Mapping[str, Any],
        *,
        upsert: bool,
        bump: bool,
        sort: Sort | None = None,
    ) -> Row | None:
        entries = [entry_of(event) for event in events]
        if self._is_aggregate and entries:
            projection = {**projection, **({"version": 1} if projection == {"_id": 1} else {})}
        try:
            document = await self._raw.find_one_and_update(
                where,
                self._change(change, entries, bump=bump),
                projection=projection,
                sort=sort,
                upsert=upsert,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            if upsert and "_id" in (error.details or {}).get("keyPattern", {}):
                return None
            raise
        if document is not None and entries:
            self._enqueue(document["_id"], document["version"], entries)
        return document

    def _change(self, change: Change, entries: Sequence[Row], *, bump: bool) -> Change:
        if not isinstance(change, Mapping):
            if entries:
                raise TypeError("a pipeline cannot add events")
            is_counted = self._is_aggregate and bump
            return [*change, {"$set": {"version": {"$add": ["$version", 1]}}}] if is_counted else change
        return self._counted(change, entries, bump=bump)

    def _counted(self, change: Mapping[str, Any], entries: Sequence[Row], *, bump: bool) -> Row:
        changed = dict(change)
        if not self._is_aggregate:
            return changed
        if bump:
            changed["$inc"] = {**change.get("$inc", {}), "version": 1}
        if entries:
            changed["$push"] = {**change.get("$push", {}), "outbox": {"$each": entries}}
        return changed

    def _enqueue(self, document_id: str, version: int | None, entries: Sequence[Row]) -> None:
        if entries and issubclass(self._document, Aggregate) and self._document.relay is not None:
            self._document.relay.enqueue(self._raw, document_id, version, entries)

    def _dump(self, item: T) -> Row:
        document = item.model_dump(by_alias=True)
        return {"_id": document.pop("id"), **document} if self._plain_id else document

    def _parse(self, document: Row) -> T:
        if self._plain_id:
            document["id"] = document.pop("_id")
        return self._model.model_validate(document)
