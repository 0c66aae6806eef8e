"""The saga hold → pay → confirm as one table, and the pure function that applies a row.

A row says: in this state, on this event, change to that state and publish these events (`why` the booking ends, `when`
the row applies). The first row that applies counts. If there are rows but none applies, nothing changes: a deadline
that is not due yet, times that the booking has already.
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
    Issue,
    UnexpectedEvent,
    completes_refund,
    costs_less,
    is_due,
    is_forgotten,
    is_free,
    is_given_up,
    is_moved,
    is_retimed,
    is_whole_refund,
    showtime_is_cancelled,
)
from booking.model import Booking, Cancel, Checkout, DeadlinePassed, Ending, Passage, Replaced, State

AWAITING, CLOSING, CONFIRMING, CONFIRMED, REFUNDING, REFUNDED, EXPIRED, CANCELLED, EXCHANGED = State
NONE = None
Trigger = Event | Checkout | Cancel | Replaced | DeadlinePassed


@dataclass(frozen=True)
class Step:
    """One row of the table. `why` stays with the booking as its `ending`."""

    state: State | None
    event: type[Trigger]
    to: State
    emits: tuple[type[Event], ...] = ()
    why: Ending | None = None
    when: Callable[[Booking, Any, datetime], bool] | None = None


# fmt: off
STEPS = (
    Step(NONE,       Checkout,            CONFIRMING, (BookingPaid,), when=is_free),
    Step(NONE,       Checkout,            AWAITING,   (PaymentRequested,)),
    Step(AWAITING,   SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Step(AWAITING,   SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Step(AWAITING,   PaymentFailed,       AWAITING),
    Step(AWAITING,   PaymentCancelled,    EXPIRED,    (BookingExpired,), "payment_cancelled"),  # by the provider
    Step(AWAITING,   Cancel,              CLOSING,    (PaymentCancelRequested,)),
    Step(AWAITING,   DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), "deadline", when=is_due),
    Step(AWAITING,   SeatsReleased,       CLOSING,    (PaymentCancelRequested,), "seats_released"),
    Step(AWAITING,   ShowtimeCancelled,   CLOSING,    (PaymentCancelRequested,), "showtime_cancelled"),
    Step(AWAITING,   ShowtimeRescheduled, AWAITING,   when=is_retimed),
    Step(CLOSING,    PaymentCancelled,    CANCELLED,  (BookingCancelled,), when=is_given_up),
    Step(CLOSING,    PaymentCancelled,    EXPIRED,    (BookingExpired,)),
    Step(CLOSING,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested), when=showtime_is_cancelled),
    Step(CLOSING,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # money won the race
    Step(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), when=is_given_up),
    Step(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Step(CLOSING,    DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), when=is_due),  # asked once more
    Step(CLOSING,    ShowtimeCancelled,   CLOSING,    (), "showtime_cancelled"),
    Step(CLOSING,    ShowtimeRescheduled, CLOSING,    when=is_retimed),
    Step(EXPIRED,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested), "by_customer", is_forgotten),
    Step(EXPIRED,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # late money, and the seats were free
    Step(EXPIRED,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Step(EXPIRED,    ShowtimeCancelled,   CANCELLED,  (), "showtime_cancelled"),  # a late payment goes back
    Step(EXPIRED,    ShowtimeRescheduled, EXPIRED,    when=is_retimed),
    Step(CANCELLED,  SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested)),  # it overtook the end
    Step(CANCELLED,  SaleRejected,        REFUNDING,  (RefundRequested,)),
    Step(CONFIRMING, SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Step(CONFIRMING, SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Step(CONFIRMING, DeadlinePassed,      CONFIRMING, (BookingPaid,), when=is_due),  # published once more
    Step(CONFIRMING, ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Step(CONFIRMING, ShowtimeRescheduled, CONFIRMING, when=is_retimed),
    Step(CONFIRMED,  Cancel,              REFUNDING,  (BookingCancelled, RefundRequested)),
    Step(CONFIRMED,  ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Step(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  (BookingRescheduled,), when=is_moved),
    Step(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  when=is_retimed),  # only its end moved
    Step(CONFIRMED,  Replaced,            EXCHANGED,  (BookingExchanged, RefundRequested), "exchanged", costs_less),
    Step(CONFIRMED,  Replaced,            EXCHANGED,  (BookingExchanged,), "exchanged"),
    Step(CONFIRMED,  PaymentRefunded,     REFUNDED,   (BookingCancelled, BookingRefunded), "refunded_at_provider",
         is_whole_refund),
    Step(CONFIRMED,  PaymentRefunded,     CONFIRMED),  # a part, made at the provider
    Step(REFUNDING,  PaymentRefunded,     REFUNDED,   (BookingRefunded,), when=completes_refund),
    Step(REFUNDING,  PaymentRefunded,     REFUNDING),
    Step(REFUNDING,  DeadlinePassed,      REFUNDING,  (RefundRequested,), when=is_due),  # asked once more
)
# fmt: on

NOWHERE: tuple[tuple[State | None, ...], str] = ((), "")
LIVE = (AWAITING, CLOSING, CONFIRMING, CONFIRMED)
ENDED = (REFUNDING, REFUNDED, CANCELLED, EXCHANGED)
PAID_BY_THE_SALE = (AWAITING, CLOSING, EXPIRED, CANCELLED)
"""Where booking learns from `seats_sold` what was paid. Elsewhere it knew before: the booking is free, or it was paid
when booking still consumed `payment.succeeded` (until 2026-12).
"""
IGNORED: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    SeatsReleased: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "inventory's answer to what booking published, or from before a late sale",
    ),
    SeatsSold: ((CONFIRMED, REFUNDING, REFUNDED, EXCHANGED), "a repeat, or sold while the showtime was cancelled"),
    SaleRejected: (
        (REFUNDING, REFUNDED, EXCHANGED),
        "a repeat, or a second delivery of the payment after the booking has ended",
    ),
    PaymentFailed: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "late news of an earlier attempt; it undoes nothing",
    ),
    PaymentCancelled: ((CONFIRMING, CONFIRMED, EXPIRED, *ENDED), "a repeat, perhaps from before a late payment"),
    PaymentRefunded: ((REFUNDED, EXCHANGED), "a repeat, or the difference of an exchange"),
    ShowtimeCancelled: (ENDED, "the booking has ended before"),
    ShowtimeRescheduled: (ENDED, "the booking has ended before"),
    Replaced: ((EXCHANGED,), "a repeat"),
    Cancel: ((CLOSING, REFUNDING, REFUNDED, CANCELLED), "it is ending or has ended as asked"),
    DeadlinePassed: ((CONFIRMED, REFUNDED, EXPIRED, CANCELLED, EXCHANGED), "the booking moved on before its timer"),
}
"""Events that change nothing in these states, and why that is right."""

EARLY: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    PaymentRefunded: ((AWAITING, CLOSING, CONFIRMING, EXPIRED, CANCELLED), "it overtook the sale"),
}
"""Events that make sense once the event that they overtook has arrived. No event overtakes the checkout: the booking is
in the database before anything about it is published, so an event about an unknown booking is unexpected.
"""


HISTORY_LENGTH = 50


class WrongAmount(UnexpectedEvent):
    """Other money arrived than the booking's price."""


