"""Exports of personal data: one at a time per person, collected from the services' answers."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Literal

from beanie import Document
from chassis.ids import new_id
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts import topology
from contracts.identity import ExportRequested
from contracts.personal import PersonalData
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from identity.model import EXPORT_PAUSE, missing_answers
from identity.store.users import User, active_user

KEPT = timedelta(days=3)
ASKED = [service for service, consumed in topology.CONSUMES.items() if ExportRequested in consumed]
"""The services that store personal data."""


class Export(Aggregate):
    """A person's export; its id is the person's. By service: `parts` the received numbers, `last` the last number."""

    export_id: str
    state: Literal["gathering", "ready"] = "gathering"
    asked: list[str]
    parts: dict[str, list[int]] = {}
    last: dict[str, int] = {}
    requested_at: datetime
    deadline_at: datetime
    expires_at: datetime

    class Settings:
        name = "exports"
        indexes = [
            IndexModel("export_id", unique=True),
            IndexModel("deadline_at", partialFilterExpression={"state": "gathering"}),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]

    @property
    def missing(self) -> list[str]:
        """The services with missing parts."""
        return missing_answers(self.asked, self.parts, self.last)


class ExportPart(Document):
    """A part of a service's answer: `items` is a JSON list."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: str
    export_id: str
    service: str
    part: int
    items: str
    expires_at: datetime

    class Settings:
        name = "export_parts"
        indexes = [
            IndexModel([("export_id", ASCENDING), ("service", ASCENDING), ("part", ASCENDING)]),
            IndexModel("user_id"),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


exports = Collection(Export)
export_parts = Collection(ExportPart)


async def begin_export(user: User, now: datetime, patience: timedelta, device: str) -> Export:
    """Request the person's data from all services; `patience` is the longest wait.

    Returns a recent export instead, if there is one.
    """
    export_id = new_id()
    begun = await exports.update_and_get(
        {"_id": user.id, "requested_at": {"$lte": now - EXPORT_PAUSE}},
        {
            "$set": {
                "export_id": export_id,
                "state": "gathering",
                "asked": ASKED,
                "parts": {},
                "last": {},
                "requested_at": now,
                "deadline_at": now + patience,
                "expires_at": now + KEPT,
            }
        },
        events=[ExportRequested(export_id=export_id, user_id=user.id), user.noticed("export_requested", device)],
        upsert=True,
    )
    return begun or await exports.get(user.id) or await begin_export(user, now, patience, device)


async def find_export(user_id: str, now: datetime) -> Export | None:
    """The person's export, unless it has expired."""
    return await exports.find_one({"_id": user_id, "expires_at": {"$gt": now}})


async def take_part(event: PersonalData, now: datetime) -> None:
    """Store a part of an answer; the last missing part completes the export. A part for no export is dropped."""
    export = await exports.find_one({"export_id": event.export_id})
    if export is None:
        return
    service = event.source()
    part = ExportPart(
        id=f"{event.export_id}.{service}.{event.part}",
        user_id=export.id,
        export_id=event.export_id,
        service=service,
        part=event.part,
        items=json.dumps(event.items, ensure_ascii=False),
        expires_at=export.expires_at,
    )
    await export_parts.insert(part)
    change: dict[str, Any] = {"$addToSet": {f"parts.{service}": event.part}}
    if event.is_last:
        change["$set"] = {f"last.{service}": event.part}
    after = await exports.update_and_get({"_id": export.id, "export_id": event.export_id}, change)
    if after and not after.missing:
        await finish_export(after)


async def finish_export(export: Export) -> None:
    """Complete the export with the received parts, and mail the person once."""
    user = await active_user(export.id)
    notices = [user.noticed("export_incomplete" if export.missing else "export_ready")] if user else []
    where = {"_id": export.id, "export_id": export.export_id, "state": "gathering"}
    await exports.update(where, {"$set": {"state": "ready"}}, events=notices)


async def overdue_exports(now: datetime) -> list[Export]:
    """Exports that have waited too long for a service."""
    where = {"state": "gathering", "deadline_at": {"$lte": now}}
    return [export async for export in exports.find(where, limit=100)]


async def items_of(export: Export, service: str) -> AsyncIterator[Any]:
    """A service's answer, item by item."""
    where = {"export_id": export.export_id, "service": service}
    async for part in export_parts.find(where, sort=[("part", ASCENDING)]):
        for item in json.loads(part.items):
            yield item
