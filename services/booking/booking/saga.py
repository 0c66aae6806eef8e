"""The saga hold → pay → confirm as one table, and the pure function that walks it.

A row says: in this state, on this event, go there and say that (`why` the booking ends, `when` the row applies). The
first row that fits counts. Where there are rows but none fits, nothing is to be done: a deadline that is not due yet, a
change that is no news.
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
from contracts.inventory import HoldChanged, SaleRejected, SeatsHeld, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded

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
    is_news,
    is_whole_refund,
    showtime_is_cancelled,
)
from booking.model import Booking, Cancel, Checkout, DeadlinePassed, Ending, Passage, Replaced, State

HELD, AWAITING, CLOSING, CONFIRMING, CONFIRMED, REFUNDING, REFUNDED, EXPIRED, CANCELLED, EXCHANGED = State
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
    Step(NONE,       SeatsHeld,           HELD),
    Step(HELD,       HoldChanged,         HELD, when=is_news),
    Step(HELD,       Checkout,            CONFIRMING, (BookingPaid,), when=is_free),
    Step(HELD,       Checkout,            AWAITING,   (PaymentRequested,)),
    Step(HELD,       Cancel,              CANCELLED,  (BookingCancelled,)),
    Step(HELD,       SeatsReleased,       EXPIRED,    (BookingExpired,), "seats_released"),
    Step(HELD,       DeadlinePassed,      EXPIRED,    (BookingExpired,), "deadline", when=is_due),
    Step(HELD,       ShowtimeCancelled,   CANCELLED,  (BookingCancelled,), "showtime_cancelled"),
    Step(HELD,       ShowtimeRescheduled, HELD),  # a checkout under way must look again
    Step(AWAITING,   PaymentSucceeded,    CONFIRMING, (BookingPaid,)),
    Step(AWAITING,   PaymentFailed,       AWAITING),
    Step(AWAITING,   PaymentCancelled,    EXPIRED,    (BookingExpired,), "payment_cancelled"),  # by the provider
    Step(AWAITING,   Cancel,              CLOSING,    (PaymentCancelRequested,)),
    Step(AWAITING,   DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), "deadline", when=is_due),
    Step(AWAITING,   SeatsReleased,       CLOSING,    (PaymentCancelRequested,), "seats_released"),
    Step(AWAITING,   ShowtimeCancelled,   CLOSING,    (PaymentCancelRequested,), "showtime_cancelled"),
    Step(AWAITING,   ShowtimeRescheduled, AWAITING),
    Step(CLOSING,    PaymentCancelled,    CANCELLED,  (BookingCancelled,), when=is_given_up),
    Step(CLOSING,    PaymentCancelled,    EXPIRED,    (BookingExpired,)),
    Step(CLOSING,    PaymentSucceeded,    REFUNDING,  (BookingCancelled, RefundRequested), when=showtime_is_cancelled),
    Step(CLOSING,    PaymentSucceeded,    CONFIRMING, (BookingPaid,)),  # money won the race
    Step(CLOSING,    DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), when=is_due),  # asked once more
    Step(CLOSING,    ShowtimeCancelled,   CLOSING,    (), "showtime_cancelled"),
    Step(CLOSING,    ShowtimeRescheduled, CLOSING),
    Step(EXPIRED,    PaymentSucceeded,    REFUNDING,  (RefundRequested,), when=is_forgotten),  # nobody is left to tell
    Step(EXPIRED,    PaymentSucceeded,    CONFIRMING, (BookingPaid,)),  # late: sold if the seats are still free
    Step(EXPIRED,    ShowtimeCancelled,   CANCELLED,  (), "showtime_cancelled"),  # a late payment goes back
    Step(EXPIRED,    ShowtimeRescheduled, EXPIRED),
    Step(CANCELLED,  PaymentSucceeded,    REFUNDING,  (RefundRequested,)),
    Step(CONFIRMING, SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Step(CONFIRMING, SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Step(CONFIRMING, DeadlinePassed,      CONFIRMING, (BookingPaid,), when=is_due),  # said once more
    Step(CONFIRMING, ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Step(CONFIRMING, ShowtimeRescheduled, CONFIRMING),
    Step(CONFIRMED,  Cancel,              REFUNDING,  (BookingCancelled, RefundRequested)),
    Step(CONFIRMED,  ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Step(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  (BookingRescheduled,), when=is_moved),
    Step(CONFIRMED,  ShowtimeRescheduled, CONFIRMED),  # the same start: a repeat, or only its end moved
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
LIVE = (HELD, AWAITING, CLOSING, CONFIRMING, CONFIRMED)
ENDED = (REFUNDING, REFUNDED, CANCELLED, EXCHANGED)
IGNORED: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    SeatsHeld: (tuple(State), "the booking is open already"),
    HoldChanged: (
        (AWAITING, CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "seats and price are final; inventory itself compares the seats before it pins or sells them",
    ),
    SeatsReleased: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "inventory's answer to what booking said, or a word from before a late sale",
    ),
    SeatsSold: ((CONFIRMED, REFUNDING, REFUNDED, EXCHANGED), "a repeat, or sold while the showtime was cancelled"),
    SaleRejected: ((REFUNDING, REFUNDED), "a repeat, or rejected while the showtime was cancelled"),
    PaymentSucceeded: ((CONFIRMING, CONFIRMED, REFUNDING, REFUNDED, EXCHANGED), "a repeat"),
    PaymentFailed: (
        (CLOSING, CONFIRMING, CONFIRMED, EXPIRED, *ENDED),
        "a late word about an earlier attempt; it undoes nothing",
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
    HoldChanged: ((NONE,), "it overtook seats_held"),
    SeatsReleased: ((NONE,), "it overtook seats_held; should that never come, nothing was opened"),
    SeatsSold: ((NONE,), "it overtook seats_held"),
    SaleRejected: ((NONE,), "it overtook seats_held"),
    PaymentSucceeded: ((NONE,), "it overtook seats_held"),
    PaymentFailed: ((NONE,), "it overtook seats_held"),
    PaymentCancelled: ((NONE,), "it overtook seats_held"),
    PaymentRefunded: ((NONE, AWAITING, CLOSING, CONFIRMING, EXPIRED, CANCELLED), "it overtook payment.succeeded"),
}
"""Events that make sense once the one that they overtook has arrived."""


HISTORY_LENGTH = 50


class WrongAmount(UnexpectedEvent):
    """Other money arrived than the booking's price."""


