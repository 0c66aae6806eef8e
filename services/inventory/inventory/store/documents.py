"""The documents and the reads that need no cache."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from beanie import Document
from chassis.clock import now
from chassis.ids import is_fresh
from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from inventory.model import (
    SeatMapMissing,
    SeatState,
    Showtime,
    ShowtimeDetails,
    ShowtimeUnknown,
    WaitingParty,
    WaitingShowtime,
)

ATTEMPTS = 10
"""The maximum number of attempts of a guarded write. Each miss means that another write succeeded."""


class SeatLayout(Document):
    """One version of an auditorium's seats. It never changes."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    auditorium_id: str
    columns: float
    rows: float
    seats: list[PlacedSeat]
    screen: ScreenSide = "top"
    focal_point: Point | None = None
    aisles: list[Aisle] = []

    class Settings:
        name = "seat_layouts"


class ShowtimeDocument(Aggregate, WaitingShowtime):
    """A showtime as MongoDB stores it."""

    class Settings:
        name = "showtimes"
        indexes = [
            IndexModel([("holds.id", ASCENDING)], name="hold"),
            IndexModel([("holds.keys", ASCENDING)], name="owner"),
            IndexModel([("holds.expires_at", ASCENDING)], name="lapse"),
            IndexModel([("is_stale", ASCENDING)], name="stale", partialFilterExpression={"is_stale": True}),
            IndexModel(
                [("waitlist_at", ASCENDING)],
                name="waitlist",
                partialFilterExpression={"waitlist_at": {"$type": "date"}},
            ),
            IndexModel(
                [("waitlist.holder.user_id", ASCENDING)],
                name="waiting_person",
                partialFilterExpression={"waitlist.holder.user_id": {"$type": "string"}},
            ),
        ]


class DetailsDocument(Document, ShowtimeDetails):
    """A showtime's details for its waitlist, apart from the hot document."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]

    class Settings:
        name = "showtime_details"


class LapsedHold(Document):
    """A hold that expired unpaid. MongoDB deletes it at `until`.

    It counts for its keys, and a late payment request can still pin its seats.
    """

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    keys: list[str]
    until: datetime

    class Settings:
        name = "lapsed_holds"
        indexes = [
            IndexModel([("keys", ASCENDING)], name="owner"),
            IndexModel([("until", ASCENDING)], name="forgotten", expireAfterSeconds=0),
        ]


DOCUMENTS = [ShowtimeDocument, DetailsDocument, SeatLayout, LapsedHold]
showtimes: Collection[Showtime] = Collection(ShowtimeDocument, Showtime)
waiting_showtimes: Collection[WaitingShowtime] = Collection(ShowtimeDocument, WaitingShowtime)
"""The same documents, read with their waitlists."""
showtime_details: Collection[ShowtimeDetails] = Collection(DetailsDocument, ShowtimeDetails)
layouts = Collection(SeatLayout)
lapsed_holds = Collection(LapsedHold)


async def read(showtime_id: str) -> Showtime:
    """Read the showtime without its waitlist. Raises ShowtimeUnknown and SeatMapMissing."""
    row = await read_fields(showtime_id, {"outbox": 0, "waitlist": 0})
    return Showtime.model_validate(row | {"id": row["_id"]})


async def read_waiting(showtime_id: str) -> WaitingShowtime:
    """Read the showtime with its waitlist. Raises ShowtimeUnknown and SeatMapMissing."""
    return await waiting_showtimes.get(showtime_id) or raise_missing(showtime_id)


def stored(parties: Iterable[WaitingParty]) -> list[dict[str, Any]]:
    """Return a waitlist as MongoDB stores it."""
    return [party.model_dump(exclude_none=True) for party in parties]


async def read_fields(showtime_id: str, fields: Mapping[str, Any]) -> Row:
    """Read some fields of the showtime. Raises ShowtimeUnknown and SeatMapMissing."""
    return await showtimes.row({"_id": showtime_id}, fields) or raise_missing(showtime_id)


async def seat_map_of(showtime_id: str) -> Row:
    """Read the raw showtime without its private fields. Raises ShowtimeUnknown and SeatMapMissing."""
    return await read_fields(showtime_id, {"outbox": 0, "holds": 0, "blocks": 0, "ended": 0, "waitlist": 0})


def live_states(showtime: Row, moment: datetime) -> dict[str, SeatState]:
    """Return the states of a raw showtime's seats that are not free. `waitlist_at` must be among the fields read."""
    taken = showtime["taken"].items()
    if showtime.get("waitlist_at") is not None:
        return {seat: entry["state"] for seat, entry in taken}
    return {seat: entry["state"] for seat, entry in taken if (until := entry.get("until")) is None or until > moment}


def raise_missing(showtime_id: str) -> NoReturn:
    """Raise SeatMapMissing for a showtime whose event may still arrive, else ShowtimeUnknown."""
    if is_fresh(showtime_id, now()):
        raise SeatMapMissing(retry_after=2)
    raise ShowtimeUnknown
