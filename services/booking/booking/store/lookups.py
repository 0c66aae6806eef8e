"""Requests for a link to a booking."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.security.secrets import hash_secret
from contracts.booking import BookingLinkRequested

from booking.model import Booking, State
from booking.store.documents import bookings, lookups

LOOKUP_PAUSE = timedelta(minutes=10)


async def find_for_lookup(reference: str, email: str) -> Booking | None:
    """The booking with this reference and address, unless it still awaits payment."""
    paid = {"state": {"$ne": State.AWAITING_PAYMENT}}
    return await bookings.find_one({"reference": {"$eq": reference, "$type": "string"}, "email": email} | paid)


async def record_lookup(reference: str, email: str, events: Sequence[BookingLinkRequested], moment: datetime) -> None:
    """Publish the events, unless the same link was requested less than LOOKUP_PAUSE ago."""
    # Documents expire after a day, which is long enough to publish the outbox after an outage of RabbitMQ.
    where = {"_id": hash_secret(f"{reference} {email}"), "asked_at": {"$lte": moment - LOOKUP_PAUSE}}
    await lookups.update(where, {"$set": {"asked_at": moment}}, events=events, upsert=True)
