"""Realtime's own copy in MongoDB of what other services publish: one document per showtime, one per seat layout."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from chassis.clock import now
from chassis.ids import is_fresh
from chassis.mongo import writes
from contracts.inventory import SeatMapUpdated
from pymongo import ASCENDING, IndexModel

from realtime.model import SeatMap, ShowtimeNotReady, Snapshot, State, UnknownShowtime

UNSCHEDULED_KEPT = timedelta(days=400)
"""How long the snapshot of an unknown showtime is kept. `schedule` sets the right time."""
STATES: tuple[State, ...] = ("held", "blocked", "sold")


class Showtime(Document):
    """A showtime with inventory's latest snapshot of its seats. MongoDB deletes it at `keep_until`.

    Documents from before 2026-12 have no `snapshot_version`, so that the first snapshot replaces them.
    """

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    snapshot_version: int = 0
    held: list[str] = []
    sold: list[str] = []
    blocked: list[str] = []
    cancelled: bool = False
    layout_id: str | None = None
    keep_until: datetime | None = None

    class Settings:
        name = "showtimes"
        indexes = (IndexModel([("keep_until", ASCENDING)], expireAfterSeconds=0),)


class Layout(Document):
    """The seats of an auditorium; it never changes."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    seats: list[str]

    class Settings:
        name = "layouts"


DOCUMENTS = (Showtime, Layout)
_OLD_FIELDS = {"claims": "", "version": "", "changed_at": ""}


async def save_snapshot(event: SeatMapUpdated) -> None:
    """Store a snapshot, unless a newer one is stored. The showtime may not be known yet."""
    collection, showtime_id = Showtime.get_pymongo_collection(), event.showtime_id
    snapshot = {
        "snapshot_version": event.version,
        "held": event.held,
        "sold": event.sold,
        "blocked": event.blocked,
    }
    is_older = {"_id": showtime_id, "snapshot_version": {"$not": {"$gte": event.version}}}
    change = {"$set": snapshot, "$unset": _OLD_FIELDS}
    is_stored = await writes.update(collection, is_older, change)
    new = {"_id": showtime_id, **snapshot, "keep_until": now() + UNSCHEDULED_KEPT}
    if not is_stored and not await writes.insert(collection, new):
        # An older one may have been inserted in between.
        await writes.update(collection, is_older, change)


async def cancel(showtime_id: str) -> None:
    """Mark a showtime as cancelled."""
    await _upsert(showtime_id, {"cancelled": True})


async def schedule(showtime_id: str, *, layout_id: str, keep_until: datetime) -> None:
    """Store a showtime, whose seats may be stored already."""
    await _upsert(showtime_id, {"layout_id": layout_id, "keep_until": keep_until})


async def _upsert(showtime_id: str, fields: Mapping[str, Any]) -> None:
    await Showtime.get_pymongo_collection().update_one({"_id": showtime_id}, {"$set": fields}, upsert=True)


async def add_layout(layout_id: str, seats: list[str]) -> None:
    """Store a layout."""
    await Layout.get_pymongo_collection().update_one({"_id": layout_id}, {"$set": {"seats": seats}}, upsert=True)


async def seat_map(showtime_id: str) -> SeatMap:
    """The map as stored. Raises UnknownShowtime, or ShowtimeNotReady for a new one."""
    document = await Showtime.get_pymongo_collection().find_one({"_id": showtime_id})
    if document is None:
        raise ShowtimeNotReady(retry_after=2) if is_fresh(showtime_id, now()) else UnknownShowtime
    layout = await Layout.get(document["layout_id"]) if document.get("layout_id") else None
    return SeatMap(_snapshot(document), seat_ids=frozenset(layout.seats if layout else ()))


async def newer_snapshots(versions: Mapping[str, int]) -> list[Snapshot]:
    """The stored snapshots that are newer than these, by showtime, and those of cancelled showtimes."""
    is_newer = [
        {"_id": showtime_id, "$or": [{"snapshot_version": {"$gt": version}}, {"cancelled": True}]}
        for showtime_id, version in versions.items()
    ]
    found = Showtime.get_pymongo_collection().find({"$or": is_newer})
    return [_snapshot(document) async for document in found]


def _snapshot(document: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        document["_id"],
        document.get("snapshot_version", 0),
        {seat: state for state in STATES for seat in document.get(state, ())},
        is_cancelled=document.get("cancelled", False),
    )
