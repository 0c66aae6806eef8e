"""Access checks: who may see a booking."""

from typing import Annotated

from chassis.http.problems import Unauthenticated
from chassis.security.auth import Caller, caller
from fastapi import Depends, Security
from fastapi.security import APIKeyHeader

from booking import links, model, store, tickets
from booking.links import LinkVoid
from booking.model import BookingUnknown

_link = APIKeyHeader(name="X-Booking-Key", auto_error=False, description="The key after `#key=` in a mailed link")
CurrentCaller = Annotated[Caller, Depends(caller)]
LinkKey = Annotated[str | None, Security(_link)]


def may_see(caller: Caller, booking: model.Booking) -> bool:
    """Whether the caller is the owner, has the guest secret, or is staff with `bookings:read`."""
    return caller.owns(booking.holder) or caller.may("bookings:read")


async def visible_booking(caller: Caller, booking_id: str) -> model.Booking:
    """Return the booking if the caller may see it. Raises Unauthenticated and BookingUnknown."""
    if caller.principal is None and caller.secret is None:
        raise Unauthenticated
    booking = await store.find(booking_id)
    if booking is None or not may_see(caller, booking):
        raise BookingUnknown
    return booking


async def visible_by_link(caller: Caller, booking_id: str, key: str) -> model.Booking:
    """Return the booking if the key opens it and its owner's account still exists, or if the caller may see it anyway.

    Raises LinkVoid, also when the booking does not exist.
    """
    is_valid_key = links.is_valid_key(key, booking_id, await tickets.public_keys())
    booking = await store.find(booking_id)
    if booking and (may_see(caller, booking) or (is_valid_key and booking.email is not None)):
        return booking
    raise LinkVoid
