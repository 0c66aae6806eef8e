"""A booking as plain data, and the rules for prices, checkout and tickets. No I/O; the time is a parameter.

BookingProblem
├── BookingUnknown       404  not found, or not the caller's
├── TicketUnknown        404
├── ClaimRequired        422  the request has no claim
├── ClaimInvalid         422
├── HoldExpired          409  the hold ended before the checkout
├── AlreadyCheckedOut    409  checked out earlier with another order
├── NotCancellable       409
├── ShowtimeClosed       409  cancelled or over
├── TicketsDoNotMatch    422  names the seats
├── PriceUnknown         422  names the seats
├── CompanionWithoutWheelchair 422 names the seats
├── ShowtimeNotReady     503  this service has not received its prices yet
└── BookingBusy          503  too many concurrent changes
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.booking import Screening, Ticket
from contracts.catalog import Price
from contracts.claims import HoldClaim
from contracts.errors import Problem
from contracts.types import Holder, Seat
from pydantic import BaseModel

COMPANION, WHEELCHAIR = "companion", "wheelchair"
"""Catalog's ticket type for the companion of a wheelchair user, and its category of wheelchair places."""

TICKET_VALID_FOR = timedelta(days=30)
"""How long a ticket's signature stays valid after the showtime. Tickets of a moved showtime must stay valid."""

EndReason = Literal[
    "deadline",
    "seats_released",
    "seats_lost",
    "payment_cancelled",
    "by_customer",
    "by_staff",
    "showtime_cancelled",
    "refunded_at_provider",
    "exchanged",
]


class BookingProblem(Problem):
    """Base class of the errors of this service."""


class BookingUnknown(BookingProblem):
    code, status, title = "booking_unknown", 404, "There is no such booking."


class TicketUnknown(BookingProblem):
    code, status, title = "ticket_unknown", 404, "There is no such ticket."


class ClaimRequired(BookingProblem):
    code, status = "claim_required", 422
    title = "The hold's claim is required. POST /api/showtimes/{id}/holds and GET /api/holds/{id} return it."


class ClaimInvalid(BookingProblem):
    code, status = "claim_invalid", 422
    title = "The hold's claim is invalid. GET /api/holds/{id} returns the current one."


class HoldExpired(BookingProblem):
    code, status, title = "hold_expired", 409, "These seats are no longer held for you. Please choose seats again."


class AlreadyCheckedOut(BookingProblem):
    code, status, title = "already_checked_out", 409, "This hold was already checked out with a different order."


class NotCancellable(BookingProblem):
    code, status, title = "not_cancellable", 409, "This booking cannot be cancelled."


class ShowtimeClosed(BookingProblem):
    code, status, title = "showtime_closed", 409, "This showtime is no longer on sale."


class TicketsDoNotMatch(BookingProblem):
    code, status, title = "tickets_do_not_match", 422, "There must be exactly one ticket for each held seat."


class PriceUnknown(BookingProblem):
    code, status, title = "price_unknown", 422, "This ticket type is not available for this seat."


class CompanionWithoutWheelchair(BookingProblem):
    code, status = "companion_without_wheelchair", 422
    title = "Each companion ticket requires a wheelchair place in the same booking."


class ShowtimeNotReady(BookingProblem):
    code, status, title = (
        "showtime_not_ready",
        503,
        "This showtime's prices are not available yet. Please try again.",
    )


class BookingBusy(BookingProblem):
    code, status, title = "booking_busy", 503, "This booking is being changed at the moment. Please try again."


class State(StrEnum):
    """The state of a booking in the saga."""

    AWAITING_PAYMENT = "awaiting_payment"
    CLOSING = "closing"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EXCHANGED = "exchanged"


class OrderLine(BaseModel):
    """One seat with its ticket type and its price in minor units."""

    seat: Seat
    ticket_type: str
    amount: int


class TicketOption(BaseModel):
    """A ticket type available for a seat, in minor units. `amount` includes `fee` and `tax`, null if unknown."""

    ticket_type: str
    amount: int
    fee: int | None = None
    tax: int | None = None


class QuotedSeat(BaseModel):
    """The price of a seat: the chosen or default ticket type, and all ticket types that can be chosen."""

    seat: Seat
    chosen: TicketOption
    options: list[TicketOption]


class StateChange(BaseModel):
    """One change of state: the new state, the event that caused it, and the time.

    Bookings from before 2026-12 start with `held`.
    """

    state: State | Literal["held"]
    event: str
    at: datetime


