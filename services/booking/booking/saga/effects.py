"""The parts of the saga's transitions: conditions, changes of the booking's fields, and the published events.

Pure functions; the table in `table.py` decides when they apply.
"""

from collections.abc import Collection, Mapping
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
    BookingTicketsExchanged,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
    Screening,
)
from contracts.catalog import ShowtimeRescheduled
from contracts.envelope import Event
from contracts.errors import RejectedEvent
from contracts.inventory import SeatsSold
from contracts.payment import PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentRefundFailed

from booking.model import (
    AcceptTicket,
    Booking,
    CancelTickets,
    Checkout,
    DeadlinePassed,
    Exchange,
    ExchangeMade,
    ExchangeRefused,
    ExchangeTickets,
    OfferTicket,
    Refund,
    RefundReason,
    RetryRefund,
    ReturnTicket,
    Source,
    State,
    cancelled_lines,
    funds,
    issue_tickets,
    less,
    owed_of,
    refundable,
    split,
    take,
    total_of,
    valid_until,
    without,
)
from booking.saga.transfers import transfer_event

REPEAT_AFTER = timedelta(minutes=2)
"""How long booking waits for another service's answer before it publishes its request again."""

REPEAT_DISPUTED_AFTER = timedelta(days=1)
"""The same for a refund that may wait weeks for the end of a dispute. An event reports that end."""

Fields = dict[str, Any]
REFUND_REASONS: dict[str, RefundReason] = {
    "seats_lost": "seats_lost",
    "showtime_cancelled": "showtime_cancelled",
}
CANCELLATION_REASONS = ("by_customer", "by_staff", "showtime_cancelled", "refunded_at_provider")


class UnexpectedEvent(RejectedEvent):
    """An event that cannot happen in the booking's state. It becomes a dead letter for an operator to examine."""


class WrongAmount(UnexpectedEvent):
    """The paid amount or currency differs from the booking's price."""


# ---- conditions: (booking, event, now) -> whether the transition applies


def is_free(booking: Booking, _: object, __: datetime) -> bool:
    return booking.due == 0


def is_exchange(booking: Booking, _: object, __: datetime) -> bool:
    return booking.exchange is not None


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
    """Whether it is about the booking's own payment, and no later event about that has arrived.

    Events from before 2026-12 have no order but their sum.
    """
    if refund.booking_id != booking.id:
        return False
    if refund.ledger_entries is None:
        return refund.refunded > booking.refunded_amount
    return refund.ledger_entries >= booking.ledger_entries


