"""Showtimes in MongoDB, and the bookings that follow them.

A checkout may sell by a showtime that was read OFFER_KEPT_S ago, and so add a booking to one that has just been moved
or cancelled. So its bookings are updated a second time, when the last such checkout must be over.
"""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from beanie.odm.utils.dump import get_dict
from chassis.clock import now
from chassis.recent import Recent
from contracts.booking import Screening
from contracts.catalog import ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet
from pymongo import ASCENDING

from booking import model
from booking.model import Offer
from booking.saga import Trigger
from booking.store.bookings import drive, touched_by_showtime
from booking.store.documents import Showtime

OFFER_KEPT_S = 20.0
CASCADE_AGAIN_AFTER = timedelta(seconds=60)
"""Longer than the time for which an offer is kept plus the longest request."""

offers: Recent[tuple[float, Offer]] = Recent(1000)
"""Each showtime with the monotonic time until which checkouts may use it."""


async def find_showtime(showtime_id: str) -> Showtime | None:
    """The showtime as it is stored, or None."""
    document = await Showtime.get_pymongo_collection().find_one({"_id": showtime_id})
    return Showtime.model_validate(document) if document else None


async def offer_of(showtime_id: str) -> Offer | None:
    """The showtime as it was sold at most OFFER_KEPT_S ago, or None."""
    moment = time.monotonic()
    if (kept := offers.get(showtime_id)) and moment < kept[0]:
        return kept[1]
    showtime = await find_showtime(showtime_id)
    if showtime is None:
        return None
    offers.keep(showtime_id, (moment + OFFER_KEPT_S, showtime.offer))
    return showtime.offer


async def add_showtime(event: ShowtimeScheduled, told_at: datetime) -> None:
    """Store a showtime, unless it is stored already."""
    showtime = Showtime(
        id=event.showtime_id,
        screening=Screening.model_validate(dict(event)),
        currency=event.currency,
        prices=event.prices,
        sales_open_at=event.sales_open_at,
        sales_close_at=event.sales_close_at,
        timed_at=told_at,
    )
    document = get_dict(showtime, to_db=True)
    await Showtime.get_pymongo_collection().update_one({"_id": showtime.id}, {"$setOnInsert": document}, upsert=True)


async def move_showtime(event: ShowtimeRescheduled, told_at: datetime) -> None:
    """Set the times, unless a later event has set them. Raises NotYet for an unknown showtime."""
    moved = await Showtime.get_pymongo_collection().update_one(
        {"_id": event.showtime_id, "timed_at": {"$lte": told_at}},
        {
            "$set": {
                "screening.starts_at": event.starts_at,
                "screening.ends_at": event.ends_at,
                "sales_open_at": event.sales_open_at,
                "sales_close_at": event.sales_close_at,
                "timed_at": told_at,
                "cascade_at": now() + CASCADE_AGAIN_AFTER,
            }
        },
    )
    offers.forget(event.showtime_id)
    if not moved.matched_count and not await find_showtime(event.showtime_id):
        raise NotYet(f"showtime {event.showtime_id} is not known")


async def cancel_showtime(showtime_id: str) -> None:
    """Mark a showtime as cancelled. Raises NotYet for an unknown one."""
    fields = {"is_cancelled": True, "cascade_at": now() + CASCADE_AGAIN_AFTER}
    marked = await Showtime.get_pymongo_collection().update_one({"_id": showtime_id}, {"$set": fields})
    offers.forget(showtime_id)
    if not marked.matched_count:
        raise NotYet(f"showtime {showtime_id} is not known")


async def cascade(showtime_id: str) -> None:
    """Move the showtime's bookings to its times, or end them if it is cancelled. Each one reads the showtime anew."""

    async def present(_: model.Booking) -> Trigger | None:
        showtime = await find_showtime(showtime_id)
        return showtime.change if showtime else None

    async for booking_id in touched_by_showtime(showtime_id):
        await drive(booking_id, present)


async def due_cascades(moment: datetime, limit: int) -> AsyncIterator[Showtime]:
    """Showtimes whose bookings must be updated a second time, the longest overdue first."""
    where = {"cascade_at": {"$lte": moment, "$type": "date"}}  # the type: see `due`
    cursor = Showtime.get_pymongo_collection().find(where, sort=[("cascade_at", ASCENDING)], limit=limit)
    async for document in cursor:
        yield Showtime.model_validate(document)


async def end_cascade(showtime: Showtime) -> None:
    """The second pass is done, unless the showtime has changed again since it was read."""
    where = {"_id": showtime.id, "cascade_at": showtime.cascade_at}
    await Showtime.get_pymongo_collection().update_one(where, {"$unset": {"cascade_at": ""}})
