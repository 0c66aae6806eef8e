"""Realtime's own copy in MongoDB of what other services publish: one document per showtime, one per seat layout."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from chassis.clock import now
from chassis.ids import is_fresh
from chassis.mongo.collection import Collection, Row
from contracts.inventory import SeatMapUpdated
from pymongo import ASCENDING, IndexModel

from realtime.model import SeatMap, ShowtimeNotReady, Snapshot, State, UnknownShowtime

UNSCHEDULED_KEPT = timedelta(days=400)
"""How long the snapshot of an unknown showtime is kept. `schedule` sets the right time."""
STATES: tuple[State, ...] = ("held", "blocked", "sold")


class ShowtimeDocument(Document):
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


class SeatLayout(Document):
    """The seats of an auditorium; it never changes."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    seats: list[str]

    class Settings:
        name = "layouts"


DOCUMENTS = (ShowtimeDocument, SeatLayout)
showtimes = Collection(ShowtimeDocument)
layouts = Collection(SeatLayout)
_SHOWN = ("snapshot_version", *STATES, "cancelled")
_OLD_FIELDS = {"claims": "", "version": "", "changed_at": ""}


async def save_snapshot(event: SeatMapUpdated) -> None:
    """Store a snapshot, unless a newer one is stored. The showtime may not be known yet."""
    snapshot: dict[str, Any] = {
        "snapshot_version": event.version,
        "held": event.held,
        "sold": event.sold,
        "blocked": event.blocked,
    }
    is_older = {"_id": event.showtime_id, "snapshot_version": {"$not": {"$gte": event.version}}}
    change = {"$set": snapshot, "$unset": _OLD_FIELDS}
    if await showtimes.update(is_older, change):
        return
    new = ShowtimeDocument(id=event.showtime_id, **snapshot, keep_until=now() + UNSCHEDULED_KEPT)
    if not await showtimes.insert(new):
        # An older one may have been inserted in between.
        await showtimes.update(is_older, change)


async def cancel(showtime_id: str) -> None:
    """Mark a showtime as cancelled."""
    await showtimes.merge(showtime_id, {"$set": {"cancelled": True}})


async def schedule(showtime_id: str, *, layout_id: str, keep_until: datetime) -> None:
    """Store a showtime, whose seats may be stored already."""
    await showtimes.merge(showtime_id, {"$set": {"layout_id": layout_id, "keep_until": keep_until}})


async def add_layout(layout_id: str, seats: list[str]) -> None:
    """Store a layout."""
    await layouts.merge(layout_id, {"$set": {"seats": seats}})


async def seat_map(showtime_id: str) -> SeatMap:
    """Return the map as stored. Raises UnknownShowtime, or ShowtimeNotReady for a new one."""
    row = await showtimes.row({"_id": showtime_id}, (*_SHOWN, "layout_id"))
    if row is None:
        raise ShowtimeNotReady(retry_after=2) if is_fresh(showtime_id, now()) else UnknownShowtime
    layout = await layouts.get(row["layout_id"]) if row.get("layout_id") else None
    return SeatMap(_snapshot(row), seat_ids=frozenset(layout.seats if layout else ()))


async def newer_snapshots(versions: Mapping[str, int]) -> list[Snapshot]:
    """Return the stored snapshots that are newer than these, by showtime, and those of cancelled showtimes."""
    is_newer = [
        {"_id": showtime_id, "$or": [{"snapshot_version": {"$gt": version}}, {"cancelled": True}]}
        for showtime_id, version in versions.items()
    ]
    return [_snapshot(row) async for row in showtimes.rows({"$or": is_newer}, _SHOWN)]


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(
        row["_id"],
        row.get("snapshot_version", 0),
        {seat: state for state in STATES for seat in row.get(state, ())},
        is_cancelled=row.get("cancelled", False),
    )
