"""What routes depend on: the caller, access checks, and the objects that live as long as the process."""

from typing import Annotated

from chassis.http.problems import Forbidden, Unauthenticated
from chassis.security.auth import Caller, caller
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from booking import signing, store
from booking.documents import AppleWallet, Printer
from booking.model import Booking, BookingUnknown, LinkVoid, MailedBy

_link = APIKeyHeader(name="X-Booking-Key", auto_error=False, description="The key after `#key=` in a mailed link")
CurrentCaller = Annotated[Caller, Depends(caller)]
LinkKey = Annotated[str | None, Security(_link)]


def _manager(request: Request) -> store.ProcessManager:
    return request.app.state.manager


def _showtimes(request: Request) -> store.Showtimes:
    return request.app.state.showtimes


def _signer(request: Request) -> signing.Signer:
    return request.app.state.signer


Manager = Annotated[store.ProcessManager, Depends(_manager)]
Showtimes = Annotated[store.Showtimes, Depends(_showtimes)]
Signer = Annotated[signing.Signer, Depends(_signer)]


def _printer(request: Request) -> Printer:
    return request.app.state.printer


def _apple(request: Request) -> AppleWallet | None:
    return request.app.state.apple


Apple = Annotated[AppleWallet | None, Depends(_apple)]
CurrentPrinter = Annotated[Printer, Depends(_printer)]


def may_see(caller: Caller, booking: Booking) -> bool:
    """Whether the caller is the owner, has the guest secret, or is staff with `bookings:read` at its theater."""
    return caller.owns(booking.holder) or caller.may("bookings:read", booking.theater_id)


async def visible_booking(caller: Caller, booking_id: str) -> Booking:
    """Return the booking if the caller may see it. Raises Unauthenticated and BookingUnknown."""
    if caller.principal is None and caller.secret is None:
        raise Unauthenticated
    booking = await store.find(booking_id)
    if booking is None or not may_see(caller, booking):
        raise BookingUnknown
    return booking


def mailer_of(caller: Caller, booking: Booking, *, has_link: bool) -> MailedBy:
    """Return as whom the caller may change the address and have the tickets mailed again.

    `has_link`: the caller has a valid key of a mailed link. Raises Forbidden and BookingUnknown.
    """
    if caller.owns(booking.holder):
        return "customer"
    if caller.may("bookings:write", booking.theater_id):
        return "staff"
    if has_link and booking.email is not None:
        return "link"
    if may_see(caller, booking):
        raise Forbidden("This requires the permission bookings:write.")
    raise BookingUnknown


async def is_link(key: str | None, booking_id: str) -> bool:
    """Whether this is the valid key of a link to the booking."""
    return key is not None and signing.is_valid_key(key, booking_id, await store.public_keys())


async def is_ticket_link(key: str | None, ticket_id: str) -> bool:
    """Whether this is the valid key of a link to an offered or transferred ticket."""
    return key is not None and signing.is_valid_key(
        key, ticket_id, await store.public_keys(), audience=signing.TICKET_LINK
    )


async def visible_by_link(caller: Caller, booking_id: str, key: str) -> Booking:
    """Return the booking if the key opens it and its owner's account still exists, or if the caller may see it anyway.

    Raises LinkVoid, also when the booking does not exist.
    """
    has_link = await is_link(key, booking_id)
    booking = await store.find(booking_id)
    if booking and (may_see(caller, booking) or (has_link and booking.email is not None)):
        return booking
    raise LinkVoid
