"""Request fields and responses that several routes share."""

import unicodedata
from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from chassis.security.auth import Caller
from contracts.booking import Screening, Ticket
from contracts.catalog import RefundPolicy
from contracts.claims import PaymentOrder
from contracts.types import Amount, Code, Currency, Id, Seat, SeatId
from fastapi import Path
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from booking import model, settings
from booking.api.discounts import AppliedPromotionResponse, shown
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


class TransferResponse(BaseModel):
    """The offer of a ticket to another person, until `expires_at`, or its acceptance.

    `email` is null once the showtime is over.
    """

    ticket_id: Id
    state: Literal["offered", "accepted"]
    email: str | None
    name: str | None
    message: str | None
    offered_at: datetime
    expires_at: datetime


def transfer_response(booking: model.Booking, transfer: model.Transfer) -> TransferResponse:
    """The response for a transfer, for its giver. A ticket that was passed on is one that was accepted."""
    facts = {
        "ticket_id": transfer.previous_id,
        "state": "offered" if transfer.state == "offered" else "accepted",
        "name": transfer.sender,
        "expires_at": model.transfers_end_at(booking),
    }
    return TransferResponse.model_validate(vars(transfer) | facts)


class IssuedTicket(BaseModel):
    """A ticket with its status. `qr` is null unless it is `valid`. `amount` is its price in minor units.

    `transfer` is its offer to another person, or that person's acceptance.
    """

    ticket_id: Id
    seat: Seat
    ticket_type: Code
    amount: Amount
    qr: str | None
    status: model.TicketStatus
    transfer: TransferResponse | None


class RefundResponse(BaseModel):
    """A refund of `amount` minor units for the tickets of these seats; none if it is not for single tickets.

    `requested` refunds are under way, `accepted` ones arrive within days. When one has `failed`, staff must repeat it.
    """

    refund_id: Id
    amount: Amount
    state: model.RefundState
    seats: list[SeatId]
    at: datetime
    settled_at: datetime | None
    repeated_as: Id | None = Field(description="The refund that replaces this failed one.")
    note: str | None = Field(description="Staff's reason. Only for staff.")


class ExchangeResponse(BaseModel):
    """An exchange of tickets for those of another booking. Amounts are in minor units.

    The tickets of `seats` were worth `value`; `carried` of it paid for the new ones, `refund` was returned, and `fee`
    is what the exchange cost.
    """

    replaces: Id
    replaced_by: Id
    seats: list[SeatId]
    value: Amount
    fee: Amount
    carried: Amount
    refund: Amount
    at: datetime


class ChoiceResponse(BaseModel):
    """What the customer can choose until `starts_at`, because the showtime was moved by more than 15 minutes.

    `refund` is the sum of a full refund in minor units, fees included. `is_kept`: the customer has chosen to keep the
    tickets. Without a choice they are kept, too. `POST …/choice` makes the choice.
    """

    previous_starts_at: datetime = Field(description="The start that was booked.")
    starts_at: datetime
    refund: Amount
    is_kept: bool


class BookingResponse(BaseModel):
    """A booking. It has tickets only while it is confirmed; cancelled ones stand beside the valid ones.

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
    tickets: list[IssuedTicket]
    amount: Amount | None
    currency: Currency | None
    tax: Amount | None
    promotions: list[AppliedPromotionResponse]
    refund_policy: RefundPolicy | None = Field(description="The policy of the checkout.")
    refunds: list[RefundResponse]
    refunded_amount: Amount
    tenders: list[model.Tender]
    due: Amount | None = Field(description="What is paid: `amount` without the value of exchanged tickets.")
    replaces: Id | None = Field(description="The booking whose tickets this one replaces.")
    exchanges: list[ExchangeResponse] = Field(description="Of its own tickets, and that which made the booking.")
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
    choice: ChoiceResponse | None = Field(None, description="Only for one booking, not in lists.")
    order: str | None = None
    party_qr: str | None = None


def to_response(booking: model.Booking, signer: Signer, caller: Caller | None = None) -> BookingResponse:
    """The response for a booking, with its tickets' QR texts, and its payment order if the caller is its holder.

    Without a caller, for a list.
    """
    is_staff = caller is not None and caller.may("bookings:read", booking.theater_id)
    is_payable = booking.state is State.AWAITING_PAYMENT and caller is not None and caller.owns(booking.holder)
    choice = model.move_choice(booking, now()) if caller else None
    facts = {
        "choice": choice and choice.model_dump(),
        "tickets": _issued(booking, signer),
        "refunds": [to_refund(refund, is_staff=is_staff) for refund in booking.refunds],
        "refunded_amount": booking.refunded,
        "tenders": booking.tenders,
        "due": booking.due,
        "exchanges": [each.model_dump() for each in _exchanges(booking)],
        "party_qr": signer.party_code(booking) if caller and len(booking.valid_tickets) > 1 else None,
        "mailings": [mailing.model_dump() for mailing in booking.mailings],
        "tax": booking.tax,
        "promotions": shown(booking.promotions),
        "documents": documents_of(booking, settings.get()),
        "order": settings.get().payment_orders.sign(order_of(booking)) if is_payable else None,
    }
    return BookingResponse.model_validate(vars(booking) | facts)


def _issued(booking: model.Booking, signer: Signer) -> list[IssuedTicket]:
    if booking.state is not State.CONFIRMED:
        return []
    status: dict[str, model.TicketStatus] = {line.seat.seat_id: line.status for line in booking.lines}
    return [_issued_ticket(booking, ticket, status[ticket.seat.seat_id], signer) for ticket in booking.tickets]


def _issued_ticket(booking: model.Booking, ticket: Ticket, status: model.TicketStatus, signer: Signer) -> IssuedTicket:
    """The seat's ticket as the customer has, or had, it."""
    seat_id, is_kept = ticket.seat.seat_id, status in ("valid", "transferred")
    transfer = model.given_away(booking, seat_id) if is_kept else None
    return IssuedTicket(
        **ticket.model_dump(exclude={"qr", "ticket_id"}),
        ticket_id=model.ticket_id_of(booking.id, seat_id),
        qr=signer.code_of(ticket, booking) if status == "valid" else None,
        status=status,
        transfer=transfer_response(booking, transfer) if transfer else None,
    )


def _exchanges(booking: model.Booking) -> list[model.Exchange]:
    return [*([booking.exchange] if booking.exchange else []), *booking.exchanges]


def to_refund(refund: model.Refund, *, is_staff: bool) -> RefundResponse:
    """The response for a refund. Only staff see what staff wrote."""
    hidden = {} if is_staff else {"note": None}
    return RefundResponse.model_validate(refund.model_dump() | hidden)


def order_of(booking: model.Booking) -> PaymentOrder:
    """The data that payment needs to charge for a booking."""
    facts = {"booking_id": booking.id, "seats": booking.seat_ids, "was_guests": booking.was_guests or None}
    facts["amount"] = booking.due
    return PaymentOrder.model_validate(vars(booking) | facts)
