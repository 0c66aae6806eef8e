"""A booking as plain data, and the commands that change it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from contracts.booking import Screening, Ticket
from contracts.claims import HoldClaim
from contracts.types import Holder, Seat
from pydantic import BaseModel

from booking.model.problems import NotCancellable

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
    """One seat with its ticket type and its price in minor units, which includes `fee` and `tax`, null if unknown.

    `tax_basis_points` is the rate of the tax: 700 is 7 %.
    """

    seat: Seat
    ticket_type: str
    amount: int
    fee: int | None = None
    tax: int | None = None
    tax_basis_points: int | None = None


def total_of(parts: Iterable[int | None]) -> int | None:
    """The sum, or None if any part is unknown."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)


class StateChange(BaseModel):
    """One change of state: the new state, the event that caused it, and the time.

    Bookings from before 2026-12 start with `held`.
    """

    state: State | Literal["held"]
    event: str
    at: datetime


MailedBy = Literal["customer", "link", "staff"]


class Mailing(BaseModel):
    """A change of the address, or the tickets mailed again: when, and at whose request. `staff_id`: of staff."""

    id: str
    kind: Literal["email_changed", "tickets_sent"]
    by: MailedBy
    at: datetime
    staff_id: str | None = None


class Booking(BaseModel):
    """A booking. The checkout of a hold creates it with the hold's id.

    `expires_at`: the end of the hold. `due_at`: when the timer processes the booking next. `ending`: why it ended or
    will end. `moves`: how often the showtime's start has changed since the checkout. `is_disputed`: the customer's bank
    asks for the money back, and a refund may wait for its decision. `failed_mail`: the kind of the last mail that could
    not be delivered. `sealed_email`: the encrypted address of a person who has deleted the account; until
    `contact_until`, the end of the showtime, its changes are mailed there. `tickets_valid_until`: the end of the
    signatures of the tickets, set when they are issued. `was_guests`: a guest made
    it, and then signed in. `mailings`: the latest changes of the address and requests to mail the tickets again.

    Bookings from before 2026-12 that were never checked out lack the order's fields; others lack `theater_id` until
    catalog publishes their showtime again.
    """

    id: str
    version: int = 0
    state: State
    holder: Holder
    showtime_id: str
    theater_id: str | None = None
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
    is_disputed: bool = False
    failed_mail: str | None = None
    sealed_email: str | None = None
    contact_until: datetime | None = None
    was_guests: bool = False
    mailings: list[Mailing] = []
    tickets: list[Ticket] = []
    tickets_valid_until: datetime | None = None
    history: list[StateChange] = []

    @property
    def seat_ids(self) -> list[str]:
        """The ids of the seats, in the hold's order."""
        return [seat.seat_id for seat in self.seats]

    @property
    def tax(self) -> int | None:
        """The tax that the price includes in minor units; None if unknown."""
        return total_of(line.tax for line in self.lines) if self.lines else None


@dataclass(frozen=True)
class Order:
    """A customer's order: ticket type by seat id, and the recipient of the tickets."""

    ticket_types: dict[str, str]
    email: str
    name: str | None = None
    locale: str = "en"


@dataclass(frozen=True)
class Checkout:
    """Command: check out the hold with this order at this final price, payable until `payment_deadline_at`."""

    hold: HoldClaim
    order: Order
    lines: list[OrderLine]
    currency: str
    screening: Screening
    theater_id: str | None
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


def is_same_order(booking: Booking, order: Order) -> bool:
    """Whether the booking was checked out with exactly this order."""
    ordered = {line.seat.seat_id: line.ticket_type for line in booking.lines}
    mine = Order(ordered, booking.email or "", booking.name, booking.locale)
    return bool(booking.lines) and mine == order


def cancel_refusal(booking: Booking, by: Literal["by_customer", "by_staff"]) -> NotCancellable | None:
    """The reason why the booking cannot be cancelled now, or None.

    Only an unpaid booking can be cancelled, and by staff also one with free tickets. Staff end a paid booking by its
    refund.
    """
    if by == "by_staff" and booking.state is State.CONFIRMED and booking.amount == 0:
        return None
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
