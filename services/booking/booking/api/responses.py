"""Request fields and responses that several routes share."""

import unicodedata
from datetime import datetime
from typing import Annotated, Literal

from chassis.security.auth import Caller
from contracts.booking import Screening, Ticket
from contracts.claims import PaymentOrder
from contracts.types import Amount, Currency, Id, Seat
from fastapi import Path
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from booking import model, settings
from booking.documents import Document, documents_of
from booking.model import MailedBy, OrderLine, State, StateChange
from booking.signing import Signer

BookingId = Annotated[Id, Path(description="The id of the hold that was checked out.")]


MAX_TYPED = 100


def _without_separators(given: object) -> object:
    """The letters and digits of a typed or copied reference, in upper case."""
    if not isinstance(given, str) or len(given) > MAX_TYPED:
        return given
    plain = unicodedata.normalize("NFKC", given)
    return "".join(
        each for each in plain if unicodedata.category(each) not in _SEPARATORS and each not in "#.,:;_−"
    ).upper()


_SEPARATORS = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"})
Reference = Annotated[
    str,
    BeforeValidator(_without_separators),
    StringConstraints(pattern=r"^[A-Z0-9]{1,16}$"),
    Field(description="Case, spaces and dashes make no difference."),
]


class MailingResponse(BaseModel):
    """A change of the address or a repeated mail with the tickets, and who asked for it."""

    kind: Literal["email_changed", "tickets_sent"]
    by: MailedBy
    at: datetime


class BookingResponse(BaseModel):
    """A booking. It has tickets only while it is confirmed.

    `party_qr` is one signed text for the door, for all valid tickets of the booking. It is set while there are several.
    `order` is the input of `POST /api/payments/create-intent`. It is set only for the holder, while the booking awaits
    payment. Lists have neither. Reference, screening and price are null in bookings from before 2026-12 that were never
    checked out.
    """

    id: Id
    state: State
    reference: str | None
    showtime_id: Id
    screening: Screening | None
    seats: list[Seat]
    lines: list[OrderLine]
    tickets: list[Ticket]
    amount: Amount | None
    currency: Currency | None
    tax: Amount | None
    refunded_amount: Amount
    moves: int = Field(description="How often the start has changed since the checkout: SEQUENCE in calendars.")
    email: str | None
    failed_mail: str | None = Field(description="The kind of the last mail that could not be delivered to `email`.")
    name: str | None
    locale: str
    opened_at: datetime
    expires_at: datetime
    payment_deadline_at: datetime | None
    payment_failure: str | None
    ending: model.EndReason | None
    mailings: list[MailingResponse]
    history: list[StateChange]
    documents: list[Document] = Field(description="Those that `GET /api/bookings/{id}/…` returns now.")
    order: str | None = None
    party_qr: str | None = None


def to_response(booking: model.Booking, signer: Signer, caller: Caller | None = None) -> BookingResponse:
    """The response for a booking, with its tickets' QR texts, and its payment order if the caller is its holder.

    Without a caller, for a list.
    """
    is_valid = booking.state is State.CONFIRMED
    is_payable = booking.state is State.AWAITING_PAYMENT and caller is not None and caller.owns(booking.holder)
    facts = {
        "tickets": signer.tickets(booking) if is_valid else [],
        "party_qr": signer.party_code(booking) if is_valid and caller and len(booking.tickets) > 1 else None,
        "mailings": [mailing.model_dump() for mailing in booking.mailings],
        "tax": booking.tax,
        "documents": documents_of(booking, settings.get()),
        "order": settings.get().payment_orders.sign(order_of(booking)) if is_payable else None,
    }
    return BookingResponse.model_validate(vars(booking) | facts)


def order_of(booking: model.Booking) -> PaymentOrder:
    """The data that payment needs to charge for a booking."""
    facts = {"booking_id": booking.id, "seats": booking.seat_ids, "was_guests": booking.was_guests or None}
    return PaymentOrder.model_validate(vars(booking) | facts)
