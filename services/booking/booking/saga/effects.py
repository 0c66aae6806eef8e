"""The parts of the saga's transitions: conditions, changes of the booking's fields, and the published events.

Pure functions; the table in `table.py` decides when they apply.
"""

from datetime import datetime, timedelta
from typing import Any

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRefunded,
    BookingRefundMade,
    PaymentCancelRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeRescheduled
from contracts.envelope import Event
from contracts.errors import RejectedEvent
from contracts.inventory import SeatsSold
from contracts.payment import PaymentDisputed, PaymentFailed, PaymentRefunded

from booking.model import Booking, Checkout, Replaced, State, issue_tickets, valid_until

REPEAT_AFTER = timedelta(minutes=2)
"""How long booking waits for another service's answer before it publishes its request again."""

REPEAT_DISPUTED_AFTER = timedelta(days=1)
"""The same for a refund that may wait weeks for the end of a dispute. An event reports that end."""

Fields = dict[str, Any]
REFUND_REASONS = {
    "seats_lost": "seats_lost",
    "showtime_cancelled": "showtime_cancelled",
    "exchanged": "exchange_difference",
}
CANCELLATION_REASONS = ("by_customer", "by_staff", "showtime_cancelled", "refunded_at_provider")


class UnexpectedEvent(RejectedEvent):
    """An event that cannot happen in the booking's state. It becomes a dead letter for an operator to examine."""


class WrongAmount(UnexpectedEvent):
    """The paid amount or currency differs from the booking's price."""


# ---- conditions: (booking, event, now) -> whether the transition applies


def is_free(booking: Booking, _: object, __: datetime) -> bool:
    return booking.amount == 0


def is_owner_erased(booking: Booking, _: object, __: datetime) -> bool:
    return booking.email is None


def is_due(booking: Booking, _: object, now: datetime) -> bool:
    return booking.due_at is not None and now >= booking.due_at


def has_new_start(booking: Booking, change: ShowtimeRescheduled, _: datetime) -> bool:
    return booking.screening is not None and change.starts_at != booking.screening.starts_at


def has_new_times(booking: Booking, change: ShowtimeRescheduled, now: datetime) -> bool:
    has_new_end = booking.screening is not None and change.ends_at != booking.screening.ends_at
    return has_new_end or has_new_start(booking, change, now)


def is_cancellation(booking: Booking, _: object, __: datetime) -> bool:
    return booking.ending in CANCELLATION_REASONS


def is_showtime_cancelled(booking: Booking, _: object, __: datetime) -> bool:
    return booking.ending == "showtime_cancelled"


def is_full_refund(_: Booking, refund: PaymentRefunded, __: datetime) -> bool:
    return refund.refunded >= refund.captured


def is_new_refund(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    return refund.refunded > booking.refunded_amount


def is_refund_complete(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    return refund.refund_id == refund_id(booking) or is_full_refund(booking, refund, now)


def is_cheaper(booking: Booking, successor: Replaced, _: datetime) -> bool:
    return successor.amount < (booking.amount or 0)


# ---- changes of the booking's other fields


def new_booking(checkout: Checkout, now: datetime) -> Booking:
    """Create the booking of a checkout."""
    hold, order = checkout.hold, checkout.order
    return Booking(
        id=hold.hold_id,
        state=State.AWAITING_PAYMENT,
        holder=hold.holder,
        showtime_id=hold.showtime_id,
        theater_id=checkout.theater_id,
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


def fields_from(event: object, booking: Booking) -> Fields:
    """Return the fields that the event sets. A sale issues the tickets.

    Raises UnexpectedEvent when the sold seats are not the booking's.
    """
    fields: Fields = {}
    match event:
        case PaymentFailed():
            fields = {"payment_failure": event.code}
        case PaymentRefunded():
            fields = {"refunded_amount": max(booking.refunded_amount, event.refunded)}
        case PaymentDisputed():
            fields = {"is_disputed": event.is_open}
        case ShowtimeRescheduled() if booking.screening:
            times = {"starts_at": event.starts_at, "ends_at": event.ends_at}
            moves = booking.moves + (event.starts_at != booking.screening.starts_at)
            fields = {"screening": booking.screening.model_copy(update=times), "moves": moves}
            if booking.contact_until:
                fields["contact_until"] = event.ends_at
        case SeatsSold():
            if set(event.seats) != set(booking.seat_ids):
                raise UnexpectedEvent(f"booking {booking.id} has seats {booking.seat_ids}, but {event.seats} were sold")
            fields = {"tickets": issue_tickets(booking), "tickets_valid_until": valid_until(booking)}
    return fields


def due_at(booking: Booking, state: State, now: datetime) -> datetime | None:
    """When the timer must process the booking in its new state; None when no deadline or answer is outstanding."""
    match state:
        case State.AWAITING_PAYMENT:
            return booking.payment_deadline_at
        case State.REFUNDING if booking.is_disputed:
            return now + REPEAT_DISPUTED_AFTER
        case State.CLOSING | State.CONFIRMING | State.REFUNDING:
            return now + REPEAT_AFTER
        case _:
            return None


# ---- published events, built from the booking after the transition


def build_event(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> Event:
    """Build an event about the booking that `trigger` changed from `before`.

    The event's fields take the booking's values of the same names, except where the booking has no such field or a
    field of another meaning.
    """
    facts = vars(booking) | {"booking_id": booking.id, "seats": booking.seat_ids}
    if before.screening:
        facts["previous_starts_at"] = before.screening.starts_at
    if event_type is BookingConfirmed:
        facts["tax"] = booking.tax
    elif event_type is PaymentCancelRequested:
        facts["reason"] = "cancelled" if booking.ending in CANCELLATION_REASONS else booking.ending
    elif event_type is BookingCancelled:
        facts["reason"] = booking.ending
    elif event_type is RefundRequested:
        reason = REFUND_REASONS.get(booking.ending or "", "cancelled")
        facts |= {"refund_id": refund_id(booking), "amount": booking.refund_amount, "reason": reason}
    elif event_type is BookingRefunded:
        facts["amount"] = booking.refunded_amount
    elif event_type is BookingRefundMade:
        facts |= {"amount": booking.refunded_amount - before.refunded_amount, "refunded": booking.refunded_amount}
        facts |= {"paid": booking.amount, "reason": booking.ending}
    elif isinstance(trigger, Replaced):
        facts["replaced_by"] = trigger.by
    return event_type.model_validate(facts)


def refund_id(booking: Booking) -> str:
    """The id of the booking's refund. A booking requests at most one refund, so its own id makes this one unique."""
    return f"{booking.id}-refund"


def amount_to_refund(booking: Booking, trigger: object) -> int:
    """The amount to refund in minor units: the difference of an exchange, otherwise all that is not refunded yet."""
    if isinstance(trigger, Replaced):
        return (booking.amount or 0) - trigger.amount
    return (booking.amount or 0) - booking.refunded_amount
