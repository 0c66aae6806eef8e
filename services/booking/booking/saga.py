"""The saga hold → pay → confirm as one table, and the pure function that applies a row.

A row means: in this state, on this event, change to that state and publish these events. `end_reason` is why the
booking ends, `when` a condition. The first row whose condition is true applies. When rows exist but none applies,
nothing changes, for example for a deadline that is not due yet or times that the booking already has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingRescheduled,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.envelope import Event
from contracts.errors import NotYet
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded

from booking import effects
from booking.effects import (
    TicketIssuer,
    UnexpectedEvent,
    has_new_start,
    has_new_times,
    is_cancellation,
    is_cheaper,
    is_due,
    is_free,
    is_full_refund,
    is_owner_erased,
    is_refund_complete,
    is_showtime_cancelled,
)
from booking.model import Booking, Cancel, Checkout, DeadlinePassed, EndReason, Replaced, State, StateChange

AWAITING, CLOSING, CONFIRMING, CONFIRMED, REFUNDING, REFUNDED, EXPIRED, CANCELLED, EXCHANGED = State
NONE = None
Trigger = Event | Checkout | Cancel | Replaced | DeadlinePassed


@dataclass(frozen=True)
class Transition:
    """One row of the table. `end_reason` becomes the booking's `ending`."""

    state: State | None
    event: type[Trigger]
    to: State
    emits: tuple[type[Event], ...] = ()
    end_reason: EndReason | None = None
    when: Callable[[Booking, Any, datetime], bool] | None = None


# fmt: off
TRANSITIONS = (
    Transition(NONE,       Checkout,            CONFIRMING, (BookingPaid,), when=is_free),
    Transition(NONE,       Checkout,            AWAITING,   (PaymentRequested,)),
    Transition(AWAITING,   SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Transition(AWAITING,   SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(AWAITING,   PaymentFailed,       AWAITING),
    Transition(AWAITING,   PaymentCancelled,    EXPIRED,    (BookingExpired,), "payment_cancelled"),  # by the provider
    Transition(AWAITING,   Cancel,              CLOSING,    (PaymentCancelRequested,)),
    Transition(AWAITING,   DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), "deadline", when=is_due),
    Transition(AWAITING,   SeatsReleased,       CLOSING,    (PaymentCancelRequested,), "seats_released"),
    Transition(AWAITING,   ShowtimeCancelled,   CLOSING,    (PaymentCancelRequested,), "showtime_cancelled"),
    Transition(AWAITING,   ShowtimeRescheduled, AWAITING,   when=has_new_times),
    Transition(CLOSING,    PaymentCancelled,    CANCELLED,  (BookingCancelled,), when=is_cancellation),
    Transition(CLOSING,    PaymentCancelled,    EXPIRED,    (BookingExpired,)),
    Transition(CLOSING,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested),
               when=is_showtime_cancelled),
    Transition(CLOSING,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # the payment won the race
    Transition(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), when=is_cancellation),
    Transition(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(CLOSING,    DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), when=is_due),  # a repeat
    Transition(CLOSING,    ShowtimeCancelled,   CLOSING,    (), "showtime_cancelled"),
    Transition(CLOSING,    ShowtimeRescheduled, CLOSING,    when=has_new_times),
    Transition(EXPIRED,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested), "by_customer",
               is_owner_erased),
    Transition(EXPIRED,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # late payment, seats still free
    Transition(EXPIRED,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(EXPIRED,    ShowtimeCancelled,   CANCELLED,  (), "showtime_cancelled"),  # refunds a late payment
    Transition(EXPIRED,    ShowtimeRescheduled, EXPIRED,    when=has_new_times),
    Transition(CANCELLED,  SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested)),  # a late sale
    Transition(CANCELLED,  SaleRejected,        REFUNDING,  (RefundRequested,)),
    Transition(CONFIRMING, SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Transition(CONFIRMING, SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(CONFIRMING, DeadlinePassed,      CONFIRMING, (BookingPaid,), when=is_due),  # a repeat
    Transition(CONFIRMING, ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Transition(CONFIRMING, ShowtimeRescheduled, CONFIRMING, when=has_new_times),
    Transition(CONFIRMED,  Cancel,              REFUNDING,  (BookingCancelled, RefundRequested)),
    Transition(CONFIRMED,  ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Transition(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  (BookingRescheduled,), when=has_new_start),
    Transition(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  when=has_new_times),  # only the end changed
    Transition(CONFIRMED,  Replaced,            EXCHANGED,  (BookingExchanged, RefundRequested), "exchanged",
               is_cheaper),
    Transition(CONFIRMED,  Replaced,            EXCHANGED,  (BookingExchanged,), "exchanged"),
    Transition(CONFIRMED,  PaymentRefunded,     REFUNDED,   (BookingCancelled, BookingRefunded), "refunded_at_provider",
               is_full_refund),
    Transition(CONFIRMED,  PaymentRefunded,     CONFIRMED),  # a partial refund made at the provider
    Transition(REFUNDING,  PaymentRefunded,     REFUNDED,   (BookingRefunded,), when=is_refund_complete),
    Transition(REFUNDING,  PaymentRefunded,     REFUNDING),
    Transition(REFUNDING,  DeadlinePassed,      REFUNDING,  (RefundRequested,), when=is_due),  # a repeat
)
# fmt: on

NO_STATES: tuple[tuple[State | None, ...], str] = ((), "")
LIVE = (AWAITING, CLOSING, CONFIRMING, CONFIRMED)
ENDED = (REFUNDING, REFUNDED, CANCELLED, EXCHANGED)
PAID_BY_SALE = (AWAITING, CLOSING, EXPIRED, CANCELLED)
"""States in which `seats_sold` must contain the paid amount. In the others booking already knows it: the booking is
free, or it was paid when booking still consumed `payment.succeeded` (until 2026-12).
"""
IGNORED: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    SeatsReleased: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "inventory's answer to an event of booking, or older than a late sale",
    ),
    SeatsSold: (
        (CONFIRMED, REFUNDING, REFUNDED, EXCHANGED),
        "a repeat, or a sale at the same time as the showtime's cancellation",
    ),
    SaleRejected: (
        (REFUNDING, REFUNDED, EXCHANGED),
        "a repeat, or a second delivery of the payment after the booking has ended",
    ),
    PaymentFailed: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "a late event about an earlier attempt, which changes nothing",
    ),
    PaymentCancelled: ((CONFIRMING, CONFIRMED, EXPIRED, *ENDED), "a repeat, possibly older than a late payment"),
    PaymentRefunded: ((REFUNDED, EXCHANGED), "a repeat, or the difference of an exchange"),
    ShowtimeCancelled: (ENDED, "the booking has already ended"),
    ShowtimeRescheduled: (ENDED, "the booking has already ended"),
    Replaced: ((EXCHANGED,), "a repeat"),
    Cancel: ((CLOSING, REFUNDING, REFUNDED, CANCELLED), "the booking is ending or has already ended"),
    DeadlinePassed: ((CONFIRMED, REFUNDED, EXPIRED, CANCELLED, EXCHANGED), "the state changed before the timer fired"),
}
"""Events that change nothing in these states, with the reason."""

EARLY: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    PaymentRefunded: ((AWAITING, CLOSING, CONFIRMING, EXPIRED, CANCELLED), "the refund overtook the sale"),
}
"""Events that become valid once the event that they overtook has arrived. No event can overtake the checkout, because
the booking is stored before any event about it is published; so an event about an unknown booking is unexpected.
"""


