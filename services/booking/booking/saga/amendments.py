"""Changes outside the saga's table: a new owner, another address, tickets mailed again. Pure functions."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from contracts.booking import BookingAdopted, BookingConfirmed, BookingEmailChanged, BookingTicketsRequested
from contracts.envelope import Event
from contracts.payment import PaymentRefunded, PaymentRefundFailed
from contracts.types import Holder

from booking.model import AddressFixed, Booking, MailedRecently, Mailing, NoTickets, State
from booking.saga.effects import build_event, is_latest

UNSETTLED = (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING, State.EXCHANGING)
"""States in which nobody knows yet whether the booking is paid."""
CORRECTABLE = (*UNSETTLED, State.CONFIRMED, State.REFUNDING)
SEND_PAUSE = timedelta(minutes=2)
MAX_MAILINGS = 10
"""For customers: each change of the address and each repeated mail counts. Staff are not limited by it."""
KEPT_MAILINGS = 50


@dataclass(frozen=True)
class Amendment:
    """The booking after a change, the names of the changed fields, and the events to publish."""

    booking: Booking
    changed: frozenset[str]
    events: list[Event]


def _amended(booking: Booking, events: list[Event], **fields: Any) -> Amendment:
    return Amendment(booking.model_copy(update=fields), frozenset(fields), events)


def adopt(booking: Booking, user_id: str) -> Amendment | None:
    """Make a guest's booking the account's. None for a booking of an account."""
    if booking.holder.user_id is not None:
        return None
    after = booking.model_copy(update={"holder": Holder(user_id=user_id), "was_guests": True})
    return _amended(booking, adoption(after), holder=after.holder, was_guests=True)


def adoption(booking: Booking) -> list[Event]:
    """The event about the new owner of a booking that was a guest's, once its payment is decided.

    Earlier, the services that store the owner do not know the booking, or know it with the guest as its owner.
    """
    is_erased = booking.email is None
    if not booking.was_guests or is_erased or booking.state in UNSETTLED or booking.holder.user_id is None:
        return []
    return [
        BookingAdopted(
            booking_id=booking.id,
            showtime_id=booking.showtime_id,
            user_id=booking.holder.user_id,
            has_tickets=booking.state is State.CONFIRMED,
        )
    ]


def change_email(booking: Booking, email: str, mailing: Mailing) -> Amendment | None:
    """Mail to another address from now on; valid tickets are mailed there at once. None if it is the present address.

    Raises AddressFixed and MailedRecently.
    """
    if booking.email is None or booking.state not in CORRECTABLE:
        raise AddressFixed
    if email == booking.email:
        return None
    _check_count(booking, mailing)
    facts = vars(booking) | {"booking_id": booking.id, "mailing_id": mailing.id, "new_email": email}
    events: list[Event] = [BookingEmailChanged.model_validate(facts | {"was_mailed": booking.state not in UNSETTLED})]
    if booking.valid_tickets:
        events.append(_tickets_again(booking.model_copy(update={"email": email}), mailing))
    return _amended(booking, events, email=email, failed_mail=None, mailings=_with(booking, mailing))


def send_again(booking: Booking, mailing: Mailing) -> Amendment:
    """Mail the tickets again. Raises NoTickets and MailedRecently."""
    if booking.email is None or not booking.valid_tickets:
        raise NoTickets
    _check_count(booking, mailing)
    if booking.mailings and (free_at := booking.mailings[-1].at + SEND_PAUSE) > mailing.at:
        raise MailedRecently(retry_after=max(1, ceil((free_at - mailing.at).total_seconds())))
    events: list[Event] = [_tickets_again(booking, mailing)]
    return _amended(booking, events, failed_mail=None, mailings=_with(booking, mailing))


def record_passed_on(booking: Booking, event: PaymentRefunded | PaymentRefundFailed) -> Amendment | None:
    """Store a refund on the booking's payment for the tickets of a later booking. None for a repeat.

    Of a refund that has failed, only what gift cards and credit got back counts, also after a late event.
    """
    has_failed = isinstance(event, PaymentRefundFailed)
    amount = (event.returned or 0) if has_failed else event.amount
    known = booking.passed_on.get(event.refund_id)
    fields: dict[str, Any] = {}
    if known is None or (has_failed and known != amount):
        fields["passed_on"] = booking.passed_on | {event.refund_id: amount}
    if is_latest(booking, event):
        fields |= {
            "refunded_amount": event.refunded,
            "ledger_entries": event.ledger_entries or booking.ledger_entries,
        }
        fields |= {"paid_with": event.tenders} if event.tenders else {}
    return _amended(booking, [], **fields) if fields else None


def refuse_exchange(booking: Booking, new_id: str) -> Amendment | None:
    """Record for good that the new booking does not get the tickets. None if that, or the exchange, is recorded."""
    if new_id in booking.refused_exchanges or any(each.replaced_by == new_id for each in booking.exchanges):
        return None
    return _amended(booking, [], refused_exchanges=[*booking.refused_exchanges, new_id])


def keep_tickets(booking: Booking) -> Amendment | None:
    """Store that the customer keeps the tickets for the present start. None for a repeat."""
    assert booking.screening is not None  # noqa: S101 - it was moved
    starts_at = booking.screening.starts_at
    return None if booking.kept_starts_at == starts_at else _amended(booking, [], kept_starts_at=starts_at)


def _check_count(booking: Booking, mailing: Mailing) -> None:
    if mailing.by != "staff" and len(booking.mailings) >= MAX_MAILINGS:
        raise MailedRecently("The limit of changes and repeated mails is reached. Please contact the theater.")


def _with(booking: Booking, mailing: Mailing) -> list[Mailing]:
    return [*booking.mailings, mailing][-KEPT_MAILINGS:]


def _tickets_again(booking: Booking, mailing: Mailing) -> BookingTicketsRequested:
    confirmed = build_event(BookingConfirmed, booking, None, booking)
    return BookingTicketsRequested.model_validate(dict(confirmed) | {"mailing_id": mailing.id})
