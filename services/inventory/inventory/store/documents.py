"""The documents, and reading them. What never changes is read once per process."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from beanie import Document
from chassis.clock import now
from chassis.ids import is_fresh
from chassis.outbox import Aggregate
from contracts.catalog import Aisle, OrphanRule, PlacedSeat, Point, ScreenSide
from contracts.envelope import Event
from contracts.types import Seat
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from inventory.model import AuditoriumMap, Seating, SeatMapMissing, SeatState, ShowtimeUnknown

if TYPE_CHECKING:
    from inventory.store.seat_updates import SeatBroadcaster

ATTEMPTS = 10
"""How often a write whose guard missed is decided anew; each miss means that somebody else's write went through."""
LAYOUTS_CACHED = 256
SHOWTIMES_CACHED = 10_000

T = TypeVar("T")


class SeatLayout(Document):
    """An auditorium's seats in one version. It never changes."""

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
    """The seats of a showtime that are not free, and what selling them depends on.

    `timed_at` is when catalog set the times: older events are ignored. `is_stale`: seats have changed since the last
    `seat_map_updated`.
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
        """`write` for a change that gives these seats another state: screens show it soon."""
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
    """An auditorium's seats on a grid of `columns` by `rows`, with the screen on that side of it."""

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
    """A layout as requests need it: seats by name, as neighbours, and its LayoutResponse as JSON text."""

    seats: Mapping[str, Seat]
    auditorium: AuditoriumMap
    json: bytes

    def details_of(self, seats: Iterable[str]) -> list[Seat]:
        """These seats with row, number and category."""
        return [self.seats[seat] for seat in seats]


@dataclass(frozen=True)
class ShowtimeInfo:
    """Where a showtime is, and the rule for single seats there."""

    layout_id: str
    theater_id: str
    orphan_rule: OrphanRule


_layouts: dict[str, Layout] = {}
_showtimes: dict[str, ShowtimeInfo] = {}
_asking: dict[str, tuple[set[str], asyncio.Task[Seating]]] = {}
"""By showtime, the read of some seats that is about to be sent."""


def _cache(cache: dict[str, T], key: str, value: T, most: int) -> T:
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value
    return value


async def showtime_info(showtime_id: str) -> ShowtimeInfo:
    """Where the showtime is. Raises ShowtimeUnknown."""
    if known := _showtimes.get(showtime_id):
        return known
    document = await _find({"_id": showtime_id}, {"layout_id": 1, "theater_id": 1, "orphan_rule": 1})
    place = ShowtimeInfo(document["layout_id"], document["theater_id"], document.get("orphan_rule", "off"))
    return _cache(_showtimes, showtime_id, place, SHOWTIMES_CACHED)


async def layout_of(showtime_id: str) -> Layout:
    """The seats of the showtime's auditorium. Raises ShowtimeUnknown and SeatMapMissing."""
    return await layout((await showtime_info(showtime_id)).layout_id)


async def layout(layout_id: str) -> Layout:
    """The seats of a layout. Raises SeatMapMissing while catalog's event with it is still on its way."""
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
    """The whole showtime. Raises ShowtimeUnknown."""
    return Showtime.parse(await _find({"_id": showtime_id}, {"outbox": 0}))


async def seating_of(showtime_id: str, seats: Iterable[str]) -> Seating:
    """The part of the showtime that decides about these seats, without holds. Raises ShowtimeUnknown.

    Those whose writes missed in one command ask together.
    """
    if (asking := _asking.get(showtime_id)) is None:
        wanted: set[str] = set()
        asking = _asking[showtime_id] = wanted, asyncio.create_task(_read_seating(showtime_id, wanted))
    asking[0].update(seats)
    return await asyncio.shield(asking[1])


async def _read_seating(showtime_id: str, seats: Set[str]) -> Seating:
    await asyncio.sleep(0)
    del _asking[showtime_id]
    wanted = ["sales_open_at", "sales_close_at", "cancelled", *(f"taken.{seat}" for seat in seats)]
    return Seating.model_validate(await _find({"_id": showtime_id}, dict.fromkeys(wanted, 1)))


async def seat_map_of(showtime_id: str) -> dict[str, Any]:
    """The raw showtime without what is nobody's business. Raises ShowtimeUnknown."""
    return await _find({"_id": showtime_id}, {"outbox": 0, "holds": 0, "blocks": 0, "ended": 0})


def live_states(showtime: Mapping[str, Any], moment: datetime) -> dict[str, SeatState]:
    """The seats of a raw showtime that are not free, with what they are."""
    taken = showtime["taken"].items()
    return {seat: entry["state"] for seat, entry in taken if (until := entry.get("until")) is None or until > moment}


async def _find(where: Mapping[str, Any], projection: Mapping[str, Any]) -> dict[str, Any]:
    document = await Showtime.collection().find_one(where, projection)
    if document is None:
        if is_fresh(where["_id"], now()):
            raise SeatMapMissing(retry_after=2)
        raise ShowtimeUnknown
    return document
