"""Who may see a booking."""

from typing import Annotated

from chassis.auth import Caller, caller
from chassis.problems import Unauthenticated
from fastapi import Depends, Security
from fastapi.security import APIKeyHeader

from booking import links, model, store, tickets
from booking.links import LinkVoid
from booking.model import BookingUnknown

_link = APIKeyHeader(name="X-Booking-Key", auto_error=False, description="What follows `#key=` in a mailed link")
Who = Annotated[Caller, Depends(caller)]
LinkKey = Annotated[str | None, Security(_link)]


def may_see(who: Caller, booking: model.Booking) -> bool:
    """Its owner, a holder of its guest secret, and staff."""
    return who.owns(booking.holder) or who.may("bookings:read")


async def visible(who: Caller, booking_id: str) -> model.Booking:
    """The booking. Raises Unauthenticated or BookingUnknown."""
    if who.principal is None and who.secret is None:
        raise Unauthenticated
    booking = await store.find(booking_id)
    if booking is None or not may_see(who, booking):
        raise BookingUnknown
    return booking


async def shown_by_link(who: Caller, booking_id: str, key: str) -> model.Booking:
    """The booking for whoever has the key of a link to it, unless the person whose it was is gone.

    Raises LinkVoid, whether there is such a booking or not.
    """
    fits = links.fits(key, booking_id, await tickets.public_keys())
    booking = await store.find(booking_id)
    if booking and (may_see(who, booking) or (fits and booking.email is not None)):
        return booking
    raise LinkVoid
