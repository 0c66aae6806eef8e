"""The pure function that applies a row of the saga's table."""

from dataclasses import dataclass
from datetime import datetime

from contracts.booking import BookingRefunded, RefundRequested
from contracts.envelope import Event
from contracts.errors import NotYet
from contracts.inventory import SeatsSold

from booking.model import (
    AcceptTicket,
    Booking,
    Cancel,
    CancelTickets,
    Checkout,
    DeadlinePassed,
    OfferTicket,
    RecallTicket,
    RetryRefund,
    ReturnTicket,
    State,
    StateChange,
    cancelled_lines,
)
from booking.saga import effects
from booking.saga.effects import UnexpectedEvent, WrongAmount
from booking.saga.table import (
    CONFIRMED,
    CONFIRMING,
    EARLY,
    EXCHANGING,
    IGNORED,
    NO_STATES,
    NONE,
    PAID_BY_SALE,
    REFUNDED,
    TRANSITIONS,
    Trigger,
)
from booking.saga.transfers import changed_for_recipients, transferred

HISTORY_LENGTH = 50


@dataclass(frozen=True)
class Outcome:
    """The booking after a transition, the names of the changed fields, and the events to publish."""

    booking: Booking
    changed: frozenset[str]
    events: list[Event]


def advance(before: Booking | None, event: Trigger, now: datetime) -> Outcome | None:
    """Apply the event to the booking; returns None when it changes nothing.

    Raises NotYet when the event overtook another one, UnexpectedEvent when it cannot happen in this state, and
    WrongAmount when the paid amount is not the booking's price.
    """
    state = before.state if before else NONE
    rows = [row for row in TRANSITIONS if row.state is state and row.event is type(event)]
    if before and isinstance(event, SeatsSold) and (event.amount or state in PAID_BY_SALE):
        paid, due = (event.amount, event.currency), (before.due, before.currency)
        if paid != due or event.amount is None:
            raise WrongAmount(f"booking {before.id}: paid {paid}, due {due}")
    booking = effects.new_booking(event, now) if isinstance(event, Checkout) else before
    if booking is None or not rows:
        return _check_unlisted(state, event)
    row = next((row for row in rows if row.when is None or row.when(booking, event, now)), None)
    if row is None:
        return None

    is_transfer = isinstance(event, OfferTicket | RecallTicket | AcceptTicket | ReturnTicket)
    fields = transferred(booking, event, now) if is_transfer else effects.fields_from(event, booking, now)
    to, emits = row.to, row.emits
    if isinstance(event, Cancel) or (isinstance(event, CancelTickets) and to is not CONFIRMED):
        fields["ending"] = event.by
    else:
        is_alive = to in (CONFIRMING, CONFIRMED) or (to is EXCHANGING and to is not row.state)
        fields["ending"] = None if is_alive else row.end_reason or booking.ending
    if isinstance(event, CancelTickets) or (
        RefundRequested in emits and not isinstance(event, DeadlinePassed | RetryRefund)
    ):
        before_exchange = {"exchanges": booking.exchanges}  # its refund comes before what the new booking takes over
        fields |= effects.refund_fields(booking.model_copy(update=fields | before_exchange), event, now)
        amount = sum(refund.amount for refund in fields["refunds"][len(booking.refunds) :])
        fields["refund_amount"] = booking.refund_amount if to is CONFIRMED else amount
        if amount == 0 and not isinstance(event, CancelTickets):
            # Nothing to refund, so the refund is already complete.
            to, emits = REFUNDED, tuple(BookingRefunded if kind is RefundRequested else kind for kind in emits)
    if row.state is CONFIRMED and to is REFUNDED:  # everything was refunded at the provider
        fields.setdefault("lines", cancelled_lines(booking.lines, None))
    fields |= {"state": to, "due_at": effects.due_at(booking.model_copy(update=fields), to, now)}
    if to is not row.state:
        change = StateChange(state=to, event=name_of(event), at=now)
        fields["history"] = [*booking.history, change][-HISTORY_LENGTH:]
    if booking.promotions and ("lines" in fields or to is not row.state):
        fields["has_open_uses"] = True
    after = booking.model_copy(update=fields)
    events = [each for kind in emits for each in effects.build_events(kind, after, event, booking)]
    return Outcome(after, frozenset(fields), [*events, *changed_for_recipients(booking, after)])


def _check_unlisted(state: State | None, event: Trigger) -> None:
    """Return if the event is ignored in this state. Raises NotYet or UnexpectedEvent otherwise."""
    kind = type(event)
    if state in IGNORED.get(kind, NO_STATES)[0]:
        return
    states, reason = EARLY.get(kind, NO_STATES)
    if state in states:
        raise NotYet(f"{name_of(event)} for a booking in state {state}: {reason}")
    raise UnexpectedEvent(f"{name_of(event)} for a booking in state {state}")


def name_of(event: Trigger) -> str:
    """The name of a trigger in histories and logs: an event's wire type or a command's class name."""
    return event.type if isinstance(event, Event) else type(event).__name__