class Booking(BaseModel):
    """A booking. The checkout of a hold creates it with the hold's id.

    `expires_at`: the end of the hold. `due_at`: when the timer processes the booking next. `ending`: why it ended or
    will end. `moves`: how often the showtime's start has changed since the checkout. Bookings from before 2026-12
    that were never checked out lack the order's fields.
    """

    id: str
    version: int = 0
    state: State
    holder: Holder
    showtime_id: str
    seats: list[Seat]
    opened_at: datetime
    expires_at: datetime
    due_at: datetime | None = None
    lines: list[OrderLine] = []
    amount: int | None = None
    currency: str | None = None
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    reference: str | None = None
    screening: Screening | None = None
    payment_deadline_at: datetime | None = None
    moves: int = 0
    replaces: str | None = None
    payment_failure: str | None = None
    ending: EndReason | None = None
    refund_amount: int | None = None
    refunded_amount: int = 0
    tickets: list[Ticket] = []
    history: list[StateChange] = []

    @property
    def seat_ids(self) -> list[str]:
        """The ids of the seats, in the hold's order."""
        return [seat.seat_id for seat in self.seats]


@dataclass(frozen=True)
class Order:
    """A customer's order: ticket type by seat id, and the recipient of the tickets."""

    ticket_types: dict[str, str]
    email: str
    name: str | None = None
    locale: str = "en"


@dataclass(frozen=True)
class ShowtimeOffer:
    """The data of a showtime that quotes and checkouts use."""

    screening: Screening
    currency: str
    prices: Sequence[Price]
    is_cancelled: bool = False


@dataclass(frozen=True)
class Checkout:
    """Command: check out the hold with this order at this final price, payable until `payment_deadline_at`."""

    hold: HoldClaim
    order: Order
    lines: list[OrderLine]
    currency: str
    screening: Screening
    reference: str
    payment_deadline_at: datetime

    @property
    def amount(self) -> int:
        """The total price in minor units."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True)
class Cancel:
    """Command: cancel the booking."""

    by: Literal["by_customer", "by_staff"]


@dataclass(frozen=True)
class Replaced:
    """Command: the confirmed booking `by`, at the price `amount` in minor units, replaces this one."""

    by: str
    amount: int


@dataclass(frozen=True)
class DeadlinePassed:
    """Command of the timer: the booking's `due_at` has passed."""


def price(seats: Iterable[Seat], ticket_types: dict[str, str], prices: Iterable[Price]) -> list[OrderLine]:
    """Price each seat with its chosen ticket type, by the showtime's price table.

    Raises TicketsDoNotMatch unless every seat has exactly one ticket type, PriceUnknown when the type is not available
    for the seat's category, and CompanionWithoutWheelchair.
    """
    by_id = {seat.seat_id: seat for seat in seats}
    _check_seats(by_id, ticket_types)
    table = {(price.category, price.ticket_type): price.amount for price in prices}
    amounts = {seat_id: table.get((seat.category, ticket_types[seat_id])) for seat_id, seat in by_id.items()}
    if unpriced := sorted(seat_id for seat_id, amount in amounts.items() if amount is None):
        raise _price_unknown(unpriced)
    _check_companions(by_id.values(), ticket_types)
    return [
        OrderLine(seat=seat, ticket_type=ticket_types[seat_id], amount=amount)
        for seat_id, seat in by_id.items()
        if (amount := amounts[seat_id]) is not None
    ]


def _check_seats(seat_ids: Iterable[str], ticket_types: Mapping[str, Any]) -> None:
    if mismatched := sorted(set(seat_ids) ^ ticket_types.keys()):
        raise TicketsDoNotMatch(f"Tickets and held seats differ in {', '.join(mismatched)}.", seats=mismatched)


def _price_unknown(seat_ids: list[str]) -> PriceUnknown:
    return PriceUnknown(f"The ticket type chosen for {', '.join(seat_ids)} is not available there.", seats=seat_ids)


