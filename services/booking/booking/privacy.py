"""Personal data in bookings: erasure and export."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.booking import BookingDataExported

from booking import store
from booking.model import Booking, Cancel, State

EXPORTED_FIELDS = {
    "id", "reference", "state", "holder", "showtime_id", "screening", "seats", "lines", "amount", "currency", "email",
    "name", "locale", "opened_at", "payment_deadline_at", "refunded_amount", "ending", "history",
}  # fmt: skip
"""Without the tickets' QR texts, which grant admission."""


async def erase(user_id: str) -> None:
    """Cancel the person's unpaid bookings and remove their data from the others. Tickets stay valid."""

    async def cancel_unpaid(booking: Booking) -> Cancel | None:
        return Cancel("by_customer") if booking.state is State.AWAITING_PAYMENT else None

    async for booking in store.owned_by(user_id):
        if booking.state is State.AWAITING_PAYMENT:
            await store.advance_booking(booking.id, cancel_unpaid)
    await store.erase_owner(user_id)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the person's bookings."""
    async for booking in store.owned_by(user_id):
        yield booking.model_dump(include=EXPORTED_FIELDS)


PRIVACY = Privacy(erase=erase, gather=gather, exported=BookingDataExported)