@dataclass(frozen=True)
class Outcome:
    """The booking after a step, the names of the fields that the step changed, and the events to say."""

    booking: Booking
    changed: frozenset[str]
    events: list[Event]


def advance(booking: Booking | None, event: Trigger, now: datetime, issue: Issue) -> Outcome | None:
    """What the event does to the booking; None when it changes nothing. `issue` makes the tickets of a sold booking.

    Raises NotYet for an event that overtook another one, UnexpectedEvent for one that cannot happen in this state,
    WrongAmount for a payment that is not the booking's price.
    """
    if booking is None and isinstance(event, SeatsHeld):
        return _open(event, now)
    if booking and isinstance(event, PaymentSucceeded):
        _check_amount(booking, event)
    state = booking.state if booking else NONE
    rows = [row for row in STEPS if row.state is state and row.event is type(event)]
    if booking is None or not rows:
        return _without_row(state, event)
    row = next((row for row in rows if row.when is None or row.when(booking, event, now)), None)
    return _take(row, booking, event, now, issue) if row else None


def _open(event: SeatsHeld, now: datetime) -> Outcome:
    booking = effects.opened(event, now)
    fields = {"due_at": effects.due_at(booking, now), "history": [_passage(booking, event, now)]}
    return Outcome(booking.model_copy(update=fields), frozenset(Booking.model_fields), [])


def _check_amount(booking: Booking, event: PaymentSucceeded) -> None:
    paid, due = (event.amount, event.currency), (booking.amount, booking.currency)
    if paid != due:
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
    if to is not booking.state:
        fields["history"] = [*booking.history, _passage(after, event, now)][-HISTORY_LENGTH:]
    after = after.model_copy(update=fields)
    return Outcome(after, frozenset(fields), [effects.say(said, after, event, booking) for said in emits])


def _ending(row: Step, booking: Booking, event: Trigger) -> Ending | None:
    if isinstance(event, Cancel):
        return event.by
    return None if row.to is CONFIRMING else row.why or booking.ending


def _passage(booking: Booking, event: Trigger, now: datetime) -> Passage:
    return Passage(state=booking.state, event=name_of(event), at=now)


def name_of(event: Trigger) -> str:
    """How the history and the logs call a trigger: an event's wire type or a command's name."""
    return event.type if isinstance(event, Event) else type(event).__name__