@dataclass(frozen=True)
class Outcome:
    """The booking after a step, the names of the fields that the step changed, and the events to publish."""

    booking: Booking
    changed: frozenset[str]
    events: list[Event]


def advance(booking: Booking | None, event: Trigger, now: datetime, issue: Issue) -> Outcome | None:
    """What the event does to the booking; None when it changes nothing. `issue` makes the tickets of a sold booking.

    Raises NotYet for an event that overtook another one, UnexpectedEvent for one that cannot happen in this state,
    WrongAmount for a sale whose payment is not the booking's price.
    """
    state = booking.state if booking else NONE
    rows = [row for row in STEPS if row.state is state and row.event is type(event)]
    if isinstance(event, Checkout):
        booking = effects.begun(event, now)
    if booking and isinstance(event, SeatsSold):
        _check_amount(booking, event)
    if booking is None or not rows:
        return _without_row(state, event)
    row = next((row for row in rows if row.when is None or row.when(booking, event, now)), None)
    return _take(row, booking, event, now, issue) if row else None


def _check_amount(booking: Booking, sold: SeatsSold) -> None:
    if not sold.amount and booking.state not in PAID_BY_THE_SALE:
        return
    paid, due = (sold.amount, sold.currency), (booking.amount, booking.currency)
    if paid != due or sold.amount is None:
        raise WrongAmount(f"booking {booking.id}: paid {paid}, due {due}")


def _without_row(state: State | None, event: Trigger) -> None:
    """Nothing to do, or why the event cannot be taken."""
    kind = type(event)
    if state in IGNORED.get(kind, NOWHERE)[0]:
        return
    states, reason = EARLY.get(kind, NOWHERE)
    if state in states:
        raise NotYet(f"{name_of(event)} of a booking that is {state}: {reason}")
    raise UnexpectedEvent(f"{name_of(event)} of a booking that is {state}")


def _take(row: Step, booking: Booking, event: Trigger, now: datetime, issue: Issue) -> Outcome:
    fields, to, emits = effects.learn(booking, event, issue), row.to, row.emits
    fields["ending"] = _ending(row, booking, event)
    if RefundRequested in emits and row.state is not REFUNDING:
        fields["refund_amount"] = effects.to_refund(booking, event)
        if fields["refund_amount"] == 0:  # a free booking: the refund is over as it begins
            to, emits = REFUNDED, tuple(BookingRefunded if said is RefundRequested else said for said in emits)
    after = booking.model_copy(update=fields | {"state": to})
    fields |= {"state": to, "due_at": effects.due_at(after, now)}
    if to is not row.state:
        fields["history"] = [*booking.history, _passage(after, event, now)][-HISTORY_LENGTH:]
    after = after.model_copy(update=fields)
    return Outcome(after, frozenset(fields), [effects.say(said, after, event, booking) for said in emits])


def _ending(row: Step, booking: Booking, event: Trigger) -> Ending | None:
    if isinstance(event, Cancel):
        return event.by
    return None if row.to in (CONFIRMING, CONFIRMED) else row.why or booking.ending


def _passage(booking: Booking, event: Trigger, now: datetime) -> Passage:
    return Passage(state=booking.state, event=name_of(event), at=now)


def name_of(event: Trigger) -> str:
    """How the history and the logs call a trigger: an event's wire type or a command's name."""
    return event.type if isinstance(event, Event) else type(event).__name__
