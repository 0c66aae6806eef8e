"""One document is one transaction: state, version and the events that it caused change in one write.

The relay publishes right after the write and then pulls what the broker confirmed, many in one bulk write. The
sweeper sends what a crash or an absent broker left behind. So an event is sent at least once, and soon.
(Richardson, Microservices Patterns, transactional outbox; the document-store form.)
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

import structlog
from beanie import Document
from contracts.envelope import Envelope, Event
from prometheus_client import Counter, Gauge
from pydantic import Field
from pymongo import ASCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from chassis import writes
from chassis.clock import now
from chassis.context import correlation_id, traceparent
from chassis.ids import new_id
from chassis.writes import Collection

log = structlog.get_logger()
OUTBOX_INDEX = IndexModel(
    [("outbox.time", ASCENDING)], name="outbox", partialFilterExpression={"outbox.0": {"$exists": True}}
)
_leftovers = Counter("usher_outbox_leftovers_total", "Events that the sweeper had to send")
_age = Gauge("usher_outbox_oldest_seconds", "Age of the oldest event that is not confirmed yet")


class Aggregate(Document):
    """A document that causes events. Change it with `commit` or `write` only; `version` counts its changes."""

    id: str = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int = 0
    outbox: list[dict[str, Any]] = []

    relay: ClassVar["Relay | None"] = None

    @classmethod
    def collection(cls) -> Collection:
        """The raw collection."""
        return cls.get_pymongo_collection()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """A raw document as a model."""
        return cls.model_validate(document)

    @classmethod
    async def commit(
        cls,
        where: Mapping[str, Any],
        update: Mapping[str, Any],
        *,
        events: Sequence[Event] = (),
        upsert: bool = False,
        projection: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Change the one document that `where` matches and record the events, in one write.

        Returns the raw document after the change, without its outbox; None when nothing matched, and for an upsert
        also when the document exists but does not match.
        """
        entries = [_entry(event) for event in events]
        try:
            document = await cls.collection().find_one_and_update(
                where,
                _change(update, entries),
                projection={**projection, "version": 1} if projection else {"outbox": 0},
                upsert=upsert,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            if upsert and "_id" in (error.details or {}).get("keyPattern", {}):
                return None
            raise
        if document is not None:
            cls._offer(document["_id"], document["version"], entries)
        return document

    @classmethod
    async def write(cls, where: Mapping[str, Any], update: Mapping[str, Any], *, events: Sequence[Event] = ()) -> bool:
        """The same for where many write: together with others' writes, and answering only whether `where` matched.

        `where` names the document's `_id` and says no `$expr`. Raises DuplicateKeyError when the change takes another
        document's unique key.
        """
        entries = [_entry(event) for event in events]
        if not await writes.update(cls.collection(), where, _change(update, entries)):
            return False
        cls._offer(where["_id"], where["version"] + 1 if "version" in where else None, entries)
        return True

    @classmethod
    async def add(cls, aggregate: Self, *, events: Sequence[Event] = ()) -> bool:
        """Insert a new document with its events; False when its id or another unique key is taken."""
        entries = [_entry(event) for event in events]
        document = aggregate.model_dump(by_alias=True) | {"version": 1, "outbox": entries}
        if not await writes.insert(cls.collection(), document):
            return False
        cls._offer(document["_id"], 1, entries)
        return True

    @classmethod
    def _offer(cls, document_id: str, version: int | None, entries: Sequence[dict[str, Any]]) -> None:
        if cls.relay is not None and entries:
            cls.relay.offer(cls.collection(), document_id, version, entries)


def _change(update: Mapping[str, Any], entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    change = {**update, "$inc": {**update.get("$inc", {}), "version": 1}}
    if entries:
        change["$push"] = {**update.get("$push", {}), "outbox": {"$each": entries}}
    return change


def _entry(event: Event) -> dict[str, Any]:
    """An event as it stands in an outbox: the envelope without what is known only after the write."""
    entry: dict[str, Any] = {
        "id": new_id(),
        "type": event.type,
        "subject": event.subject,
        "time": now(),
        "body": event.model_dump_json(exclude_none=True),
    }
    if correlation := correlation_id.get():
        entry["correlation_id"] = correlation
    if parent := traceparent():
        entry["traceparent"] = parent
    return entry


def envelope(entry: Mapping[str, Any], version: int) -> Envelope:
    """An outbox entry as it goes on the wire."""
    return Envelope.model_construct(
        id=entry["id"],
        source=entry["type"].partition(".")[0],
        type=entry["type"],
        subject=entry["subject"],
        time=entry["time"],
        version=version,
        correlation_id=entry.get("correlation_id", ""),
        traceparent=entry.get("traceparent", ""),
        body=entry["body"],
    )


Publish = Callable[[Envelope], Awaitable[None]]


@dataclass(frozen=True)
class _Pending:
    """An entry that is to be sent. `version` is unknown after a write that was not guarded by it."""

    collection: Collection
    document_id: str
    version: int | None
    entry: Mapping[str, Any]


class Relay:
    """Sends outbox entries. `publish` returns once the broker has confirmed; it raises when it has not."""

    BATCH = 256
    CAPACITY = 10_000
    PULL_AFTER_S = 2.0
    """Long enough for the next events of the same document to be pulled along; well within SWEEP_AFTER_S."""
    SWEEP_AFTER_S = 5.0
    SWEEP_DOCUMENTS = 200

    def __init__(self, publish: Publish, aggregates: Sequence[type[Aggregate]]) -> None:
        self._publish, self._aggregates = publish, aggregates
        self._pending: asyncio.Queue[_Pending] = asyncio.Queue(self.CAPACITY)
        self._confirmed: list[_Pending] = []
        self._to_pull = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for aggregate in self._aggregates:
            aggregate.relay = self
        self._tasks = [asyncio.create_task(self._publish_forever()), asyncio.create_task(self._pull_forever())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for aggregate in self._aggregates:
            aggregate.relay = None
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._pending.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pull()

    def offer(
        self,
        collection: Collection,
        document_id: str,
        version: int | None,
        entries: Sequence[Mapping[str, Any]],
    ) -> None:
        """Take committed entries for sending. What does not fit stays in the outbox for the sweeper."""
        for entry in entries:
            with suppress(asyncio.QueueFull):
                self._pending.put_nowait(_Pending(collection, document_id, version, entry))

    async def _publish_forever(self) -> None:
        while True:
            batch = [await self._pending.get()]
            while len(batch) < self.BATCH and not self._pending.empty():
                batch.append(self._pending.get_nowait())
            try:
                await self._send(batch)
            finally:
                for _ in batch:
                    self._pending.task_done()

    async def _send(self, batch: Sequence[_Pending]) -> None:
        try:
            present = await _present_versions(batch)
        except PyMongoError as error:
            log.warning("versions_not_read", reason=repr(error))
            return
        envelopes = [envelope(each.entry, each.version or present.get(each.document_id, 0)) for each in batch]
        results = await asyncio.gather(*map(self._publish, envelopes), return_exceptions=True)
        for pending, result in zip(batch, results, strict=True):
            if result is None:
                self._confirmed.append(pending)
                self._to_pull.set()
            elif isinstance(result, Exception):
                entry = pending.entry
                log.warning("event_not_confirmed", type=entry["type"], event_id=entry["id"], reason=repr(result))

    async def _pull_forever(self) -> None:
        while True:
            await self._to_pull.wait()
            await asyncio.sleep(self.PULL_AFTER_S)
            self._to_pull.clear()
            try:
                await self._pull()
            except PyMongoError as error:
                log.warning("outbox_pull_failed", reason=repr(error))

    async def _pull(self) -> None:
        """Take confirmed entries out of their documents. What fails here is only sent once more by the sweeper."""
        confirmed, self._confirmed = self._confirmed, []
        by_document: dict[Collection, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for sent in confirmed:
            by_document[sent.collection][sent.document_id].append(sent.entry["id"])
        for collection, documents in by_document.items():
            await collection.bulk_write(
                [
                    UpdateOne({"_id": document_id}, {"$pull": {"outbox": {"id": {"$in": ids}}}})
                    for document_id, ids in documents.items()
                ],
                ordered=False,
            )

    async def sweep(self) -> None:
        """Send what has waited too long. The version of a leftover is the document's present one: a hint only."""
        oldest = 0.0
        for aggregate in self._aggregates:
            oldest = max(oldest, await self._sweep(aggregate))
        _age.set(oldest)

    def rest(self) -> None:
        """Another replica sweeps and knows the age."""
        _age.set(0)

    async def _sweep(self, aggregate: type[Aggregate]) -> float:
        collection, moment, oldest = aggregate.collection(), now(), 0.0
        waiting_since = moment - timedelta(seconds=self.SWEEP_AFTER_S)
        left = collection.find(
            {"outbox.0": {"$exists": True}, "outbox.time": {"$lte": waiting_since}}, {"outbox": 1, "version": 1}
        ).limit(self.SWEEP_DOCUMENTS)
        async for document in left:
            entries = [entry for entry in document["outbox"] if entry["time"] <= waiting_since]
            oldest = max(oldest, *(_seconds_between(entry["time"], moment) for entry in entries))
            _leftovers.inc(len(entries))
            await self._send([_Pending(collection, document["_id"], document["version"], entry) for entry in entries])
        return oldest


async def _present_versions(batch: Sequence[_Pending]) -> dict[str, int]:
    """By document, the versions that are not known from the write. A later write may have come: a hint only."""
    unknown: dict[Collection, set[str]] = defaultdict(set)
    for pending in batch:
        if pending.version is None:
            unknown[pending.collection].add(pending.document_id)
    return {
        document["_id"]: document["version"]
        for collection, ids in unknown.items()
        async for document in collection.find({"_id": {"$in": list(ids)}}, {"version": 1})
    }


def _seconds_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
