"""Requests for a link to a booking."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.security.secrets import hash_secret
from contracts.booking import BookingLinkRequested, BookingLinksRequested
from pymongo import DESCENDING

from booking.model import Booking, State
from booking.store.documents import bookings, lookups

LOOKUP_PAUSE = timedelta(minutes=10)
MAX_LINKS = 10
"""The most links in one mail."""


async def find_for_lookup(reference: str, email: str) -> Booking | None:
    """The booking with this reference and address, unless it still awaits payment."""
    paid = {"state": {"$ne": State.AWAITING_PAYMENT}}
    return await bookings.find_one({"reference": {"$eq": reference, "$type": "string"}, "email": email} | paid)


def _start(booking: Booking) -> datetime:
    assert booking.screening is not None  # noqa: S101 - the query asks for it
    return booking.screening.starts_at


async def upcoming_of(email: str, moment: datetime) -> list[Booking]:
    """The confirmed bookings of an address whose showtimes are not over, the next one first; at most MAX_LINKS."""
    where = {
        "email": {"$eq": email, "$type": "string"},
        "state": State.CONFIRMED,
        "screening.ends_at": {"$gt": moment},
    }
    found = [booking async for booking in bookings.find(where, sort=[("_id", DESCENDING)], limit=MAX_LINKS)]
    return sorted(found, key=_start)


async def record_lookup(
    reference: str,
    email: str,
    events: Sequence[BookingLinkRequested | BookingLinksRequested],
    moment: datetime,
) -> None:
    """Publish the events, unless the same lookup was requested less than LOOKUP_PAUSE ago."""
    # Documents expire after a day, which is long enough to publish the outbox after an outage of RabbitMQ.
    where = {"_id": hash_secret(f"{reference} {email}"), "asked_at": {"$lte": moment - LOOKUP_PAUSE}}
    await lookups.update(where, {"$set": {"asked_at": moment}}, events=events, upsert=True)