def is_full_refund(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    """Whether everything was refunded by others, and not only because all tickets that are left are free.

    A refund that booking requested ends only its own tickets, even if a goodwill refund makes the sum complete.
    """
    is_all = refund.refunded >= refund.captured and is_latest(booking, refund) and not refund.requested
    return is_all and not booking.sources and any(line.amount for line in booking.kept_lines)


def is_new_refund(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    """Whether the event is about money that was not refunded before."""
    if refund.booking_id != booking.id:
        return refund.amount > 0 and any(each.refund_id == refund.refund_id for each in booking.open_refunds)
    return is_latest(booking, refund) and refund.refunded > booking.refunded_amount


def settles_refund(booking: Booking, refund: PaymentRefunded | PaymentRefundFailed, now: datetime) -> bool:
    """Whether the event changes the state of a refund."""
    return with_refund(booking, refund, now) != booking.refunds


def returns_seats(booking: Booking, refund: PaymentRefunded, _: datetime) -> bool:
    """Whether the event completes the refund of some tickets: all its parts are accepted then."""
    is_open = any(each.refund_id == refund.refund_id for each in booking.open_refunds)
    return is_open and bool(_seats_of(booking, refund.refund_id))


def _seats_of(booking: Booking, refund_id: str) -> list[str]:
    """The seats whose tickets are paid back once this refund is accepted; none while another part of it is not."""
    current = [each for each in booking.refunds if each.repeated_as is None]
    this = next((each for each in current if each.refund_id == refund_id), None)
    if this is None:
        return []
    group = [each for each in current if _group(each) == _group(this)]
    is_complete = all(each.state == "accepted" for each in group if each is not this)
    return [seat for each in group for seat in each.seats] if is_complete else []


def _group(refund: Refund) -> str:
    return refund.part_of or refund.refund_id


def is_refund_complete(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    """Whether nothing else has to be refunded after this event."""
    after = with_refund(booking, refund, now)
    if refund.refunded >= refund.captured and is_latest(booking, refund):
        return not any(each.payment_id and (each.must_be_repeated or each.state == "requested") for each in after)
    is_own = any(each.refund_id == refund.refund_id for each in booking.open_refunds)
    return is_own and not any(each.must_be_repeated or each.state == "requested" for each in after)


def completes_cancellation(booking: Booking, refund: PaymentRefunded, now: datetime) -> bool:
    return booking.was_cancelled_by_quote and is_refund_complete(booking, refund, now)


def has_failed(booking: Booking, command: RetryRefund, _: datetime) -> bool:
    return any(each.refund_id == command.refund_id and each.must_be_repeated for each in booking.refunds)


def is_refund_due(booking: Booking, command: object, now: datetime) -> bool:
    return is_due(booking, command, now) and bool(booking.open_refunds)


def exchanges_all(booking: Booking, command: ExchangeTickets, _: datetime) -> bool:
    return all(line.seat.seat_id in command.exchange.seats for line in booking.kept_lines)


def exchanges_all_with_refund(booking: Booking, command: ExchangeTickets, now: datetime) -> bool:
    return exchanges_all(booking, command, now) and command.exchange.refund > 0


def exchanges_with_refund(_: Booking, command: ExchangeTickets, __: datetime) -> bool:
    return command.exchange.refund > 0


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
        replaces=checkout.exchange.replaces if checkout.exchange else None,
        exchange=checkout.exchange,
        exchange_count=checkout.exchange_count,
        promotions=list(checkout.promotions),
        promotion_codes=list(order.promotion_codes),
        uses_id=checkout.uses_id,
        has_open_uses=bool(checkout.promotions),
    )


def fields_from(event: object, booking: Booking, now: datetime) -> Fields:
    """Return the fields that the event sets. A sale issues the tickets.

    Raises UnexpectedEvent when the sold seats are not the booking's.
    """
    fields: Fields = {"tickets": []} if isinstance(event, ExchangeRefused) else {}
    match event:
        case PaymentFailed():
            fields = {"payment_failure": event.code}
        case PaymentRefunded() | PaymentRefundFailed():
            fields = {"refunds": with_refund(booking, event, now)}
            if is_latest(booking, event):
                entries = event.ledger_entries or booking.ledger_entries
                fields |= {"refunded_amount": event.refunded, "ledger_entries": entries}
                fields |= {"paid_with": event.tenders} if event.tenders else {}
        case CancelTickets():
            fields = _repriced_fields(booking, event.refunds)
            fields["lines"] = cancelled_lines(fields["lines"], event.refunds)
        case ExchangeTickets():
            fields = _exchange_fields(event.exchange, booking)
        case ExchangeMade():
            moves = booking.moves + event.moves
            fields = {"sources": event.sources, "calendar_id": event.calendar_id, "moves": moves}
        case RetryRefund():
            fields = {"refunds": _with_repeat(booking, event, now)}
        case PaymentDisputed():
            fields = {"is_disputed": event.is_open}
        case ShowtimeRescheduled() if booking.screening:
            fields = _moved(booking, booking.screening, event)
        case SeatsSold():
            if set(event.seats) != set(booking.seat_ids):
                raise UnexpectedEvent(f"booking {booking.id} has seats {booking.seat_ids}, but {event.seats} were sold")
            fields = {"tickets": issue_tickets(booking), "tickets_valid_until": valid_until(booking)}
            fields |= {"paid_with": event.tenders} if event.tenders else {}
    return fields


def _moved(booking: Booking, screening: Screening, event: ShowtimeRescheduled) -> Fields:
    times = {"starts_at": event.starts_at, "ends_at": event.ends_at}
    fields: Fields = {"screening": screening.model_copy(update=times)}
    if event.starts_at != screening.starts_at:
        booked_starts_at = booking.booked_starts_at or screening.starts_at
        fields |= {"moves": booking.moves + 1, "booked_starts_at": booked_starts_at}
    if booking.contact_until:
        fields["contact_until"] = event.ends_at
    return fields


def _repriced_fields(booking: Booking, gone: Collection[str]) -> Fields:
    """The lines and tickets with the prices that they have without the tickets of these seats."""
    lines = without(booking, gone)
    amounts = {line.seat.seat_id: line.amount for line in lines}
    tickets = [ticket.model_copy(update={"amount": amounts[ticket.seat.seat_id]}) for ticket in booking.tickets]
    return {"lines": lines, "tickets": tickets}


def _exchange_fields(exchange: Exchange, booking: Booking) -> Fields:
    """The fields of the earlier booking. The refund takes the newest money, and the new booking what is left."""
    left = funds(booking)
    left = less(left, take(left, exchange.refund, newest_first=True))
    sources = take(left, exchange.carried, newest_first=False)
    repriced = _repriced_fields(booking, exchange.seats)
    return repriced | {
        "lines": [
            line.model_copy(update={"status": "exchanged"}) if line.seat.seat_id in exchange.seats else line
            for line in repriced["lines"]
        ],
        "exchanges": [*booking.exchanges, exchange.model_copy(update={"sources": sources})],
        "exchange_count": booking.exchange_count + exchange.counts,
    }


def due_at(booking: Booking, state: State, now: datetime) -> datetime | None:
    """When the timer must process the booking in its new state; None when no deadline or answer is outstanding."""
    match state:
        case State.AWAITING_PAYMENT:
            return booking.payment_deadline_at
        case State.CLOSING | State.CONFIRMING | State.EXCHANGING:
            return now + REPEAT_AFTER
        case State.CONFIRMED | State.REFUNDING | State.EXCHANGED if booking.open_refunds:
            return now + (REPEAT_DISPUTED_AFTER if booking.is_disputed else REPEAT_AFTER)
        case _:
            return None


def with_refund(booking: Booking, event: PaymentRefunded | PaymentRefundFailed, now: datetime) -> list[Refund]:
    """The booking's refunds after payment's event about one of them. A refund's state only moves forward."""
    state = "accepted" if isinstance(event, PaymentRefunded) else "failed"
    settled = {"amount": event.amount, "state": state, "settled_at": now}
    if isinstance(event, PaymentRefundFailed):
        settled["returned"] = event.returned or 0
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
    facts = {"amount": owed_of(booking, failed), "state": "requested", "at": now, "settled_at": None, "returned": 0}
    again = {"refund_id": command.new_id, "part_of": _group(failed)} | facts
    old = failed.model_copy(update={"repeated_as": command.new_id})
    return [*(old if each is failed else each for each in booking.refunds), failed.model_copy(update=again)]


def refund_fields(booking: Booking, event: object, now: datetime) -> Fields:
    """The fields that request the refund of a booking that ends, or of the tickets that a command cancels.

    There is one refund for each payment that the money comes from, the newest first.
    """
    shares: Mapping[str, int] = {}
    reason: RefundReason
    match event:
        case CancelTickets():
            amount, shares, reason = event.amount, event.refunds, "cancelled"
        case ExchangeTickets():
            amount, reason = event.exchange.refund, "exchange_difference"
        case _:
            lines = booking.kept_lines
            amount = min(sum(line.amount for line in lines), refundable(booking))
            parts = split(amount, [line.amount for line in lines])
            shares = {line.seat.seat_id: part for line, part in zip(lines, parts, strict=True)}
            reason = REFUND_REASONS.get(booking.ending or "", "cancelled")
    taken = take(funds(booking), amount, newest_first=True) or [Source(booking_id=booking.id, amount=amount)]
    first = refund_id(booking)
    refunds = [
        Refund(
            refund_id=refund_id(booking, after=number),
            amount=part.amount,
            state="requested" if part.amount else "accepted",
            reason=reason,
            seats=list(event.refunds) if isinstance(event, CancelTickets) and not number else [],
            quote_id=event.quote_id if isinstance(event, CancelTickets) else None,
            note=event.note if isinstance(event, CancelTickets) else None,
            refund_to=event.refund_to if isinstance(event, CancelTickets) else "card",
            at=now,
            settled_at=None if part.amount else now,
            payment_id=part.booking_id if part.booking_id != booking.id else None,
            part_of=first if number else None,
        )
        for number, part in enumerate(taken)
    ]
    lines = cancelled_lines(booking.lines, shares) if shares else booking.lines
    return {"refunds": [*booking.refunds, *refunds], "lines": lines}


# ---- published events, built from the booking after the transition


def build_events(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> list[Event]:
    """Build the events of a type about the booking that `trigger` changed from `before`.

    There is one, except for refunds that are requested again: one for each that payment has not settled.
    """
    if isinstance(trigger, OfferTicket | AcceptTicket | ReturnTicket):
        return [transfer_event(event_type, booking, trigger, before)]
    if event_type is not RefundRequested:
        return [build_event(event_type, booking, trigger, before)]
    known = {refund.refund_id for refund in before.refunds}
    is_repeat = isinstance(trigger, DeadlinePassed)
    wanted = [refund for refund in booking.open_refunds if is_repeat or refund.refund_id not in known]
    return [_refund_request(booking, refund) for refund in wanted]


def _refund_request(booking: Booking, refund: Refund) -> RefundRequested:
    return RefundRequested(
        booking_id=refund.payment_id or booking.id,
        refund_id=refund.refund_id,
        amount=refund.amount,
        currency=booking.currency or "",
        reason=refund.reason or REFUND_REASONS.get(booking.ending or "", "cancelled"),
        **_to_credit(booking) if refund.refund_to == "credit" else {},
    )


def _to_credit(booking: Booking) -> dict[str, Any]:
    """The fields of a request to credit a refund."""
    percent = booking.refund_policy.credit_bonus_percent if booking.refund_policy else 0
    return {"refund_to": "credit", "bonus_percent": percent, "locale": booking.locale}


def build_event(event_type: type[Event], booking: Booking, trigger: object, before: Booking) -> Event:
    """Build an event about the booking that `trigger` changed from `before`.

    The event's fields take the booking's values of the same names, except where the booking has no such field or a
    field of another meaning.
    """
    facts = vars(booking) | {"booking_id": booking.id, "seats": booking.seat_ids, "choice_until": booking.choice_until}
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
        facts["refund_to"] = trigger.refund_to
        facts |= {"reason": trigger.by, "refund_id": booking.refunds[-1].refund_id, "refund_amount": trigger.amount}
    elif event_type is BookingSeatsReturned:
        facts["seats"] = _refunded_seats(trigger, booking)
    elif event_type is BookingRefundFailed and isinstance(trigger, PaymentRefundFailed):
        facts |= {"refund_id": trigger.refund_id, "amount": trigger.amount}
    elif event_type in (PaymentRequested, BookingRefunded):
        facts["amount"] = booking.due if event_type is PaymentRequested else booking.refunded
    elif event_type is BookingRefundMade:
        facts |= {"amount": max(0, booking.refunded - before.refunded)}
        if isinstance(trigger, PaymentRefunded):
            facts["refund_id"] = trigger.refund_id
            facts["refund_to"] = next((r.refund_to for r in booking.refunds if r.refund_id == trigger.refund_id), None)
        facts |= {"refunded": booking.refunded, "paid": booking.amount, "reason": booking.ending}
        seat_ids = _refunded_seats(trigger, booking)
        facts["seats"] = [line.seat for line in booking.lines if line.seat.seat_id in seat_ids]
    elif isinstance(trigger, ExchangeTickets):
        exchanged = [line.seat for line in booking.lines if line.seat.seat_id in trigger.exchange.seats]
        facts["seats"] = exchanged if event_type is BookingTicketsExchanged else booking.seat_ids
        facts |= {"remaining": [line.seat for line in booking.kept_lines], "replaced_by": trigger.exchange.replaced_by}
    return event_type.model_validate(facts)


def _refunded_seats(trigger: object, booking: Booking) -> list[str]:
    """The seats of the tickets that a command cancels, or that payment has refunded."""
    match trigger:
        case CancelTickets():
            return list(trigger.refunds)
        case ExchangeTickets():
            return trigger.exchange.seats
        case ExchangeRefused():
            return booking.seat_ids
        case PaymentRefunded():
            return _seats_of(booking, trigger.refund_id)
        case _:
            return []


def refund_id(booking: Booking, after: int = 0) -> str:
    """The id of the booking's next refund, or of one after it: a booking's refunds are numbered."""
    own = after + sum(refund.is_requested for refund in booking.refunds)
    return f"{booking.id}-refund-{own + 1}" if own else f"{booking.id}-refund"


def refunded_booking(event: PaymentRefunded | PaymentRefundFailed) -> str:
    """The id of the booking whose tickets the refund is for. Its money may be on another booking's payment."""
    owner, mark, _ = event.refund_id.partition("-refund")
    return owner if mark and event.requested else event.booking_id
