"""Read-only links to one booking: for guests on another device, and for people who lost their link.

A link's key is a compact JWS signed with the ticket key: `sub` is the booking, `exp` the link's end, `aud` its purpose.
Ticket readers must refuse a text for another audience (RFC 7519, 4.1.3); `is_valid_key` requires an audience.
Events contain the key encrypted; only the notifier can decrypt it.

BookingProblem (booking.model)
└── LinkVoid    404
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import jwt
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from contracts.envelope import Event
from pydantic import BaseModel

from booking import settings, signing
from booking.model import Booking, BookingProblem

AUDIENCE = "usher:booking-link"
LINK_LIFETIME = timedelta(days=30)
"""How long a link stays valid after the showtime: people still ask about refunds and need receipts."""
MIN_LINK_LIFETIME = timedelta(days=1)
"""How long a requested link to an older booking stays valid."""


class LinkVoid(BookingProblem):
    code, status = "booking_link_void", 404  # browsers may cache a 410 indefinitely (RFC 9110, 15.5.11)
    title = "This link is invalid or has expired. Please request a new one."


class Link(BaseModel):
    """A link, with the field names of the events."""

    link_id: str
    booking_id: str
    sealed_link: str
    expires_at: datetime


def create_key(booking_id: str, expires_at: datetime) -> str:
    """Create a key that opens the booking until `expires_at`."""
    return signing.sign({"aud": AUDIENCE, "sub": booking_id, "exp": int(expires_at.timestamp())})


def new_link(booking: Booking | None, moment: datetime) -> Link:
    """Create a link to the booking. Without a booking, do the same work for a random id."""
    booking_id, expires_at = booking.id if booking else new_id(), moment + MIN_LINK_LIFETIME
    if booking and booking.screening:
        expires_at = max(expires_at, booking.screening.ends_at + LINK_LIFETIME)
    encrypted = Cipher(settings.get().link_key.get_secret_value()).close(create_key(booking_id, expires_at))
    return Link(link_id=new_id(), booking_id=booking_id, sealed_link=encrypted, expires_at=expires_at)


def with_link(event: Event, booking: Booking) -> Event:
    """Return the event, with a link added if it leads to a mail to a guest."""
    is_guests = booking.holder.user_id is None and booking.email is not None
    if not is_guests or "sealed_link" not in type(event).model_fields:
        return event
    return event.model_copy(update={"sealed_link": new_link(booking, now()).sealed_link})


def is_valid_key(key: str, booking_id: str, public_keys: Iterable[dict[str, str]]) -> bool:
    """Whether the key opens this booking now. `public_keys`: every key that booking has ever signed with, as JWKs."""
    try:
        kid = jwt.get_unverified_header(key).get("kid")
        public = next((each for each in public_keys if each["kid"] == kid), None)
        if public is None:
            return False
        claims = jwt.decode(
            key,
            jwt.PyJWK(public),
            algorithms=["EdDSA"],
            audience=AUDIENCE,
            options={"require": ["aud", "sub", "exp"]},
        )
    except jwt.InvalidTokenError:
        return False
    return claims["sub"] == booking_id
