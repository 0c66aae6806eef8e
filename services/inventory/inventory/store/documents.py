"""The documents and their reads. Immutable data is cached in the process."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from beanie import Document
from chassis.clock import now
from chassis.ids import is_fresh
from chassis.mongo.outbox import Aggregate
from contracts.catalog import Aisle, OrphanRule, PlacedSeat, Point, ScreenSide
from contracts.envelope import Event
from contracts.types import Seat
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from inventory.model import AuditoriumMap, Seating, SeatMapMissing, SeatState, ShowtimeUnknown

if TYPE_CHECKING:
    from inventory.store.seat_updates import SeatBroadcaster

ATTEMPTS = 10
"""The maximum number of attempts of a guarded write. Each miss means that another write succeeded."""
LAYOUTS_CACHED = 256
SHOWTIMES_CACHED = 10_000

T = TypeVar("T")


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


class Showtime(Aggregate, Seating):
    """The seats of a showtime that are not free, and the facts on which sales depend.

    `timed_at` is the time at which catalog set the times; older events are ignored. `is_stale`: seats have changed
    since the last `seat_map_updated`.
    """

    layout_id: str
    auditorium_id: str
    theater_id: str
    starts_at: datetime
    timed_at: datetime
    orphan_rule: OrphanRule = "off"
    is_stale: bool = False

    broadcaster: ClassVar["SeatBroadcaster | None"] = None

    class Settings:
        name = "showtimes"
        indexes = [
            IndexModel([("holds.id", ASCENDING)], name="hold"),
            IndexModel([("holds.expires_at", ASCENDING)], name="lapse"),
            IndexModel([("is_stale", ASCENDING)], name="stale", partialFilterExpression={"is_stale": True}),
        ]

    @classmethod
    async def change_seats(
        cls, where: Mapping[str, Any], update: Mapping[str, Any], seats: Iterable[str], *, events: Sequence[Event] = ()
    ) -> bool:
        """Write a change of these seats' states: mark the showtime as stale and broadcast the seats soon.

        Returns False when `where` does not match.
        """
        changed = list(seats)
        if not changed:
            return await cls.write(where, update, events=events)
        stale = {**update, "$set": {**update.get("$set", {}), "is_stale": True}}
        if not await cls.write(where, stale, events=events):
            return False
        if cls.broadcaster is not None:
            cls.broadcaster.enqueue(where["_id"], changed)
        return True


DOCUMENTS = [Showtime, SeatLayout]


class LayoutResponse(BaseModel):
    """An auditorium's seats on a grid of `columns` by `rows`. `screen` is the side on which the screen is."""

    layout_id: str
    auditorium_id: str
    columns: float
    rows: float
    seats: list[PlacedSeat]
    screen: ScreenSide = "top"
    focal_point: Point | None = None
    aisles: list[Aisle] = []


@dataclass(frozen=True)
class Layout:
    """A cached layout: the seats by id, the map of neighbors, and the LayoutResponse as JSON text."""

    seats: Mapping[str, Seat]
    auditorium: AuditoriumMap
    json: bytes

    def details_of(self, seats: Iterable[str]) -> list[Seat]:
        """Return these seats with row, number and category."""
        return [self.seats[seat] for seat in seats]


@dataclass(frozen=True)
class ShowtimeInfo:
    """The immutable facts about a showtime that requests need."""

    layout_id: str
    theater_id: str
    orphan_rule: OrphanRule


_layouts: dict[str, Layout] = {}
_showtimes: dict[str, ShowtimeInfo] = {}
_pending_reads: dict[str, tuple[set[str], asyncio.Task[Seating]]] = {}
"""By showtime: the seats of a read that is about to be sent, and its task."""


def _cache(cache: dict[str, T], key: str, value: T, most: int) -> T:
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value
    return value


async def showtime_info(showtime_id: str) -> ShowtimeInfo:
    """Return the cached facts about the showtime. Raises ShowtimeUnknown and SeatMapMissing."""
    if known := _showtimes.get(showtime_id):
        return known
    document = await _find({"_id": showtime_id}, {"layout_id": 1, "theater_id": 1, "orphan_rule": 1})
    place = ShowtimeInfo(document["layout_id"], document["theater_id"], document.get("orphan_rule", "off"))
    return _cache(_showtimes, showtime_id, place, SHOWTIMES_CACHED)


async def layout_of(showtime_id: str) -> Layout:
    """Return the layout of the showtime's auditorium. Raises ShowtimeUnknown and SeatMapMissing."""
    return await layout((await showtime_info(showtime_id)).layout_id)


async def layout(layout_id: str) -> Layout:
    """Return a layout. Raises SeatMapMissing when catalog's event about it has not arrived yet."""
    if known := _layouts.get(layout_id):
        return known
    document = await SeatLayout.get(layout_id)
    if document is None:
        raise SeatMapMissing(retry_after=1)
    view = LayoutResponse(layout_id=layout_id, **document.model_dump(exclude={"id"}))
    seats = {seat.seat_id: Seat.model_validate(seat.model_dump()) for seat in document.seats}
    auditorium = AuditoriumMap.from_layout(document.seats, document.focal_point)
    return _cache(_layouts, layout_id, Layout(seats, auditorium, view.model_dump_json().encode()), LAYOUTS_CACHED)


async def read(showtime_id: str) -> Showtime:
    """Read the whole showtime. Raises ShowtimeUnknown and SeatMapMissing."""
    return Showtime.parse(await _find({"_id": showtime_id}, {"outbox": 0}))


async def seating_of(showtime_id: str, seats: Iterable[str]) -> Seating:
    """Read the sales times and the states of these seats, without holds. Raises ShowtimeUnknown and SeatMapMissing.

    Concurrent calls for one showtime share a read: writes that are sent in one command often miss together.
    """
    if (pending := _pending_reads.get(showtime_id)) is None:
        wanted: set[str] = set()
        pending = _pending_reads[showtime_id] = wanted, asyncio.create_task(_read_seating(showtime_id, wanted))
    pending[0].update(seats)
    return await asyncio.shield(pending[1])


async def _read_seating(showtime_id: str, seats: Set[str]) -> Seating:
    await asyncio.sleep(0)
    del _pending_reads[showtime_id]
    wanted = ["sales_open_at", "sales_close_at", "cancelled", *(f"taken.{seat}" for seat in seats)]
    return Seating.model_validate(await _find({"_id": showtime_id}, dict.fromkeys(wanted, 1)))


async def seat_map_of(showtime_id: str) -> dict[str, Any]:
    """Read the raw showtime without its private fields. Raises ShowtimeUnknown and SeatMapMissing."""
    return await _find({"_id": showtime_id}, {"outbox": 0, "holds": 0, "blocks": 0, "ended": 0})


def live_states(showtime: Mapping[str, Any], moment: datetime) -> dict[str, SeatState]:
    """Return the states of a raw showtime's seats that are not free."""
    taken = showtime["taken"].items()
    return {seat: entry["state"] for seat, entry in taken if (until := entry.get("until")) is None or until > moment}


async def _find(where: Mapping[str, Any], projection: Mapping[str, Any]) -> dict[str, Any]:
    document = await Showtime.collection().find_one(where, projection)
    if document is None:
        if is_fresh(where["_id"], now()):
            raise SeatMapMissing(retry_after=2)
        raise ShowtimeUnknown
    return document