HISTORY_LENGTH = 50


class WrongAmount(UnexpectedEvent):
    """The paid amount or currency differs from the booking's price."""


@dataclass(frozen=True)
class Outcome:
    """The booking after a transition, the names of the changed fields, and the events to publish."""

    booking: Booking
    changed: frozenset[str]
    events: list[Event]


def advance(booking: Booking | None, event: Trigger, now: datetime, issue: TicketIssuer) -> Outcome | None:
    """Apply the event to the booking; returns None when it changes nothing. `issue` creates a sold booking's tickets.
    Raises NotYet when the event overtook another one, UnexpectedEvent when it cannot happen in this state, and
    WrongAmount when the paid amount is not the booking's price.
    """
    state = booking.state if booking else NONE
    rows = [row for row in TRANSITIONS if row.state is state and row.event is type(event)]
    if isinstance(event, Checkout):
        booking = effects.new_booking(event, now)
    if booking and isinstance(event, SeatsSold):
        _check_amount(booking, event)
    if booking is None or not rows:
        return _check_unlisted(state, event)
    row = next((row for row in rows if row.when is None or row.when(booking, event, now)), None)
    return _apply(row, booking, event, now, issue) if row else None


def _check_amount(booking: Booking, sold: SeatsSold) -> None:
    if not sold.amount and booking.state not in PAID_BY_SALE:
        return
    paid, due = (sold.amount, sold.currency), (booking.amount, booking.currency)
    if paid != due or sold.amount is None:
        raise WrongAmount(f"booking {booking.id}: paid {paid}, due {due}")


def _check_unlisted(state: State | None, event: Trigger) -> None:
    """Return if the event is ignored in this state. Raises NotYet or UnexpectedEvent otherwise."""
    kind = type(event)
    if state in IGNORED.get(kind, NO_STATES)[0]:
        return
    states, reason = EARLY.get(kind, NO_STATES)
    if state in states:
        raise NotYet(f"{name_of(event)} for a booking in state {state}: {reason}")
    raise UnexpectedEvent(f"{name_of(event)} for a booking in state {state}")


def _apply(row: Transition, booking: Booking, event: Trigger, now: datetime, issue: TicketIssuer) -> Outcome:
    fields, to, emits = effects.apply_event(booking, event, issue), row.to, row.emits
    fields["ending"] = _end_reason(row, booking, event)
    if RefundRequested in emits and row.state is not REFUNDING:
        fields["refund_amount"] = effects.amount_to_refund(booking, event)
        if fields["refund_amount"] == 0:  # nothing to refund, so the refund is already complete
            to, emits = REFUNDED, tuple(BookingRefunded if kind is RefundRequested else kind for kind in emits)
    after = booking.model_copy(update=fields | {"state": to})
    fields |= {"state": to, "due_at": effects.due_at(after, now)}
    if to is not row.state:
        fields["history"] = [*booking.history, _state_change(after, event, now)][-HISTORY_LENGTH:]
    after = after.model_copy(update=fields)
    return Outcome(after, frozenset(fields), [effects.build_event(kind, after, event, booking) for kind in emits])


def _end_reason(row: Transition, booking: Booking, event: Trigger) -> EndReason | None:
    if isinstance(event, Cancel):
        return event.by
    return None if row.to in (CONFIRMING, CONFIRMED) else row.end_reason or booking.ending


def _state_change(booking: Booking, event: Trigger, now: datetime) -> StateChange:
    return StateChange(state=booking.state, event=name_of(event), at=now)


def name_of(event: Trigger) -> str:
    """The name of a trigger in histories and logs: an event's wire type or a command's class name."""
    return event.type if isinstance(event, Event) else type(event).__name__
