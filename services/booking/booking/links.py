"""Links that open one booking, to look at it only: for guests on another device, and for whoever has lost theirs.

A link's key is a compact JWS by the signer of the tickets: `sub` is the booking, `exp` the link's end, `aud` says what
it is for. Whoever reads tickets must refuse a text that is meant for another audience (RFC 7519, 4.1.3); `fits` refuses
one without. It travels sealed: the notifier alone opens it.

BookingProblem (booking.model)
└── LinkVoid    404
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import jwt
from chassis.clock import now
from chassis.ids import new_id
from chassis.secrets import Seal
from contracts.envelope import Event
from pydantic import BaseModel

from booking import settings, signing
from booking.model import Booking, BookingProblem

AUDIENCE = "usher:booking-link"
OPENS_FOR = timedelta(days=30)
"""How long after the showtime: as long as people ask about a refund or need a receipt."""
OPENS_AT_LEAST = timedelta(days=1)
"""A link to an older booking, for whoever asks for it."""


class LinkVoid(BookingProblem):
    code, status = "booking_link_void", 404  # browsers would keep a 410 for ever (RFC 9110, 15.5.11)
    title = "This link does not open the booking, or not any more. Please ask for another one."


class Link(BaseModel):
    """A link as it is mailed, under the names that events have for it."""

    link_id: str
    booking_id: str
    sealed_link: str
    expires_at: datetime


def key_of(booking_id: str, expires_at: datetime) -> str:
    """What opens this booking until then."""
    return signing.sign({"aud": AUDIENCE, "sub": booking_id, "exp": int(expires_at.timestamp())})


def new(booking: Booking | None, moment: datetime) -> Link:
    """A link to the booking; without one, to nothing, and as much work."""
    booking_id, expires_at = booking.id if booking else new_id(), moment + OPENS_AT_LEAST
    if booking and booking.screening:
        expires_at = max(expires_at, booking.screening.ends_at + OPENS_FOR)
    sealed = Seal(settings.get().link_key.get_secret_value()).close(key_of(booking_id, expires_at))
    return Link(link_id=new_id(), booking_id=booking_id, sealed_link=sealed, expires_at=expires_at)


def enclosed(event: Event, booking: Booking) -> Event:
    """The event, with a link if it is one that a guest is told by mail."""
    is_guests = booking.holder.user_id is None and booking.email is not None
    if not is_guests or "sealed_link" not in type(event).model_fields:
        return event
    return event.model_copy(update={"sealed_link": new(booking, now()).sealed_link})


def fits(key: str, booking_id: str, public_keys: Iterable[dict[str, str]]) -> bool:
    """Whether the key opens this booking now. `public_keys`: those that booking has ever signed with, as JWKs."""
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
