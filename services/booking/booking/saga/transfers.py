"""The events about transferred tickets, built from the booking before and after a transition. Pure functions."""

from datetime import datetime
from typing import Any

from contracts.booking import TransferredTicketChanged
from contracts.envelope import Event

from booking.model import (
    AcceptTicket,
    Booking,
    OfferTicket,
    RecallTicket,
    ReturnTicket,
    accepted,
    change_count,
    current_ticket,
    line_of,
    offered,
    recalled,
    returned,
    ticket_id_of,
    transfer_to,
    transfers_end_at,
)

Facts = dict[str, Any]


def transferred(
    booking: Booking, command: OfferTicket | RecallTicket | AcceptTicket | ReturnTicket, now: datetime
) -> Facts:
    """The fields that a command about a transfer changes."""
    match command:
        case OfferTicket():
            return offered(booking, command)
        case RecallTicket():
            return recalled(booking, command, now)
        case AcceptTicket():
            return accepted(booking, command, now)
        case ReturnTicket():
            return returned(booking, command, now)


def transfer_event(
    event_type: type[Event], booking: Booking, command: OfferTicket | AcceptTicket | ReturnTicket, before: Booking
) -> Event:
    """Build the event about the transfer that `command` changed.

    The customer gets no mail about a ticket that one recipient passed on to another.
    """
    if isinstance(command, OfferTicket):
        line, offer = line_of(booking, command.transfer.seat_id), command.transfer
        assert line is not None  # noqa: S101 - see `is_offerable`
        end = transfers_end_at(booking)
        facts = vars(booking) | vars(offer) | {"ticket_type": line.ticket_type, "expires_at": end}
        return event_type.model_validate(facts | {"booking_id": booking.id, "seat": line.seat})
    transfer = transfer_to(before, command.ticket_id)
    line = line_of(booking, transfer.seat_id) if transfer else None
    assert transfer is not None and line is not None  # noqa: S101 - see `is_open`
    own = ticket_id_of(booking.id, transfer.seat_id)
    had, has = (_ticket_of(each, transfer.seat_id) for each in (before, booking))
    reason = "returned" if has == own else "accepted" if had == own else None
    facts = vars(booking) | {
        "booking_id": booking.id,
        "ticket_id": has,
        "previous_id": had,
        "seat": line.seat,
        "seats": [each.seat for each in booking.valid_tickets],
        "transfers": change_count(booking),
        "reason": reason,
    }
    return event_type.model_validate(facts if reason else facts | {"email": None})


def _ticket_of(booking: Booking, seat_id: str) -> str:
    return next(each.ticket_id for each in booking.tickets if each.seat.seat_id == seat_id)


def changed_for_recipients(before: Booking, after: Booking) -> list[Event]:
    """The events for people to whom tickets were transferred: the new start, or that their ticket is void."""
    events: list[Event] = []
    for transfer in before.transfers:
        had = current_ticket(before, transfer.ticket_id)
        later = transfer_to(after, transfer.ticket_id)
        if transfer.state != "accepted" or transfer.email is None or had is None or later is None:
            continue
        facts = vars(after) | vars(transfer) | {"booking_id": after.id, "seat": had.seat}
        if current_ticket(after, transfer.ticket_id) is None and later.state == "accepted":
            events.append(TransferredTicketChanged.model_validate(facts | {"change": "cancelled"}))
        elif before.screening and after.screening and before.screening.starts_at != after.screening.starts_at:
            facts |= {"change": "moved", "previous_starts_at": before.screening.starts_at}
            events.append(TransferredTicketChanged.model_validate(facts))
    return events
