"""Requests for a link to a booking."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.secrets import hash_secret
from contracts.booking import BookingLinkRequested

from booking import model
from booking.model import State
from booking.store.bookings import plain
from booking.store.documents import Booking, Lookup

LOOKUP_PAUSE = timedelta(minutes=10)


async def find_lost(reference: str, email: str) -> model.Booking | None:
    """The booking with this reference that was ordered for this address, unless it is not paid yet."""
    paid = {"state": {"$ne": State.AWAITING_PAYMENT}}
    where = {"reference": {"$eq": reference, "$type": "string"}, "email": email} | paid
    document = await Booking.collection().find_one(where, {"outbox": 0})
    return plain(document) if document else None


async def record_lookup(reference: str, email: str, events: Sequence[BookingLinkRequested], moment: datetime) -> None:
    """Publish the events, unless the same link was requested less than LOOKUP_PAUSE ago."""
    # A day in the collection is long enough for RabbitMQ to come back and take what is in the outbox.
    where = {"_id": hash_secret(f"{reference} {email}"), "asked_at": {"$lte": moment - LOOKUP_PAUSE}}
    await Lookup.commit(where, {"$set": {"asked_at": moment}}, events=events, upsert=True)
