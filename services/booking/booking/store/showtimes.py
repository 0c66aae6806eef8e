"""Showtimes in MongoDB, and the updates of their bookings.

A checkout may use an offer that was read up to OFFER_CACHE_S ago, and so create a booking for a showtime that was moved
or cancelled in the meantime. So the bookings are updated a second time, after the last such checkout must have ended.
"""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from chassis.clock import now
from chassis.recent import Recent
from contracts.booking import Screening
from contracts.catalog import ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet
from pymongo import ASCENDING

from booking import model
from booking.model import ShowtimeOffer
from booking.saga import Trigger
from booking.store.bookings import advance_booking, affected_by_showtime
from booking.store.documents import Showtime

OFFER_CACHE_S = 20.0
CASCADE_AGAIN_AFTER = timedelta(seconds=60)
"""Longer than OFFER_CACHE_S plus the longest request."""

offers: Recent[tuple[float, ShowtimeOffer]] = Recent(1000)
"""The offer of each showtime, with the monotonic time at which it expires."""


async def find_showtime(showtime_id: str) -> Showtime | None:
    """The stored showtime, or None."""
    document = await Showtime.get_pymongo_collection().find_one({"_id": showtime_id})
    return Showtime.model_validate(document) if document else None


async def offer_of(showtime_id: str) -> ShowtimeOffer | None:
    """The showtime's offer, at most OFFER_CACHE_S old, or None."""
    moment = time.monotonic()
    if (cached := offers.get(showtime_id)) and moment < cached[0]:
        return cached[1]
    showtime = await find_showtime(showtime_id)
    if showtime is None:
        return None
    offers.keep(showtime_id, (moment + OFFER_CACHE_S, showtime.offer))
    return showtime.offer


async def add_showtime(event: ShowtimeScheduled, event_time: datetime) -> None:
    """Store a showtime, unless it already exists."""
    showtime = Showtime(
        id=event.showtime_id,
        screening=Screening.model_validate(dict(event)),
        currency=event.currency,
        prices=event.prices,
        sales_open_at=event.sales_open_at,
        sales_close_at=event.sales_close_at,
        timed_at=event_time,
    )
    document = showtime.model_dump(by_alias=True)
    await Showtime.get_pymongo_collection().update_one({"_id": showtime.id}, {"$setOnInsert": document}, upsert=True)


async def move_showtime(event: ShowtimeRescheduled, event_time: datetime) -> None:
    """Set the times, unless a later event has already set them. Raises NotYet for an unknown showtime."""
    moved = await Showtime.get_pymongo_collection().update_one(
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
    offers.forget(event.showtime_id)
    if not moved.matched_count and not await find_showtime(event.showtime_id):
        raise NotYet(f"showtime {event.showtime_id} is not known")


async def cancel_showtime(showtime_id: str) -> None:
    """Mark a showtime as cancelled. Raises NotYet for an unknown showtime."""
    fields = {"is_cancelled": True, "cascade_at": now() + CASCADE_AGAIN_AFTER}
    marked = await Showtime.get_pymongo_collection().update_one({"_id": showtime_id}, {"$set": fields})
    offers.forget(showtime_id)
    if not marked.matched_count:
        raise NotYet(f"showtime {showtime_id} is not known")


async def cascade(showtime_id: str) -> None:
    """Apply the showtime's times or cancellation to its bookings. The showtime is read again for each booking."""

    async def current_state(_: model.Booking) -> Trigger | None:
        showtime = await find_showtime(showtime_id)
        return showtime.as_event if showtime else None

    async for booking_id in affected_by_showtime(showtime_id):
        await advance_booking(booking_id, current_state)


async def due_cascades(moment: datetime, limit: int) -> AsyncIterator[Showtime]:
    """Yield the showtimes whose bookings must be updated a second time, the longest overdue first."""
    where = {"cascade_at": {"$lte": moment, "$type": "date"}}  # the $type: see `due_bookings`
    cursor = Showtime.get_pymongo_collection().find(where, sort=[("cascade_at", ASCENDING)], limit=limit)
    async for document in cursor:
        yield Showtime.model_validate(document)


async def end_cascade(showtime: Showtime) -> None:
    """Mark the second update as done, unless the showtime has changed again since it was read."""
    where = {"_id": showtime.id, "cascade_at": showtime.cascade_at}
    await Showtime.get_pymongo_collection().update_one(where, {"$unset": {"cascade_at": ""}})
