"""The parts of the saga's transitions: conditions, changes of the booking's fields, and the published events.

Pure functions; the table in `table.py` decides when they apply.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRefunded,
    BookingRefundFailed,
    BookingRefundMade,
    BookingSeatsReturned,
    BookingTicketsCancelled,
    PaymentCancelRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeRescheduled
from contracts.envelope import Event
from contracts.errors import RejectedEvent
from contracts.inventory import SeatsSold
from contracts.payment import PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentRefundFailed

from booking.model import (
    Booking,
    CancelTickets,
    Checkout,
    DeadlinePassed,
    Refund,
    RefundReason,
    Replaced,
    RetryRefund,
    State,
    cancelled_lines,
    issue_tickets,
    owed_of,
    refundable,
    split,
    total_of,
    valid_until,
)

REPEAT_AFTER = timedelta(minutes=2)
"""How long booking waits for another service's answer before it publishes its request again."""

REPEAT_DISPUTED_AFTER = timedelta(days=1)
"""The same for a refund that may wait weeks for the end of a dispute. An event reports that end."""

Fields = dict[str, Any]
REFUND_REASONS: dict[str, RefundReason] = {
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


def cancels_all(booking: Booking, command: CancelTickets, _: datetime) -> bool:
    return all(line.seat.seat_id in command.refunds for line in booking.kept_lines)


def cancels_all_without_refund(booking: Booking, command: CancelTickets, now: datetime) -> bool:
    is_last = has_no_refund(booking, command, now) and cancels_all(booking, command, now) and not booking.open_refunds
    return is_last and not any(refund.must_be_repeated for refund in booking.refunds)


def has_no_refund(_: Booking, command: CancelTickets, __: datetime) -> bool:
    return command.amount == 0


def is_latest(booking: Booking, refund: PaymentRefunded | PaymentRefundFailed) -> bool:
    """Whether no later event about the account has arrived. Events from before 2026-12 have no order but their sum."""
    if refund.ledger_entries is None:
        return refund.refunded > booking.refunded_amount
    return refund.ledger_entries >= booking.ledger_entries


def is_full_refund(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    """Whether everything was refunded by others, and not only because all tickets that are left are free.

    A refund that booking requested ends only its own tickets, even if a goodwill refund makes the sum complete.
    """
    is_all = refund.refunded >= refund.captured and is_latest(booking, refund) and not refund.requested
    return is_all and any(line.amount for line in booking.kept_lines)


def is_new_refund(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    return is_latest(booking, refund) and refund.refunded > booking.refunded_amount


def settles_refund(booking: Booking, refund: PaymentRefunded | PaymentRefundFailed, now: datetime) -> bool:
    """Whether the event changes the state of a refund."""
    return with_refund(booking, refund, now) != booking.refunds


def returns_seats(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    return any(each.refund_id == refund.refund_id and each.seats for each in booking.open_refunds)


def is_refund_complete(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    """Whether nothing else has to be refunded after this event."""
    if refund.refunded >= refund.captured and is_latest(booking, refund):
        return True
    is_own = any(each.refund_id == refund.refund_id for each in booking.open_refunds)
    after = with_refund(booking, refund, now)
    return is_own and not any(each.must_be_repeated or each.state == "requested" for each in after)


def completes_cancellation(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    return booking.was_cancelled_by_quote and is_refund_complete(booking, refund, now)


def has_failed(booking: Booking, command: RetryRefund, _: datetime) -> bool:
    return any(each.refund_id == command.refund_id and each.must_be_repeated for each in booking.refunds)


def is_refund_due(booking: Booking, command: object, now: datetime) -> bool:
    return is_due(booking, command, now) and bool(booking.open_refunds)


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
        refund_policy=checkout.refund_policy,
    )


def fields_from(event: object, booking: Booking, now: datetime) -> Fields:
    """Return the fields that the event sets. A sale issues the tickets.

    Raises UnexpectedEvent when the sold seats are not the booking's.
    """
    fields: Fields = {}
    match event:
        case PaymentFailed():
            fields = {"payment_failure": event.code}
        case PaymentRefunded() | PaymentRefundFailed():
            fields = {"refunds": with_refund(booking, event, now)}
            if is_latest(booking, event):
                entries = event.ledger_entries or booking.ledger_entries
                fields |= {"refunded_amount": event.refunded, "ledger_entries": entries}
        case CancelTickets():
            fields = {"lines": cancelled_lines(booking.lines, event.refunds)}
        case Replaced():
            lines = [
                line.model_copy(update={"status": "exchanged"}) if line.is_kept else line for line in booking.lines
            ]
            fields = {"lines": lines}
        case RetryRefund():
            fields = {"refunds": _with_repeat(booking, event, now)}
        case PaymentDisputed():
            fields = {"is_disputed": event.is_open}
        case ShowtimeRescheduled() if booking.screening:
            times = {"starts_at": event.starts_at, "ends_at": event.ends_at}
            fields = {"screening": booking.screening.model_copy(update=times)}
            if event.starts_at != booking.screening.starts_at:
                booked_starts_at = booking.booked_starts_at or booking.screening.starts_at
                fields |= {"moves": booking.moves + 1, "booked_starts_at": booked_starts_at}
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
        case State.CLOSING | State.CONFIRMING:
            return now + REPEAT_AFTER
        case State.CONFIRMED | State.REFUNDING if booking.open_refunds:
            return now + (REPEAT_DISPUTED_AFTER if booking.is_disputed else REPEAT_AFTER)
        case _:
            return None


def with_refund(booking: Booking, event: PaymentRefunded | PaymentRefundFailed, now: datetime) -> list[Refund]:
    """The booking's refunds after payment's event about one of them. A refund's state only moves forward."""
    state = "accepted" if isinstance(event, PaymentRefunded) else "failed"
    settled = {"amount": event.amount, "state": state, "settled_at": now}
    known = next((each for each in booking.refunds if each.refund_id == event.refund_id), None)
    if known is None:
        new = Refund(refund_id=event.refund_id, is_requested=event.requested, at=now, **settled)
        return [*booking.refunds, new]
    if known.state in {state, "failed"}:
        return booking.refunds
    return [each.model_copy(update=settled) if each is known else each for each in booking.refunds]


def _with_repeat(booking: Booking, command: RetryRefund, now: datetime) -> list[Refund]:
    """The refunds with a new one in place of a failed one, which stays: a late event about it must not count."""
    failed = next(each for each in booking.refunds if each.refund_id == command.refund_id)
    facts = {"amount": owed_of(booking, failed), "state": "requested", "at": now, "settled_at": None}
    again = {"refund_id": command.new_id} | facts
    old = failed.model_copy(update={"repeated_as": command.new_id})
    return [*(old if each is failed else each for each in booking.refunds), failed.model_copy(update=again)]


def refund_fields(booking: Booking, event: object, now: datetime) -> Fields:
    """The fields that request the refund of a booking that ends, or of the tickets that a command cancels."""
    shares: Mapping[str, int] = {}
    reason: RefundReason
    match event:
        case CancelTickets():
            amount, shares, reason = event.amount, event.refunds, "cancelled"
        case Replaced():
            amount, reason = (booking.amount or 0) - event.amount, "exchange_difference"
        case _:
            lines = booking.kept_lines
            amount = min(sum(line.amount for line in lines), refundable(booking))
            parts = split(amount, [line.amount for line in lines])
            shares = {line.seat.seat_id: part for line, part in zip(lines, parts, strict=True)}
            reason = REFUND_REASONS.get(booking.ending or "", "cancelled")
    refund = Refund(
        refund_id=refund_id(booking),
        amount=amount,
        state="requested" if amount else "accepted",
        reason=reason,
        seats=list(event.refunds) if isinstance(event, CancelTickets) else [],
        quote_id=event.quote_id if isinstance(event, CancelTickets) else None,
        note=event.note if isinstance(event, CancelTickets) else None,
        at=now,
        settled_at=None if amount else now,
    )
    lines = cancelled_lines(booking.lines, shares) if shares else booking.lines
    return {"refunds": [*booking.refunds, refund], "lines": lines}


# ---- published events, built from the booking after the transition


def build_events(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> list[Event]:
    """Build the events of a type about the booking that `trigger` changed from `before`.

    There is one, except for refunds that are requested again: one for each that payment has not settled.
    """
    if event_type is not RefundRequested:
        return [build_event(event_type, booking, trigger, before)]
    known = {refund.refund_id for refund in before.refunds}
    is_repeat = isinstance(trigger, DeadlinePassed)
    wanted = [refund for refund in booking.open_refunds if is_repeat or refund.refund_id not in known]
    return [_refund_request(booking, refund) for refund in wanted]


def _refund_request(booking: Booking, refund: Refund) -> RefundRequested:
    return RefundRequested(
        booking_id=booking.id,
        refund_id=refund.refund_id,
        amount=refund.amount,
        currency=booking.currency or "",
        reason=refund.reason or REFUND_REASONS.get(booking.ending or "", "cancelled"),
    )


def build_event(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> Event:
    """Build an event about the booking that `trigger` changed from `before`.

    The event's fields take the booking's values of the same names, except where the booking has no such field or a
    field of another meaning.
    """
    facts = vars(booking) | {"booking_id": booking.id, "seats": booking.seat_ids}
    if before.screening:
        facts["previous_starts_at"] = before.screening.starts_at
    if event_type is BookingConfirmed:
        facts |= {"tickets": booking.valid_tickets, "tax": total_of(line.tax for line in booking.kept_lines)}
        facts["amount"] = sum(line.amount for line in booking.kept_lines)
    elif event_type is PaymentCancelRequested:
        facts["reason"] = "cancelled" if booking.ending in CANCELLATION_REASONS else booking.ending
    elif event_type is BookingCancelled:
        facts["reason"] = booking.ending
        if booking.was_cancelled_by_quote:
            facts["refund_amount"] = None  # the mail is about `booking.tickets_cancelled`
    elif event_type is BookingTicketsCancelled and isinstance(trigger, CancelTickets):
        facts["seats"] = [line.seat for line in booking.lines if line.seat.seat_id in trigger.refunds]
        facts["remaining"] = [line.seat for line in booking.kept_lines]
        facts |= {"reason": trigger.by, "refund_id": booking.refunds[-1].refund_id, "refund_amount": trigger.amount}
    elif event_type is BookingSeatsReturned:
        facts["seats"] = _refunded_seats(trigger, booking)
    elif event_type is BookingRefundFailed and isinstance(trigger, PaymentRefundFailed):
        facts |= {"refund_id": trigger.refund_id, "amount": trigger.amount}
    elif event_type is BookingRefunded:
        facts["amount"] = booking.refunded_amount
    elif event_type is BookingRefundMade:
        facts |= {"amount": max(0, booking.refunded_amount - before.refunded_amount)}
        if isinstance(trigger, PaymentRefunded):
            facts["refund_id"] = trigger.refund_id
        facts |= {"refunded": booking.refunded_amount, "paid": booking.amount, "reason": booking.ending}
        seat_ids = _refunded_seats(trigger, booking)
        facts["seats"] = [line.seat for line in booking.lines if line.seat.seat_id in seat_ids]
    elif isinstance(trigger, Replaced):
        facts["replaced_by"] = trigger.by
    return event_type.model_validate(facts)


def _refunded_seats(trigger: object, booking: Booking) -> list[str]:
    """The seats of the tickets that a command cancels, or that payment has refunded."""
    match trigger:
        case CancelTickets():
            return list(trigger.refunds)
        case PaymentRefunded():
            return next((each.seats for each in booking.refunds if each.refund_id == trigger.refund_id), [])
        case _:
            return []


def refund_id(booking: Booking) -> str:
    """The id of the booking's next refund: a booking's refunds are numbered."""
    own = sum(refund.is_requested for refund in booking.refunds)
    return f"{booking.id}-refund-{own + 1}" if own else f"{booking.id}-refund"
