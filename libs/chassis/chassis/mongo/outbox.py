"""The transactional outbox: one write changes a document's state, its version and the events that the change caused.

`chassis.mongo.collection` makes the writes, `chassis.mongo.relay` publishes the events. (Richardson, Microservices
Patterns, transactional outbox, here for a document store.)
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from beanie import Document
from contracts.envelope import Envelope, Event
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.writes import RawCollection
from chassis.observability.context import correlation_id, traceparent

OUTBOX_INDEX = IndexModel(
    [("outbox.time", ASCENDING)], name="outbox", partialFilterExpression={"outbox.0": {"$exists": True}}
)


class Enqueues(Protocol):
    """The relay, as a write uses it."""

    def enqueue(
        self, collection: RawCollection, document_id: str, version: int | None, entries: Sequence[Mapping[str, Any]]
    ) -> None: ...


class Aggregate(Document):
    """A document that publishes events. Change it through its Collection only; `version` counts its changes."""

    id: str = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int = 0
    outbox: list[dict[str, Any]] = []

    relay: ClassVar[Enqueues | None] = None


def entry_of(event: Event) -> dict[str, Any]:
    """Create the outbox entry of an event: its envelope without the version, which is known only after the write."""
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
    """Create the envelope of an outbox entry."""
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
