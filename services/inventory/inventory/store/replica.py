"""What one replica keeps in memory: caches of immutable data, shared reads, its limiter, and seats to broadcast."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from chassis.clock import now
from contracts.catalog import OrphanRule
from contracts.envelope import Event
from contracts.types import Seat
from pydantic_core import to_json

from inventory.model import MARK, AuditoriumMap, Seating, SeatMapMissing, ShowtimeDetails
from inventory.store import guards
from inventory.store.documents import layouts, read_fields, showtime_details, showtimes
from inventory.store.limiter import HoldLimiter
from inventory.store.seat_updates import SeatBroadcaster

LAYOUTS_CACHED = 256
SHOWTIMES_CACHED = 10_000


@dataclass(frozen=True)
class Layout:
    """A layout: the seats by id, also as dicts without empty fields for responses, their natural order, the map of
    neighbors, and the layout as JSON text.
    """

    seats: Mapping[str, Seat]
    shown: Mapping[str, dict[str, Any]]
    places: Mapping[str, int]
    auditorium: AuditoriumMap
    json: bytes

    def details_of(self, seats: Iterable[str]) -> list[Seat]:
        """Return these seats with their names and categories, by row from the screen and by number."""
        return [self.seats[seat] for seat in sorted(seats, key=self.places.__getitem__)]


@dataclass(frozen=True)
class ShowtimeInfo:
    """The immutable facts about a showtime that requests need."""

    layout_id: str
    theater_id: str
    orphan_rule: OrphanRule


class Replica:
    """The caches and the limiter of one replica, and its writes of seats, which are broadcast."""

    def __init__(self, broadcaster: SeatBroadcaster) -> None:
        self.broadcaster, self.limiter = broadcaster, HoldLimiter()
        self._layouts: LRUCache[str, Layout] = LRUCache(LAYOUTS_CACHED)
        self._showtimes: LRUCache[str, ShowtimeInfo] = LRUCache(SHOWTIMES_CACHED)
        self._details: LRUCache[str, ShowtimeDetails] = LRUCache(LAYOUTS_CACHED)
        self._pending_reads: dict[str, tuple[set[str], asyncio.Task[Seating]]] = {}
        """By showtime: the seats of a read that is about to be sent, and its task."""

    async def showtime_info(self, showtime_id: str) -> ShowtimeInfo:
        """Return the facts about the showtime. Raises ShowtimeUnknown and SeatMapMissing."""
        if known := self._showtimes.get(showtime_id):
            return known
        row = await read_fields(showtime_id, dict.fromkeys(("layout_id", "theater_id", "orphan_rule"), 1))
        info = ShowtimeInfo(row["layout_id"], row["theater_id"], row.get("orphan_rule", "off"))
        self._showtimes[showtime_id] = info
        return info

    async def details_of(self, showtime_id: str) -> ShowtimeDetails | None:
        """Return the details for the waitlist; None for a showtime from before there were waitlists."""
        if known := self._details.get(showtime_id):
            return known
        if found := await showtime_details.get(showtime_id):
            self._details[showtime_id] = found
        return found

    async def layout_of(self, showtime_id: str) -> Layout:
        """Return the layout of the showtime's auditorium. Raises ShowtimeUnknown and SeatMapMissing."""
        return await self.layout((await self.showtime_info(showtime_id)).layout_id)

    async def layout(self, layout_id: str) -> Layout:
        """Return a layout. Raises SeatMapMissing when catalog's event about it has not arrived yet."""
        if known := self._layouts.get(layout_id):
            return known
        stored = await layouts.get(layout_id)
        if stored is None:
            raise SeatMapMissing(retry_after=1)
        seats = {seat.seat_id: Seat.model_validate(seat.model_dump()) for seat in stored.seats}
        from_screen = -1 if stored.screen == "bottom" else 1
        ordered = sorted(
            stored.seats, key=lambda seat: (from_screen * seat.y, seat.row, seat.number, seat.suffix or "")
        )
        places = {seat.seat_id: place for place, seat in enumerate(ordered)}
        auditorium = AuditoriumMap.from_layout(stored.seats, stored.focal_point)
        shown = {seat_id: seat.model_dump(exclude_none=True) for seat_id, seat in seats.items()}
        text = to_json({"layout_id": layout_id, **stored.model_dump(exclude={"id"}, exclude_none=True)})
        self._layouts[layout_id] = layout = Layout(seats, shown, places, auditorium, text)
        return layout

    async def seating_of(self, showtime_id: str, seats: Iterable[str]) -> Seating:
        """Read the sales times and the states of these seats, without holds. Raises ShowtimeUnknown and SeatMapMissing.

        Concurrent calls for one showtime share a read: writes that are sent in one command often miss together.
        """
        if (pending := self._pending_reads.get(showtime_id)) is None:
            wanted: set[str] = set()
            task = asyncio.create_task(self._read_seating(showtime_id, wanted))
            pending = self._pending_reads[showtime_id] = wanted, task
        pending[0].update(seats)
        return await asyncio.shield(pending[1])

    async def _read_seating(self, showtime_id: str, seats: Set[str]) -> Seating:
        await asyncio.sleep(0)
        del self._pending_reads[showtime_id]
        wanted = ["sales_open_at", "sales_close_at", "cancelled", "waitlist_at", *(f"taken.{seat}" for seat in seats)]
        return Seating.model_validate(await read_fields(showtime_id, dict.fromkeys(wanted, 1)))

    async def change_seats(
        self,
        where: Mapping[str, Any],
        update: Mapping[str, Any],
        seats: Iterable[str],
        *,
        frees: Sequence[str] = (),
        events: Sequence[Event] = (),
    ) -> bool:
        """Write a change of these seats' states: mark the showtime as stale and broadcast the seats soon.

        The seats of `frees` are put on sale; while parties wait for seats, they are marked for the waitlist instead.
        Returns False when `where` does not match.
        """
        changed = list(seats)
        if not changed:
            return await showtimes.update(where, update, events=events)
        stale = {**update, "$set": {**update.get("$set", {}), "is_stale": True}}
        write = self._free(where, stale, frees, events) if frees else showtimes.update(where, stale, events=events)
        if not await write:
            return False
        self.broadcaster.enqueue(where["_id"], changed)
        return True

    async def _free(
        self, where: Mapping[str, Any], update: Mapping[str, Any], seats: Sequence[str], events: Sequence[Event]
    ) -> bool:
        """Write the update and free the seats. Only where parties wait does the first write miss for that reason."""
        on_sale = {**update, "$unset": {**update.get("$unset", {}), **{f"taken.{seat}": "" for seat in seats}}}
        if await showtimes.update({**where, **guards.has_no_waitlist()}, on_sale, events=events):
            return True
        mark = {"by": MARK, "state": "held"}
        marks = {f"taken.{seat}": mark for seat in seats} | {"waitlist_at": now()}
        counted = {**update.get("$inc", {}), "waitlist_version": 1}
        marked = {**update, "$set": {**update.get("$set", {}), **marks}, "$inc": counted}
        return await showtimes.update({**where, **guards.has_waitlist()}, marked, events=events)