def unaccompanied(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> list[str]:
    """Return the seats with a companion ticket but no wheelchair place for it, in their order.

    A wheelchair place with any other ticket allows one companion ticket; it cannot have a companion ticket itself.
    """
    places = {seat.seat_id for seat in seats if seat.category == WHEELCHAIR}
    companions = [seat.seat_id for seat in seats if ticket_types[seat.seat_id] == COMPANION]
    allowed = [seat_id for seat_id in companions if seat_id not in places][: len(places.difference(companions))]
    return [seat_id for seat_id in companions if seat_id not in allowed]


def _check_companions(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> None:
    if alone := unaccompanied(seats, ticket_types):
        detail = f"Add a wheelchair place for each companion, or choose another ticket type for {', '.join(alone)}."
        raise CompanionWithoutWheelchair(detail, seats=alone)


def quote(hold: HoldClaim, offer: ShowtimeOffer, choices: Mapping[str, str | None], now: datetime) -> list[QuotedSeat]:
    """Price the held seats as if they were checked out now with these ticket types.

    The default for a seat is `adult`, or else the first ticket type of its category.
    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    _check_sold(hold, offer, now)
    if choices:
        _check_seats((seat.seat_id for seat in hold.seats), choices)
    quoted = [_quoted(seat, choices.get(seat.seat_id), offer.prices) for seat in hold.seats]
    chosen = {each.seat.seat_id: each.chosen.ticket_type for each in quoted}
    _check_companions(hold.seats, chosen)
    for each in quoted:
        each.options = [
            option
            for option in each.options
            if not unaccompanied(hold.seats, chosen | {each.seat.seat_id: option.ticket_type})
        ]
    return quoted


def _quoted(seat: Seat, ticket_type: str | None, prices: Iterable[Price]) -> QuotedSeat:
    options = [
        TicketOption(**price.model_dump(exclude={"category"})) for price in prices if price.category == seat.category
    ]
    wanted = [ticket_type] if ticket_type else ["adult", *(option.ticket_type for option in options[:1])]
    for chosen in (option for kind in wanted for option in options if option.ticket_type == kind):
        return QuotedSeat(seat=seat, chosen=chosen, options=options)
    raise _price_unknown([seat.seat_id])


def total_of(parts: Iterable[int | None]) -> int | None:
    """The sum, or None if any part is unknown."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)


def check_out(
    hold: HoldClaim, offer: ShowtimeOffer, order: Order, *, reference: str, payment_window: timedelta, now: datetime
) -> Checkout:
    """Create the command that checks out this hold. The payment deadline is never after the showtime's end.

    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    _check_sold(hold, offer, now)
    return Checkout(
        hold=hold,
        order=order,
        lines=price(hold.seats, order.ticket_types, offer.prices),
        currency=offer.currency,
        screening=offer.screening,
        reference=reference,
        payment_deadline_at=min(now + payment_window, offer.screening.ends_at),
    )


def _check_sold(hold: HoldClaim, offer: ShowtimeOffer, now: datetime) -> None:
    """Raises ShowtimeClosed or HoldExpired when the hold can no longer be checked out."""
    if offer.is_cancelled:
        raise ShowtimeClosed("This showtime was cancelled.")
    if now >= offer.screening.ends_at:
        raise ShowtimeClosed("This showtime is over.")
    if now >= hold.expires_at:
        raise HoldExpired


def is_same_order(booking: Booking, order: Order) -> bool:
    """Whether the booking was checked out with exactly this order."""
    ordered = {line.seat.seat_id: line.ticket_type for line in booking.lines}
    mine = Order(ordered, booking.email or "", booking.name, booking.locale)
    return bool(booking.lines) and mine == order


def cancel_refusal(booking: Booking) -> NotCancellable | None:
    """The reason why a customer cannot cancel now, or None. Only an unpaid booking can be cancelled."""
    sentences = {
        State.CONFIRMING: "The booking is being confirmed.",
        State.CONFIRMED: "The booking is paid and confirmed; it can no longer be cancelled here.",
        State.EXPIRED: "The booking has expired.",
        State.EXCHANGED: "The booking was exchanged for another one.",
        State.REFUNDING: "The booking has ended and is being refunded.",
        State.REFUNDED: "The booking has ended and was refunded.",
    }
    sentence = sentences.get(booking.state)
    return NotCancellable(sentence, state=booking.state.value) if sentence else None


Sign = Callable[[dict[str, Any]], str]
"""Signs a ticket's claims and returns the text of its QR code."""


def issue_tickets(booking: Booking, sign: Sign) -> list[Ticket]:
    """Create one ticket per order line. Ids derive from booking and seat, so a repeat creates the same tickets."""
    assert booking.screening is not None  # noqa: S101 - the checkout sets it
    valid_until = booking.screening.ends_at + TICKET_VALID_FOR
    tickets: list[Ticket] = []
    for line in booking.lines:
        ticket_id = f"{booking.id}-{line.seat.seat_id}"
        claims = {
            "tid": ticket_id,
            "ref": booking.reference,
            "sid": booking.showtime_id,
            "seat": line.seat.seat_id,
            "exp": int(valid_until.timestamp()),
        }
        tickets.append(
            Ticket(
                ticket_id=ticket_id,
                seat=line.seat,
                ticket_type=line.ticket_type,
                amount=line.amount,
                qr=sign(claims),
            )
        )
    return tickets


def booking_id_of(ticket_id: str) -> str:
    """The id of the ticket's booking."""
    return ticket_id.rpartition("-")[0]
