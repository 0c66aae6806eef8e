"""A booking as plain data, and the rules for prices, checkout and tickets. No I/O, no clock.

BookingProblem
├── BookingUnknown       404  no such booking, or not the caller's
├── TicketUnknown        404
├── ClaimRequired        422  an order without the hold's claim
├── ClaimInvalid         422
├── HoldExpired          409  the seats went back before the checkout
├── AlreadyCheckedOut    409  checked out before, with another order
├── NotCancellable       409
├── ShowtimeClosed       409  cancelled or over
├── TicketsDoNotMatch    422  names the seats
├── PriceUnknown         422  names the seats
├── CompanionWithoutWheelchair 422 names the seats
├── ShowtimeNotReady     503  its prices have not arrived yet
└── BookingBusy          503  lost too many races in a row
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
"""Catalog's ticket type of somebody who comes with a wheelchair user, and its category of the places for these."""

TICKET_READABLE_FOR = timedelta(days=30)
"""How long after the showtime a ticket's signature holds: a showtime that moves keeps its tickets."""

Ending = Literal[
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
    """Anything that booking refuses."""


class BookingUnknown(BookingProblem):
    code, status, title = "booking_unknown", 404, "There is no such booking."


class TicketUnknown(BookingProblem):
    code, status, title = "ticket_unknown", 404, "There is no such ticket."


class ClaimRequired(BookingProblem):
    code, status = "claim_required", 422
    title = "Send the hold's claim, which POST /api/showtimes/{id}/holds and GET /api/holds/{id} answer."


class ClaimInvalid(BookingProblem):
    code, status = "claim_invalid", 422
    title = "This is not the claim of a hold. GET /api/holds/{id} answers the current one."


class HoldExpired(BookingProblem):
    code, status, title = "hold_expired", 409, "These seats are no longer held for you. Please choose seats again."


class AlreadyCheckedOut(BookingProblem):
    code, status, title = "already_checked_out", 409, "This booking was already checked out with another order."


class NotCancellable(BookingProblem):
    code, status, title = "not_cancellable", 409, "This booking cannot be cancelled."


class ShowtimeClosed(BookingProblem):
    code, status, title = "showtime_closed", 409, "This showtime is no longer sold."


class TicketsDoNotMatch(BookingProblem):
    code, status, title = "tickets_do_not_match", 422, "There must be exactly one ticket for each held seat."


class PriceUnknown(BookingProblem):
    code, status, title = "price_unknown", 422, "There is no such ticket type for this seat."


class CompanionWithoutWheelchair(BookingProblem):
    code, status = "companion_without_wheelchair", 422
    title = "A companion's ticket goes with a wheelchair place in the same booking, one with each."


class ShowtimeNotReady(BookingProblem):
    code, status, title = "showtime_not_ready", 503, "This showtime's prices are just arriving. Please try again."


class BookingBusy(BookingProblem):
    code, status, title = "booking_busy", 503, "This booking is just being changed. Please try again."


class State(StrEnum):
    """Where a booking stands in the saga."""

    AWAITING_PAYMENT = "awaiting_payment"
    CLOSING = "closing"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EXCHANGED = "exchanged"


class Line(BaseModel):
    """What one seat costs with its ticket type, in minor units."""

    seat: Seat
    ticket_type: str
    amount: int


class Option(BaseModel):
    """A ticket type that is sold for a seat, in minor units; `fee` and `tax` are in the amount, if catalog said so."""

    ticket_type: str
    amount: int
    fee: int | None = None
    tax: int | None = None


class QuotedSeat(BaseModel):
    """What a seat would cost: the ticket type that was chosen, or else the usual one, among all that can be chosen."""

    seat: Seat
    chosen: Option
    options: list[Option]


class Passage(BaseModel):
    """One change of state: where to, on which event, when. Bookings from before 2026-12 began as `held`."""

    state: State | Literal["held"]
    event: str
    at: datetime


class Booking(BaseModel):
    """One booking, which begins with the checkout of a hold and has the hold's id.

    `expires_at` is the hold's end; `due_at` is when a timer looks at the booking next; `ending` says why it ended or
    will end; `moves` counts how often its showtime got another start since. Bookings from before 2026-12 that were
    never checked out have none of the order's fields.
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
    lines: list[Line] = []
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
    ending: Ending | None = None
    refund_amount: int | None = None
    refunded_amount: int = 0
    tickets: list[Ticket] = []
    history: list[Passage] = []

    @property
    def seat_ids(self) -> list[str]:
        """The names of its seats, in the hold's order."""
        return [seat.seat_id for seat in self.seats]


@dataclass(frozen=True)
class Order:
    """What a customer asks for: seat id → ticket type, and whom to send it to."""

    ticket_types: dict[str, str]
    email: str
    name: str | None = None
    locale: str = "en"


@dataclass(frozen=True)
class Offer:
    """A showtime as far as booking sells it."""

    screening: Screening
    currency: str
    prices: Sequence[Price]
    is_cancelled: bool = False


@dataclass(frozen=True)
class Checkout:
    """Command: this order for the hold at this final price, to be paid by `payment_deadline_at`."""

    hold: HoldClaim
    order: Order
    lines: list[Line]
    currency: str
    screening: Screening
    reference: str
    payment_deadline_at: datetime

    @property
    def amount(self) -> int:
        """The whole price in minor units."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True)
class Cancel:
    """Command: give the booking up."""

    by: Literal["by_customer", "by_staff"]


@dataclass(frozen=True)
class Replaced:
    """Command: the booking `by`, confirmed at the price of `amount` in minor units, takes this one's place."""

    by: str
    amount: int


@dataclass(frozen=True)
class DeadlinePassed:
    """Command of the timer: look whether the booking's `due_at` has come."""


def price(seats: Iterable[Seat], ticket_types: dict[str, str], prices: Iterable[Price]) -> list[Line]:
    """What each seat costs with the ticket type chosen for it, from the showtime's price table.

    Raises TicketsDoNotMatch unless every seat has exactly one ticket type, PriceUnknown for a type that is not sold
    for the seat's category, CompanionWithoutWheelchair.
    """
    by_id = {seat.seat_id: seat for seat in seats}
    if odd := sorted(by_id.keys() ^ ticket_types.keys()):
        raise TicketsDoNotMatch(f"Tickets and held seats differ in {', '.join(odd)}.", seats=odd)
    table = {(price.category, price.ticket_type): price.amount for price in prices}
    amounts = {seat_id: table.get((seat.category, ticket_types[seat_id])) for seat_id, seat in by_id.items()}
    if unpriced := sorted(seat_id for seat_id, amount in amounts.items() if amount is None):
        raise PriceUnknown(f"The ticket type chosen for {', '.join(unpriced)} is not sold there.", seats=unpriced)
    _check_companions(by_id.values(), ticket_types)
    return [
        Line(seat=seat, ticket_type=ticket_types[seat_id], amount=amount)
        for seat_id, seat in by_id.items()
        if (amount := amounts[seat_id]) is not None
    ]


def unaccompanied(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> list[str]:
    """The seats, in their order, whose companion's ticket has no wheelchair place to go with.

    Each wheelchair place that is booked with another ticket has one companion; it cannot itself be a companion's.
    """
    places = {seat.seat_id for seat in seats if seat.category == WHEELCHAIR}
    companions = [seat.seat_id for seat in seats if ticket_types[seat.seat_id] == COMPANION]
    beside = [seat_id for seat_id in companions if seat_id not in places][: len(places.difference(companions))]
    return [seat_id for seat_id in companions if seat_id not in beside]


def _check_companions(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> None:
    if alone := unaccompanied(seats, ticket_types):
        detail = f"Add a wheelchair place for each companion, or choose another ticket type for {', '.join(alone)}."
        raise CompanionWithoutWheelchair(detail, seats=alone)


def quote(hold: HoldClaim, offer: Offer, choices: Mapping[str, str | None], now: datetime) -> list[QuotedSeat]:
    """What the held seats would cost if they were checked out now with these ticket types.

    Without `choices`, or with None for a seat, it is an adult's ticket, or the first that is sold for its category.
    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    _check_sold(hold, offer, now)
    if choices and (odd := sorted({seat.seat_id for seat in hold.seats} ^ choices.keys())):
        raise TicketsDoNotMatch(f"Tickets and held seats differ in {', '.join(odd)}.", seats=odd)
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
    options = [Option(**price.model_dump(exclude={"category"})) for price in prices if price.category == seat.category]
    wanted = [ticket_type] if ticket_type else ["adult", *(option.ticket_type for option in options[:1])]
    for chosen in (option for kind in wanted for option in options if option.ticket_type == kind):
        return QuotedSeat(seat=seat, chosen=chosen, options=options)
    raise PriceUnknown(f"The ticket type chosen for {seat.seat_id} is not sold there.", seats=[seat.seat_id])


def total_of(parts: Iterable[int | None]) -> int | None:
    """The sum, if all of it is known."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)


def check_out(
    hold: HoldClaim, offer: Offer, order: Order, *, reference: str, payment_window: timedelta, now: datetime
) -> Checkout:
    """The command that checks this hold out. The time to pay ends with the showtime at the latest.

    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown or CompanionWithoutWheelchair.
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


def _check_sold(hold: HoldClaim, offer: Offer, now: datetime) -> None:
    """Raises ShowtimeClosed or HoldExpired when nothing can be bought for the hold any more."""
    if offer.is_cancelled:
        raise ShowtimeClosed("This showtime was cancelled.")
    if now >= offer.screening.ends_at:
        raise ShowtimeClosed("This showtime is over.")
    if now >= hold.expires_at:
        raise HoldExpired


def is_same_order(booking: Booking, order: Order) -> bool:
    """Whether the booking was checked out with just this order."""
    ordered = {line.seat.seat_id: line.ticket_type for line in booking.lines}
    mine = Order(ordered, booking.email or "", booking.name, booking.locale)
    return bool(booking.lines) and mine == order


def refuse_cancel(booking: Booking) -> NotCancellable | None:
    """Why a customer may not cancel now; None when they may. Only what is not paid yet can be cancelled."""
    sentences = {
        State.CONFIRMING: "The payment has just arrived; the booking is being confirmed.",
        State.CONFIRMED: "The booking is paid and confirmed; it can no longer be cancelled here.",
        State.EXPIRED: "The booking has expired; there is nothing left to cancel.",
        State.EXCHANGED: "The booking was exchanged for another one.",
        State.REFUNDING: "The booking has ended and its money is on its way back.",
        State.REFUNDED: "The booking has ended and its money went back.",
    }
    sentence = sentences.get(booking.state)
    return NotCancellable(sentence, state=booking.state.value) if sentence else None


Sign = Callable[[dict[str, Any]], str]
"""Signs a ticket's claims and returns the text of its QR code."""


def issue_tickets(booking: Booking, sign: Sign) -> list[Ticket]:
    """One ticket per line. The ids follow from booking and seat, so issuing again gives the same tickets."""
    assert booking.screening is not None  # noqa: S101 - the checkout set it
    readable_until = booking.screening.ends_at + TICKET_READABLE_FOR
    tickets: list[Ticket] = []
    for line in booking.lines:
        ticket_id = f"{booking.id}-{line.seat.seat_id}"
        claims = {
            "tid": ticket_id,
            "ref": booking.reference,
            "sid": booking.showtime_id,
            "seat": line.seat.seat_id,
            "exp": int(readable_until.timestamp()),
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
    """The booking that a ticket belongs to."""
    return ticket_id.rpartition("-")[0]
