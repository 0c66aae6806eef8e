"""A booking as plain data, and the commands that change it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from contracts.booking import RefundTo, Screening, Ticket
from contracts.catalog import RefundPolicy
from contracts.claims import HoldClaim
from contracts.payment import TenderAmounts, TenderKind
from contracts.types import Holder, Seat
from pydantic import BaseModel

from booking.model.funds import Exchange, Source
from booking.model.problems import NotCancellable
from booking.model.promotions import AppliedPromotion

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
    "exchange_refused",
]


class State(StrEnum):
    """The state of a booking in the saga."""

    AWAITING_PAYMENT = "awaiting_payment"
    CLOSING = "closing"
    CONFIRMING = "confirming"
    EXCHANGING = "exchanging"
    CONFIRMED = "confirmed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EXCHANGED = "exchanged"


TicketStatus = Literal["valid", "cancelled", "exchanged", "transferred"]
"""What became of a ticket. Only a `valid` one admits its bearer."""


class OrderLine(BaseModel):
    """One seat with its ticket type, price and status. Amounts are in minor units.

    `amount` is the price to pay: after `discount`, and including `fee` and `tax`, which are null if unknown. `refund`
    is the part of it that is returned since the ticket was cancelled. `tax_basis_points` is the rate of the tax: 700
    is 7 %.
    """

    seat: Seat
    ticket_type: str
    amount: int
    discount: int = 0
    fee: int | None = None
    tax: int | None = None
    tax_basis_points: int | None = None
    status: TicketStatus = "valid"
    refund: int | None = None
    checked_in_at: datetime | None = None

    @property
    def is_kept(self) -> bool:
        """Whether somebody still has this ticket: the customer, or the person to whom it was transferred."""
        return self.status in ("valid", "transferred")


TransferState = Literal["offered", "accepted", "passed_on", "returned", "recalled"]


class Transfer(BaseModel):
    """The offer of a ticket to another person, and what became of it.

    `ticket_id` is the ticket's id once it is accepted, `previous_id` the id until then. `email` and `locale` are the
    recipient's, `sender` is the name that the recipient sees, `user_id` the recipient's account. A recalled or returned
    one keeps no personal data of the recipient.
    """

    ticket_id: str
    previous_id: str
    seat_id: str
    state: TransferState = "offered"
    email: str | None
    sender: str | None = None
    message: str | None = None
    locale: str = "en"
    user_id: str | None = None
    offered_at: datetime
    settled_at: datetime | None = None


RefundState = Literal["requested", "accepted", "failed"]
RefundReason = Literal["seats_lost", "cancelled", "showtime_cancelled", "exchange_difference"]


class Refund(BaseModel):
    """A refund of the booking. Its state only moves forward, in this order.

    `is_requested`: booking requested it; otherwise staff or the provider made it. `seats` are those of the tickets that
    it pays for. `quote_id` is the committed quote's. `note` is the reason that staff gave. `repeated_as`: the refund
    that replaces this failed one. `payment_id`: the booking on whose payment the money is; None for this one's. A sum
    on several payments is several refunds: the others, and repetitions, are `part_of` the first, which has the seats.
    `refund_to`: where the card's part goes. `returned`: what gift cards and credit got back beside `amount`, the card's
    part, of a refund that failed.
    """

    refund_id: str
    amount: int
    state: RefundState
    is_requested: bool = True
    reason: RefundReason | None = None
    seats: list[str] = []
    quote_id: str | None = None
    note: str | None = None
    at: datetime
    settled_at: datetime | None = None
    repeated_as: str | None = None
    payment_id: str | None = None
    part_of: str | None = None
    refund_to: RefundTo = "card"
    returned: int = 0

    @property
    def paid_back(self) -> int:
        """What was paid back by it, in minor units."""
        return self.amount if self.state == "accepted" else self.returned

    @property
    def must_be_repeated(self) -> bool:
        """Whether it failed and staff have not requested it again."""
        return self.is_requested and self.state == "failed" and self.repeated_as is None


class Tender(BaseModel):
    """A means of payment, with the money that was captured and refunded on it in minor units.

    `exchange` is the value of the tickets that the booking replaces. `moved` went on to bookings that replace this one.
    """

    kind: TenderKind | Literal["exchange"]
    captured: int
    refunded: int
    moved: int = 0


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


MOVED_FAR = timedelta(minutes=15)
"""A start that differs by more than this is another appointment: the customer may have everything back."""
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
    will end. `refund_policy`: the one of the checkout. `refund_amount`: what is refunded because the booking ended.
    `refunded_amount`: what was refunded on its own payment. `ledger_entries`: how much of payment's ledger that
    includes. `paid_with`: the tenders of that payment, unless a card paid everything.
    `passed_on`: the part of it that was refunded for later bookings, by refund. `moves`: how often the
    showtime's start has changed since the checkout. `booked_starts_at`: the start at the checkout, set by the first
    move. `kept_starts_at`: the start for which the customer has chosen to keep the tickets.
    `is_disputed`: the customer's bank asks for the money back, and a refund may wait for its decision.
    `failed_mail`: the kind of the last mail that could not be delivered. `sealed_email`: the encrypted address of a
    person who has deleted the account; until `contact_until`, the end of the showtime, its changes are mailed there and
    to recipients of tickets. `tickets_valid_until`: the end of the signatures of the tickets, set when they are issued.
    `transfers`: the offers of tickets to other people, in their order. `was_guests`: a guest made it, and then signed
    in. `mailings`: the latest changes of the address and requests to mail the tickets again.
    `promotion_codes`: those of the order. `uses_id`: the uses of its promotions; `has_open_uses`: they have not been
    brought up to its state yet.

    `replaces`, `exchange`: the earlier booking and the terms, if the booking is an exchange. `sources`: the money that
    it took over, once the earlier tickets are void. `exchanges`: those of its own tickets. `refused_exchanges`: the
    bookings that asked for its tickets too late. `exchange_count`: how often the customer has exchanged, in all.
    `calendar_id`: the first booking, if all of its tickets were exchanged: calendars know the entry by its id.

    Bookings from before 2026-12 that were never checked out lack the order's fields; others lack `theater_id` until
    catalog publishes their showtime again, have no `refund_policy`, and list no refunds.
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
    booked_starts_at: datetime | None = None
    calendar_id: str | None = None
    kept_starts_at: datetime | None = None
    replaces: str | None = None
    payment_failure: str | None = None
    ending: EndReason | None = None
    refund_policy: RefundPolicy | None = None
    promotions: list[AppliedPromotion] = []
    promotion_codes: list[str] = []
    uses_id: str | None = None
    has_open_uses: bool = False
    refund_amount: int | None = None
    refunded_amount: int = 0
    refunds: list[Refund] = []
    paid_with: list[TenderAmounts] = []
    ledger_entries: int = 0
    passed_on: dict[str, int] = {}
    exchange: Exchange | None = None
    sources: list[Source] = []
    exchanges: list[Exchange] = []
    refused_exchanges: list[str] = []
    exchange_count: int = 0
    is_disputed: bool = False
    failed_mail: str | None = None
    sealed_email: str | None = None
    contact_until: datetime | None = None
    was_guests: bool = False
    mailings: list[Mailing] = []
    tickets: list[Ticket] = []
    tickets_valid_until: datetime | None = None
    transfers: list[Transfer] = []
    history: list[StateChange] = []

    @property
    def page(self) -> str:
        """The path of the booking's page."""
        return f"bookings/{self.id}"

    @property
    def seat_ids(self) -> list[str]:
        """The ids of the seats, in the hold's order."""
        return [seat.seat_id for seat in self.seats]

    @property
    def tax(self) -> int | None:
        """The tax that the price includes in minor units; None if unknown."""
        return total_of(line.tax for line in self.lines) if self.lines else None

    @property
    def kept_lines(self) -> list[OrderLine]:
        """The lines whose tickets were neither cancelled nor exchanged."""
        return [line for line in self.lines if line.is_kept]

    @property
    def valid_tickets(self) -> list[Ticket]:
        """The tickets that admit the customer's party."""
        if self.state is not State.CONFIRMED:
            return []
        valid = {line.seat.seat_id for line in self.lines if line.status == "valid"}
        return [ticket for ticket in self.tickets if ticket.seat.seat_id in valid]

    @property
    def is_reachable(self) -> bool:
        """Whether there is an address for mails about changes of the showtime."""
        return self.email is not None or self.sealed_email is not None

    @property
    def tenders(self) -> list[Tender]:
        """How the booking was paid; empty for a free or unpaid one."""
        if self.state not in (State.CONFIRMED, State.REFUNDING, State.REFUNDED, State.EXCHANGED):
            return []
        moved = sum(part.amount for exchange in self.exchanges for part in exchange.sources)
        moved_own = sum(
            part.amount for exchange in self.exchanges for part in exchange.sources if part.booking_id == self.id
        )
        carried = sum(source.amount for source in self.sources)
        refunded = self._refunded_on_sources
        passed_on = sum(self.passed_on.values())
        own = [Tender(**tender.model_dump()) for tender in self.paid_with]
        if own:  # payment's sums contain what was refunded for later bookings, so this has not moved any more
            moved_left = moved_own - passed_on
            for tender in reversed(own):
                tender.moved = min(moved_left, max(0, tender.captured - tender.refunded))
                moved_left -= tender.moved
        else:
            own = [
                Tender(kind="card", captured=self.due or 0, refunded=self.refunded_amount - passed_on, moved=moved_own)
            ]
        exchanged = Tender(kind="exchange", captured=carried, refunded=refunded, moved=moved - moved_own)
        return [tender for tender in [exchanged, *own] if tender.captured]

    @property
    def due(self) -> int | None:
        """What the customer pays for the booking: its price, less the value of the tickets that it replaces."""
        if self.amount is None or self.exchange is None:
            return self.amount
        return self.amount - self.exchange.carried - self.exchange.waived

    @property
    def source_refunds(self) -> list[Refund]:
        """The refunds that paid back money on the payments of the bookings that it replaces."""
        return [refund for refund in self.refunds if refund.payment_id and refund.paid_back]

    @property
    def _refunded_on_sources(self) -> int:
        return sum(refund.paid_back for refund in self.source_refunds)

    @property
    def refunded(self) -> int:
        """What was refunded for the booking, on all payments."""
        passed_on = sum(self.passed_on.values())
        return max(0, self.refunded_amount - passed_on) + self._refunded_on_sources

    @property
    def is_moved_far(self) -> bool:
        """Whether the showtime now begins at another time than the customer booked, by more than MOVED_FAR."""
        if self.screening is None or self.booked_starts_at is None:
            return False
        return abs(self.screening.starts_at - self.booked_starts_at) > MOVED_FAR

    @property
    def choice_until(self) -> datetime | None:
        """Until when the customer can choose a full refund because the showtime was moved far; None if not at all."""
        return self.screening.starts_at if self.screening and self.is_moved_far else None

    @property
    def was_cancelled_by_quote(self) -> bool:
        """Whether the customer or staff cancelled the last tickets by a quote, so that their seats await the refund."""
        return any(change.event == CancelTickets.__name__ for change in self.history)

    @property
    def open_refunds(self) -> list[Refund]:
        """The refunds that booking has requested and payment has not settled."""
        own = [refund for refund in self.refunds if refund.is_requested]
        if not own and self.state is State.REFUNDING and self.refund_amount is not None:  # from before 2026-12
            facts = {"refund_id": f"{self.id}-refund", "amount": self.refund_amount, "at": self.opened_at}
            own = [Refund(state="requested", **facts)]
        return [refund for refund in own if refund.state == "requested"]


