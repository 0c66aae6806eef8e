"""Disputes of payments, for the staff of the bookings' theaters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.payment import OPEN_DISPUTES, PaymentDisputed, dispute_rank
from pymongo import ASCENDING, DESCENDING

from booking.model import Booking
from booking.store.documents import Dispute, disputes


async def record_dispute(event: PaymentDisputed, booking: Booking, event_time: datetime) -> None:
    """Store the dispute's new state. It only moves forward, so a repeated or late event changes nothing."""
    rank = dispute_rank(event.status)
    screening = booking.screening
    fields = {
        "booking_id": booking.id,
        "reference": booking.reference,
        "theater_id": booking.theater_id,
        "movie_title": screening and screening.movie_title,
        "starts_at": screening and screening.starts_at,
        "rank": rank,
        "is_open": event.status in OPEN_DISPUTES,
        "changed_at": event_time,
        **event.model_dump(include={"amount", "currency", "status", "reason", "respond_by"}),
    }
    change = {"$set": fields, "$setOnInsert": {"opened_at": event_time}}
    await disputes.update({"_id": event.dispute_id, "rank": {"$lt": rank}}, change, upsert=True)


async def dispute_page(
    *, is_open: bool, theaters: Sequence[str], after: tuple[datetime, str] | None, limit: int
) -> list[Dispute]:
    """Return at most `limit` disputes after the position: open ones by age, the others newest first.

    `theaters` are those of the bookings; empty for all.
    """
    direction, beyond = (ASCENDING, "$gt") if is_open else (DESCENDING, "$lt")
    where: dict[str, Any] = {"is_open": is_open}
    if theaters:
        where["theater_id"] = {"$in": theaters}
    if after:
        opened_at, dispute_id = after
        where["$or"] = [{"opened_at": {beyond: opened_at}}, {"opened_at": opened_at, "_id": {beyond: dispute_id}}]
    order = [("opened_at", direction), ("_id", direction)]
    return [dispute async for dispute in disputes.find(where, sort=order, limit=limit)]
