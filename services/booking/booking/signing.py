"""Signed texts that everybody can verify with booking's public keys (Ed25519): tickets, and keys of links to a booking.

A ticket's QR text is a compact JWS with `tid` (ticket), `ref` (the booking's reference; not of a transferred ticket),
`sid` (showtime), `seat` (its name, for people at the door) and `exp`; tickets from before 2026-12 also contain `iat`.
The header names the key (`kid`), whose public half is in the key set at `/api/tickets/keys`. The door can verify it
offline. The text is signed whenever it is shown and stored nowhere; Ed25519 always gives the same text. Events contain
it encrypted (`Signer.with_codes`).

A party's QR text has `bid` (the booking) in place of `tid` and `seat`. It stands for the booking's tickets that are
valid at the moment of the scan, and names none, because some may be cancelled later.

A link opens one booking for reading: for guests on another device, and for people who lost their link. Its key has
`sub` (the booking), `exp` (the link's end) and `aud` (its purpose). The link to an offered or transferred ticket has
such a key with the ticket as its `sub` and another purpose. Ticket readers must refuse a text for another audience (RFC
7519, 4.1.3); `is_valid_key` requires an audience. Events contain the key encrypted; only the notifier can decrypt it.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import jwt
import structlog
from chassis.ids import new_id
from chassis.security.secrets import CannotDecrypt, Cipher
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRefundFailed,
    BookingRefundMade,
    BookingRescheduled,
    BookingTicketOffered,
    BookingTicketsCancelled,
    Ticket,
    TransferredTicketChanged,
)
from contracts.envelope import Event
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from pydantic import BaseModel, SecretStr

from booking.model import Booking, claims_of, party_claims

log = structlog.get_logger()
TOLD_TO_ERASED = (
    BookingRescheduled,
    BookingCancelled,
    BookingTicketsCancelled,
    BookingRefundMade,
    BookingRefundFailed,
)
"""The events that are still mailed to a person who has deleted the account."""
BOOKING_LINK, TICKET_LINK = "usher:booking-link", "usher:ticket-link"
"""The audiences of keys: of a link to a booking, and to a ticket that another person offered or transferred."""
LINK_LIFETIME = timedelta(days=30)
"""How long a link stays valid after the showtime: people still ask about refunds and need receipts."""
MIN_LINK_LIFETIME = timedelta(days=1)
"""How long a requested link to an older booking stays valid."""


class SigningKey:
    """A private key. `jwk` is its public half; `kid` the head of its RFC 7638 thumbprint."""

    def __init__(self, pem: str) -> None:
        key = OKPKey.import_key(pem)
        if not isinstance(key.private_key, Ed25519PrivateKey):
            raise TypeError("TICKET_SIGNING_KEY must be an Ed25519 private key in PEM")
        self._key = key.private_key
        self.kid = key.thumbprint()[:12]
        public = {name: str(value) for name, value in key.as_dict(private=False).items()}
        self.jwk = public | {"kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as a compact JWS."""
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.kid, "typ": None})


def new_pem() -> str:
    """Generate a private key."""
    return OKPKey.generate_key("Ed25519").as_pem(private=True).decode()


class Link(BaseModel):
    """A link, with the field names of the events."""

    link_id: str
    booking_id: str
    sealed_link: str
    expires_at: datetime


class Signer:
    """Signs this process's tickets and links. `key` is set before the first request; `link_key` encrypts links."""

    key: SigningKey

    def __init__(self, link_key: SecretStr) -> None:
        self._cipher = Cipher(link_key.get_secret_value())

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as a compact JWS."""
        return self.key.sign(claims)

    def tickets(self, booking: Booking) -> list[Ticket]:
        """The booking's valid tickets with their QR texts."""
        return [ticket.model_copy(update={"qr": self.code_of(ticket, booking)}) for ticket in booking.valid_tickets]

    def code_of(self, ticket: Ticket, booking: Booking) -> str:
        """The QR text of the booking's ticket. Tickets from before 2026-12 may contain theirs."""
        return ticket.qr or self.sign(claims_of(ticket, booking))

    def with_codes(self, event: Event, booking: Booking) -> Event:
        """Return the event; a confirmation with the QR texts of its tickets, encrypted."""
        if not isinstance(event, BookingConfirmed):
            return event
        codes = json.dumps([self.code_of(ticket, booking) for ticket in event.tickets])
        return event.model_copy(update={"sealed_codes": self._cipher.encrypt(codes)})

    def party_code(self, booking: Booking) -> str:
        """The QR text that stands for all valid tickets of a booking with tickets."""
        return self.sign(party_claims(booking))

    def link_key(self, booking_id: str, expires_at: datetime) -> str:
        """Create a key that opens the booking until `expires_at`."""
        return self.sign({"aud": BOOKING_LINK, "sub": booking_id, "exp": int(expires_at.timestamp())})

    def ticket_key(self, ticket_id: str, expires_at: datetime) -> str:
        """Create a key that opens an offered or transferred ticket until `expires_at`."""
        return self.sign({"aud": TICKET_LINK, "sub": ticket_id, "exp": int(expires_at.timestamp())})

    def new_link(self, booking: Booking | None, now: datetime) -> Link:
        """Create a link to the booking. Without a booking, do the same work for a random id."""
        booking_id, expires_at = booking.id if booking else new_id(), now + MIN_LINK_LIFETIME
        if booking and booking.screening:
            expires_at = max(expires_at, booking.screening.ends_at + LINK_LIFETIME)
        encrypted = self._cipher.encrypt(self.link_key(booking_id, expires_at))
        return Link(link_id=new_id(), booking_id=booking_id, sealed_link=encrypted, expires_at=expires_at)

    def seal(self, email: str) -> str:
        """Encrypt the address of a person who has deleted the account."""
        return self._cipher.encrypt(email)

    def with_recipient(self, event: Event, booking: Booking) -> Event:
        """Return the event, with the kept address of an erased person if it says what becomes of the showtime."""
        if booking.sealed_email is None or not isinstance(event, TOLD_TO_ERASED):
            return event
        try:
            return event.model_copy(update={"email": self._cipher.decrypt(booking.sealed_email)})
        except CannotDecrypt:
            log.exception("address_lost", booking_id=booking.id)  # LINK_KEY was replaced, not rotated
            return event

    def with_link(self, event: Event, booking: Booking, now: datetime) -> Event:
        """Return the event, with a link added if it leads to a mail to a guest or to the recipient of a ticket."""
        if isinstance(event, BookingTicketOffered | TransferredTicketChanged):
            key = self.ticket_key(event.ticket_id, event.screening.ends_at + LINK_LIFETIME)
            return event.model_copy(update={"sealed_link": self._cipher.encrypt(key)})
        is_guests = booking.holder.user_id is None and booking.email is not None
        if not is_guests or "sealed_link" not in type(event).model_fields:
            return event
        return event.model_copy(update={"sealed_link": self.new_link(booking, now).sealed_link})


def is_valid_key(key: str, subject: str, public_keys: Iterable[dict[str, str]], audience: str = BOOKING_LINK) -> bool:
    """Whether the link's key opens this booking or ticket now.

    `public_keys`: every key that booking has signed with, as JWKs.
    """
    try:
        kid = jwt.get_unverified_header(key).get("kid")
        public = next((each for each in public_keys if each["kid"] == kid), None)
        if public is None:
            return False
        claims = jwt.decode(
            key,
            jwt.PyJWK(public),
            algorithms=["EdDSA"],
            audience=audience,
            options={"require": ["aud", "sub", "exp"]},
        )
    except jwt.InvalidTokenError:
        return False
    return claims["sub"] == subject
