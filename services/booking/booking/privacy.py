"""What booking keeps about a person: taken out when they are gone, handed out when they ask."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.booking import BookingDataExported

from booking import store
from booking.model import Booking, Cancel, State

HANDED_OUT = {
    "id", "reference", "state", "holder", "showtime_id", "screening", "seats", "lines", "amount", "currency", "email",
    "name", "locale", "opened_at", "payment_deadline_at", "refunded_amount", "ending", "history",
}  # fmt: skip
"""Not the tickets' QR texts: whoever has those gets in."""


async def erase(user_id: str) -> None:
    """Give up what the person has not paid, and forget whose the bookings were. Tickets stay valid."""

    async def give_up(booking: Booking) -> Cancel | None:
        return Cancel("by_customer") if booking.state is State.AWAITING_PAYMENT else None

    async for booking in store.owned_by(user_id):
        if booking.state is State.AWAITING_PAYMENT:
            await store.drive(booking.id, give_up)
    await store.forget_owner(user_id)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """The person's bookings."""
    async for booking in store.owned_by(user_id):
        yield booking.model_dump(include=HANDED_OUT)


PRIVACY = Privacy(erase=erase, gather=gather, says=BookingDataExported)