@dataclass(frozen=True)
class Order:
    """A customer's order: ticket type by seat id, the recipient of the tickets, and sorted promotion codes."""

    ticket_types: dict[str, str]
    email: str
    name: str | None = None
    locale: str = "en"
    promotion_codes: Sequence[str] = ()


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
    refund_policy: RefundPolicy | None
    exchange: Exchange | None = None
    exchange_count: int = 0
    promotions: Sequence[AppliedPromotion] = ()
    uses_id: str | None = None

    @property
    def amount(self) -> int:
        """The total price in minor units."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True)
class Cancel:
    """Command: cancel the booking."""

    by: Literal["by_customer", "by_staff"]


@dataclass(frozen=True)
class CancelTickets:
    """Command: cancel the tickets of these seats and return these amounts in minor units, as quoted.

    `note` is the reason that staff gave.
    """

    refunds: Mapping[str, int]
    by: Literal["by_customer", "by_staff"]
    quote_id: str
    note: str | None = None
    refund_to: RefundTo = "card"

    @property
    def amount(self) -> int:
        """The sum to refund."""
        return sum(self.refunds.values())


@dataclass(frozen=True)
class RetryRefund:
    """Command: request a failed refund again, under a new id."""

    refund_id: str
    new_id: str


@dataclass(frozen=True)
class ExchangeTickets:
    """Command for the earlier booking: its tickets of `exchange` are void, and the new booking's are valid."""

    exchange: Exchange


