"""Showtimes in MongoDB, and the updates of their bookings.

A checkout may use an offer that was read up to OFFER_CACHE_S ago, and so create a booking for a showtime that was moved
or cancelled in the meantime. So the bookings are updated a second time, after the last such checkout must have ended.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from cachetools import TTLCache
from chassis.clock import now
from contracts.booking import Screening
from contracts.catalog import ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet
from pymongo import ASCENDING

from booking.model import Booking, ShowtimeOffer
from booking.saga import Trigger, advance
from booking.store.bookings import affected_by_showtime, set_theater
from booking.store.documents import Showtime, showtimes
from booking.store.process_manager import ProcessManager

OFFER_CACHE_S = 20.0
CACHED_OFFERS = 1000
CASCADE_AGAIN_AFTER = timedelta(seconds=60)
"""Longer than OFFER_CACHE_S plus the longest request."""


class Showtimes:
    """Changes showtimes and their bookings. Caches the offers that this replica's checkouts use."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._offers = TTLCache[str, ShowtimeOffer](CACHED_OFFERS, OFFER_CACHE_S)

    async def offer_of(self, showtime_id: str) -> ShowtimeOffer | None:
        """The showtime's offer, at most OFFER_CACHE_S old, or None."""
        if cached := self._offers.get(showtime_id):
            return cached
        showtime = await showtimes.get(showtime_id)
        if showtime is None:
            return None
        self._offers[showtime_id] = showtime.offer
        return showtime.offer

    async def add(self, event: ShowtimeScheduled, event_time: datetime) -> None:
        """Store a showtime, unless it already exists. If it exists without its theater, store that.

        Releases before 2026-12 did not store it.
        """
        showtime = Showtime(
            id=event.showtime_id,
            screening=Screening.model_validate(dict(event)),
            theater_id=event.theater_id,
            currency=event.currency,
            prices=event.prices,
            refund_policy=event.refund_policy,
            sales_open_at=event.sales_open_at,
            sales_close_at=event.sales_close_at,
            seller=event.seller,
            timed_at=event_time,
        )
        if not await showtimes.insert(showtime):
            change = {"theater_id": event.theater_id, "cascade_at": now() + CASCADE_AGAIN_AFTER}
            await showtimes.update({"_id": showtime.id, "theater_id": None}, {"$set": change})
            self._offers.pop(showtime.id, None)
            await set_theater(showtime.id, event.theater_id)

    async def move(self, event: ShowtimeRescheduled, event_time: datetime) -> None:
        """Set the times, unless a later event has already set them. Raises NotYet for an unknown showtime."""
        is_moved = await showtimes.update(
            {"_id": event.showtime_id, "timed_at": {"$lte": event_time}},
            {
                "$set": {
                    "screening.starts_at": event.starts_at,
                    "screening.ends_at": event.ends_at,
                    "sales_open_at": event.sales_open_at,
                    "sales_close_at": event.sales_close_at,
                    "timed_at": event_time,
                    "cascade_at": now() + CASCADE_AGAIN_AFTER,
                }
            },
        )
        self._offers.pop(event.showtime_id, None)
        if not is_moved and not await showtimes.exists({"_id": event.showtime_id}):
            raise NotYet(f"showtime {event.showtime_id} is not known")

    async def cancel(self, showtime_id: str) -> None:
        """Mark a showtime as cancelled. Raises NotYet for an unknown showtime."""
        fields = {"is_cancelled": True, "cascade_at": now() + CASCADE_AGAIN_AFTER}
        is_marked = await showtimes.update({"_id": showtime_id}, {"$set": fields})
        self._offers.pop(showtime_id, None)
        if not is_marked:
            raise NotYet(f"showtime {showtime_id} is not known")

    async def cascade(self, showtime_id: str) -> None:
        """Apply the showtime's theater, times or cancellation to its bookings. It is read again for each booking."""

        async def current_state(_: Booking) -> Trigger | None:
            showtime = await showtimes.get(showtime_id)
            return showtime.as_event if showtime else None

        showtime = await showtimes.get(showtime_id)
        if showtime and showtime.theater_id:
            await set_theater(showtime_id, showtime.theater_id)
        async for booking_id in affected_by_showtime(showtime_id):
            await self._manager.advance(booking_id, current_state)


async def find_showtime(showtime_id: str) -> Showtime | None:
    """The stored showtime, or None."""
    return await showtimes.get(showtime_id)


async def after_showtimes_change(booking: Booking) -> Booking:
    """The booking as it will be when the latest change of its showtime has reached it. Nothing is written."""
    showtime = await showtimes.get(booking.showtime_id)
    outcome = advance(booking, showtime.as_event, now()) if showtime else None
    return outcome.booking if outcome else booking


async def due_cascades(moment: datetime, limit: int) -> AsyncIterator[Showtime]:
    """Yield the showtimes whose bookings must be updated a second time, the longest overdue first."""
    where = {"cascade_at": {"$lte": moment, "$type": "date"}}  # the $type: see `due_bookings`
    async for showtime in showtimes.find(where, sort=[("cascade_at", ASCENDING)], limit=limit):
        yield showtime


async def end_cascade(showtime: Showtime) -> None:
    """Mark the second update as done, unless the showtime has changed again since it was read."""
    where = {"_id": showtime.id, "cascade_at": showtime.cascade_at}
    await showtimes.update(where, {"$unset": {"cascade_at": ""}})
