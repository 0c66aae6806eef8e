"""Requests for a link to a booking."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.security.secrets import hash_secret
from contracts.booking import BookingLinkRequested

from booking import model
from booking.model import State
from booking.store.bookings import to_model
from booking.store.documents import Booking, Lookup

LOOKUP_PAUSE = timedelta(minutes=10)


async def find_for_lookup(reference: str, email: str) -> model.Booking | None:
    """The booking with this reference and address, unless it still awaits payment."""
    paid = {"state": {"$ne": State.AWAITING_PAYMENT}}
    where = {"reference": {"$eq": reference, "$type": "string"}, "email": email} | paid
    document = await Booking.collection().find_one(where, {"outbox": 0})
    return to_model(document) if document else None


async def record_lookup(reference: str, email: str, events: Sequence[BookingLinkRequested], moment: datetime) -> None:
    """Publish the events, unless the same link was requested less than LOOKUP_PAUSE ago."""
    # Documents expire after a day, which is long enough to publish the outbox after an outage of RabbitMQ.
    where = {"_id": hash_secret(f"{reference} {email}"), "asked_at": {"$lte": moment - LOOKUP_PAUSE}}
    await Lookup.commit(where, {"$set": {"asked_at": moment}}, events=events, upsert=True)
