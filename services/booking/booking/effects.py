"""What the saga's rows are made of: their conditions, what an event changes in a booking, what booking then says.

Pure functions; `saga.py` decides when they apply.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from contracts.booking import (
    BookingCancelled,
    BookingRefunded,
    PaymentCancelRequested,
    RefundRequested,
    Ticket,
)
from contracts.catalog import ShowtimeRescheduled
from contracts.envelope import Event
from contracts.errors import RejectedEvent
from contracts.inventory import SeatsSold
from contracts.payment import PaymentFailed, PaymentRefunded

from booking.model import Booking, Checkout, Replaced, State

NUDGE_AFTER = timedelta(minutes=2)
"""How long another service may stay silent before booking says its request again."""

Fields = dict[str, Any]
Issue = Callable[[Booking], list[Ticket]]
REFUND_REASONS = {
    "seats_lost": "seats_lost",
    "showtime_cancelled": "showtime_cancelled",
    "exchanged": "exchange_difference",
}
REASONS_TO_CANCEL = ("by_customer", "by_staff", "showtime_cancelled", "refunded_at_provider")


class UnexpectedEvent(RejectedEvent):
    """An event that cannot happen in the booking's state. Somebody must look at it."""


# ---- conditions: (booking, event, now) -> whether the row applies


def is_free(booking: Booking, _: object, __: datetime) -> bool:
    return booking.amount == 0


def is_forgotten(booking: Booking, _: object, __: datetime) -> bool:
    return booking.email is None


def is_due(booking: Booking, _: object, now: datetime) -> bool:
    return booking.due_at is not None and now >= booking.due_at


def is_moved(booking: Booking, change: ShowtimeRescheduled, _: datetime) -> bool:
    return booking.screening is not None and change.starts_at != booking.screening.starts_at


def is_retimed(booking: Booking, change: ShowtimeRescheduled, now: datetime) -> bool:
    ends_otherwise = booking.screening is not None and change.ends_at != booking.screening.ends_at
    return ends_otherwise or is_moved(booking, change, now)


def is_given_up(booking: Booking, _: object, __: datetime) -> bool:
    return booking.ending in REASONS_TO_CANCEL


def showtime_is_cancelled(booking: Booking, _: object, __: datetime) -> bool:
    return booking.ending == "showtime_cancelled"


def is_whole_refund(_: Booking, refund: PaymentRefunded, __: datetime) -> bool:
    return refund.refunded >= refund.captured


def completes_refund(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    return refund.refund_id == refund_id(booking) or is_whole_refund(booking, refund, now)


def costs_less(booking: Booking, successor: Replaced, _: datetime) -> bool:
    return successor.amount < (booking.amount or 0)


# ---- what an event changes in the booking, besides its state


def begun(checkout: Checkout, now: datetime) -> Booking:
    """The booking that begins with a checkout."""
    hold, order = checkout.hold, checkout.order
    return Booking(
        id=hold.hold_id,
        state=State.AWAITING_PAYMENT,
        holder=hold.holder,
        showtime_id=hold.showtime_id,
        seats=hold.seats,
        opened_at=now,
        expires_at=hold.expires_at,
        lines=checkout.lines,
        amount=checkout.amount,
        currency=checkout.currency,
        email=order.email,
        name=order.name,
        locale=order.locale,
        reference=checkout.reference,
        screening=checkout.screening,
        payment_deadline_at=checkout.payment_deadline_at,
    )


def learn(booking: Booking, event: object, issue: Issue) -> Fields:
    """The fields that the event itself sets. Raises UnexpectedEvent when other seats were sold than the booking's."""
    fields: Fields = {}
    match event:
        case PaymentFailed():
            fields = {"payment_failure": event.code}
        case PaymentRefunded():
            fields = {"refunded_amount": max(booking.refunded_amount, event.refunded)}
        case ShowtimeRescheduled() if booking.screening:
            times = {"starts_at": event.starts_at, "ends_at": event.ends_at}
            moves = booking.moves + (event.starts_at != booking.screening.starts_at)
            fields = {"screening": booking.screening.model_copy(update=times), "moves": moves}
        case SeatsSold():
            if set(event.seats) != set(booking.seat_ids):
                raise UnexpectedEvent(f"booking {booking.id} is for {booking.seat_ids}, sold were {event.seats}")
            fields = {"tickets": issue(booking)}
    return fields


def due_at(booking: Booking, now: datetime) -> datetime | None:
    """When a timer must look at the booking next; None when nothing is outstanding."""
    match booking.state:
        case State.AWAITING_PAYMENT:
            return booking.payment_deadline_at
        case State.CLOSING | State.CONFIRMING | State.REFUNDING:
            return now + NUDGE_AFTER
        case _:
            return None


# ---- what booking says, from the booking as it stands after the step


def say(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> Event:
    """The event of this type about the booking that `trigger` has just changed from `before`: it takes the facts that
    it has fields for, by name.
    """
    facts = vars(booking) | {"booking_id": booking.id, "seats": booking.seat_ids}
    if before.screening:
        facts["previous_starts_at"] = before.screening.starts_at
    return event_type.model_validate(facts | _own_facts(event_type, booking, trigger))


def _own_facts(event_type: type[Event], booking: Booking, trigger: object) -> Fields:
    """What an event calls otherwise than the booking does."""
    if event_type is PaymentCancelRequested:
        return {"reason": "cancelled" if booking.ending in REASONS_TO_CANCEL else booking.ending}
    if event_type is BookingCancelled:
        return {"reason": booking.ending}
    if event_type is RefundRequested:
        reason = REFUND_REASONS.get(booking.ending or "", "cancelled")
        return {"refund_id": refund_id(booking), "amount": booking.refund_amount, "reason": reason}
    if event_type is BookingRefunded:
        return {"amount": booking.refunded_amount}
    if isinstance(trigger, Replaced):
        return {"replaced_by": trigger.by}
    return {}


def refund_id(booking: Booking) -> str:
    """A booking asks for money back at most once, so its own id makes the request unique."""
    return f"{booking.id}-refund"


def to_refund(booking: Booking, trigger: object) -> int:
    """What is to go back, in minor units: for an exchange the difference, otherwise all that has not gone back yet."""
    if isinstance(trigger, Replaced):
        return (booking.amount or 0) - trigger.amount
    return (booking.amount or 0) - booking.refunded_amount