@dataclass(frozen=True)
class ExchangeMade:
    """Command for the new booking: the earlier tickets are void, and their value is on these payments.

    If the exchange was of the whole booking, its entry in calendars becomes that of the new one: `calendar_id`, which
    has changed `moves` times.
    """

    sources: list[Source]
    calendar_id: str | None = None
    moves: int = 0


@dataclass(frozen=True)
class ExchangeRefused:
    """Command for the new booking: the earlier tickets can no longer be exchanged."""


@dataclass(frozen=True)
class DeadlinePassed:
    """Command of the timer: the booking's `due_at` has passed."""


def is_same_order(booking: Booking, order: Order) -> bool:
    """Whether the booking was checked out with exactly this order."""
    ordered = {line.seat.seat_id: line.ticket_type for line in booking.lines}
    mine = Order(ordered, booking.email or "", booking.name, booking.locale, tuple(booking.promotion_codes))
    return bool(booking.lines) and mine == order


def cancel_refusal(booking: Booking, by: Literal["by_customer", "by_staff"]) -> NotCancellable | None:
    """The reason why the booking cannot be cancelled now, or None.

    Only an unpaid booking can be cancelled, and by staff also one with free tickets. Staff end a paid booking by its
    refund.
    """
    if by == "by_staff" and booking.state is State.CONFIRMED and booking.amount == 0:
        return None
    sentences = {
        **dict.fromkeys((State.CONFIRMING, State.EXCHANGING), "The booking is being confirmed."),
        State.CONFIRMED: "The booking is confirmed. Get a cancellation quote first, then cancel with its quote_id.",
        State.EXPIRED: "The booking has expired.",
        State.EXCHANGED: "The booking was exchanged for another one.",
        State.REFUNDING: "The booking has ended and is being refunded.",
        State.REFUNDED: "The booking has ended and was refunded.",
    }
    sentence = sentences.get(booking.state)
    return NotCancellable(sentence, state=booking.state.value) if sentence else None
