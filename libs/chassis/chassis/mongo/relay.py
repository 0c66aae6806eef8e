"""Publishes the events in outboxes (chassis.mongo.outbox), each soon and at least once.

The relay publishes right after the write and then removes the confirmed events from the documents in bulk. The sweeper
publishes events that remained after a crash or an outage of RabbitMQ.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

import structlog
from contracts import topology
from contracts.envelope import Envelope
from prometheus_client import Counter, Gauge
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from chassis.clock import now
from chassis.messaging.wire import MAX_BATCH
from chassis.mongo.outbox import Aggregate, envelope
from chassis.mongo.writes import RawCollection

log = structlog.get_logger()
STOP_S = 5.0
"""How long a stopping service waits for the broker's confirms."""
_DISPLAYED = frozenset(event.type for events in topology.DISPLAYED.values() for event in events)
_leftovers = Counter("usher_outbox_leftovers_total", "Events that the sweeper had to publish")
_age = Gauge("usher_outbox_oldest_seconds", "Age of the oldest unconfirmed event")


class Publish(Protocol):
    """Publishes events of one type as one message. Returns when the broker has confirmed it; raises otherwise."""

    def __call__(self, *envelopes: Envelope) -> Awaitable[None]: ...


@dataclass(frozen=True)
class _Pending:
    """An entry to publish. `version` is None after a write that was not guarded by the version."""

    collection: RawCollection
    document_id: str
    version: int | None
    entry: Mapping[str, Any]


class Relay:
    """Publishes outbox entries. The entries of one type that are pending at the same time become one message.

    While a message of a type is being published, further events of that type wait for the next message. A single event
    is published at once, unless its type is in `topology.BATCHED`.
    """

    CAPACITY = 10_000
    """Maximum number of pending events of one type."""
    BATCH_CHARS = 262_144
    GATHER_S = 0.05
    PULL_AFTER_S = 2.0
    """Long enough to remove several events of a document together, and well below SWEEP_AFTER_S."""
    SWEEP_AFTER_S = 5.0
    SWEEP_DOCUMENTS = 200

    def __init__(self, publish: Publish, aggregates: Sequence[type[Aggregate]]) -> None:
        self._publish, self._aggregates = publish, aggregates
        self._pending: dict[str, list[_Pending]] = defaultdict(list)
        self._publishing: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = asyncio.Event()
        self._confirmed: list[_Pending] = []
        self._to_pull = asyncio.Event()

    async def __aenter__(self) -> Self:
        for aggregate in self._aggregates:
            aggregate.relay = self
        self._pulling = asyncio.create_task(self._pull_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        for aggregate in self._aggregates:
            aggregate.relay = None
        self._is_stopping.set()
        if publishing := self._publishing.values():
            await asyncio.wait(publishing, timeout=STOP_S)
        unfinished = [*self._publishing.values(), self._pulling]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        await self._pull()

    def enqueue(
        self,
        collection: RawCollection,
        document_id: str,
        version: int | None,
        entries: Sequence[Mapping[str, Any]],
    ) -> None:
        """Publish committed entries. Entries beyond the capacity stay in the outbox for the sweeper."""
        for entry in entries:
            event_type = entry["type"]
            if len(self._pending[event_type]) < self.CAPACITY:
                self._pending[event_type].append(_Pending(collection, document_id, version, entry))
            if event_type not in self._publishing:
                # Must not inherit the context (trace, correlation id) of the first request.
                self._publishing[event_type] = asyncio.create_task(self._drain(event_type), context=Context())

    async def _drain(self, event_type: str) -> None:
        """Publish the pending events of a type until there are none."""
        try:
            while self._pending[event_type]:
                if event_type in topology.BATCHED:
                    await self._gather()
                for batch in _batches(self._pending.pop(event_type), self.BATCH_CHARS):
                    await self._send(batch)
        finally:
            del self._publishing[event_type]

    async def _gather(self) -> None:
        """Wait GATHER_S for more events, unless the service is stopping."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.GATHER_S):
                await self._is_stopping.wait()

    async def _send(self, batch: Sequence[_Pending]) -> None:
        """Publish events of one type. Unconfirmed events stay in the outbox for the sweeper."""
        try:
            versions = await _current_versions(batch)
            await self._publish(
                *(envelope(each.entry, each.version or versions.get(each.document_id, 0)) for each in batch)
            )
        except Exception as error:
            event_ids = [each.entry["id"] for each in batch]
            log.warning("event_not_confirmed", type=batch[0].entry["type"], event_ids=event_ids, reason=repr(error))
        else:
            self._confirmed += batch
            self._to_pull.set()

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
        """Remove confirmed entries from their documents. If that fails, the sweeper publishes them again."""
        confirmed, self._confirmed = self._confirmed, []
        by_document: dict[RawCollection, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
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
        """Publish events that have waited too long, with the document's current version as a hint."""
        _age.set(max(await asyncio.gather(*map(self._sweep, self._aggregates))))

    def stand_by(self) -> None:
        """Reset the gauge, because another replica sweeps and measures the age."""
        _age.set(0)

    async def _sweep(self, aggregate: type[Aggregate]) -> float:
        collection, moment, oldest = aggregate.get_pymongo_collection(), now(), 0.0
        waiting_since = moment - timedelta(seconds=self.SWEEP_AFTER_S)
        left: list[_Pending] = []
        documents = collection.find(
            {"outbox.0": {"$exists": True}, "outbox.time": {"$lte": waiting_since}}, {"outbox": 1, "version": 1}
        ).limit(self.SWEEP_DOCUMENTS)
        async for document in documents:
            entries = [entry for entry in document["outbox"] if entry["time"] <= waiting_since]
            oldest = max(oldest, *(_seconds_between(entry["time"], moment) for entry in entries))
            _leftovers.inc(len(entries))
            left += [_Pending(collection, document["_id"], document["version"], entry) for entry in entries]
        by_type: dict[str, list[_Pending]] = defaultdict(list)
        for pending in left:
            by_type[pending.entry["type"]].append(pending)
        for of_one_type in by_type.values():
            for batch in _batches(of_one_type, self.BATCH_CHARS):
                await self._send(batch)
        return oldest


def _batches(pending: Sequence[_Pending], most_chars: int) -> Iterator[list[_Pending]]:
    """Split events into batches of at most MAX_BATCH events and about `most_chars` characters, but at least one."""
    batch: list[_Pending] = []
    chars = 0
    for each in pending:
        chars += len(each.entry["body"])
        if batch and (len(batch) == MAX_BATCH or chars > most_chars):
            yield batch
            batch, chars = [], len(each.entry["body"])
        batch.append(each)
    if batch:
        yield batch


async def _current_versions(batch: Sequence[_Pending]) -> dict[str, int]:
    """Return the current versions of the documents whose version the write did not return, as a hint for consumers.

    A later write may have changed them. They are read only for events that are displayed live; no others use the hint.
    """
    if batch[0].entry["type"] not in _DISPLAYED:
        return {}
    unknown: dict[RawCollection, set[str]] = defaultdict(set)
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
