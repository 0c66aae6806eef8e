"""Tickets that their holders give to other people. No I/O; the time is a parameter.

The customer's ticket always has the id of booking and seat, a recipient's a number after it. `Booking.tickets` has the
one ticket of each seat that admits somebody now, so an acceptance voids the former ticket in the same write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.booking import Ticket

from booking.model.booking import (
    Booking,
    OrderLine,
    State,
    TicketStatus,
    Transfer,
    TransferState,
)
from booking.model.tickets import ticket_id_of, valid_until

MAX_OFFERS = 10
"""Of one ticket, by all its holders together: each offer sends a mail to any address."""
MAX_OFFERS_TO_ADDRESS = 50
"""Of all tickets to one address in a day."""
UNTIL = timedelta(minutes=30)
"""How long before the start transfers end: when the doors open."""


@dataclass(frozen=True)
class OfferTicket:
    """Command: offer a ticket to another person."""

    transfer: Transfer


@dataclass(frozen=True)
class RecallTicket:
    """Command: withdraw the offer with this `ticket_id`."""

    ticket_id: str


@dataclass(frozen=True)
class AcceptTicket:
    """Command: accept the offer with this `ticket_id`. `user_id`: the recipient's account.

    `is_customer`: the recipient is the booking's customer.
    """

    ticket_id: str
    user_id: str | None = None
    is_customer: bool = False


@dataclass(frozen=True)
class ReturnTicket:
    """Command: return the transferred ticket with this id to the customer."""

    ticket_id: str


class Received(Booking):
    """A booking as the recipient of one of its tickets sees it: that ticket, and nothing of the customer."""

    @property
    def page(self) -> str:
        """The path of the ticket's page."""
        return f"tickets/{self.id}"


def transfers_end_at(booking: Booking) -> datetime:
    """When offers end: they can neither be made nor accepted any more."""
    assert booking.screening is not None  # noqa: S101 - bookings with tickets have one
    return booking.screening.starts_at - UNTIL


def line_of(booking: Booking, seat_id: str) -> OrderLine | None:
    """The order line of a seat."""
    return next((line for line in booking.lines if line.seat.seat_id == seat_id), None)


def current_ticket(booking: Booking, ticket_id: str) -> Ticket | None:
    """The ticket with this id if it admits somebody now: the customer or a recipient."""
    if booking.state is not State.CONFIRMED:
        return None
    kept = {line.seat.seat_id for line in booking.kept_lines}
    return next((each for each in booking.tickets if each.ticket_id == ticket_id and each.seat.seat_id in kept), None)


def transfer_to(booking: Booking, ticket_id: str) -> Transfer | None:
    """The transfer that makes, or made, the ticket with this id."""
    return next((each for each in booking.transfers if each.ticket_id == ticket_id), None)


def offer_of(booking: Booking, ticket_id: str) -> Transfer | None:
    """The open offer of a valid ticket."""
    if current_ticket(booking, ticket_id) is None:
        return None
    return next((each for each in booking.transfers if each.previous_id == ticket_id and each.state == "offered"), None)


def is_customers(booking: Booking, transfer: Transfer) -> bool:
    """Whether the customer made this transfer, and not a recipient who passed the ticket on."""
    return transfer.previous_id == ticket_id_of(booking.id, transfer.seat_id)


def given_away(booking: Booking, seat_id: str) -> Transfer | None:
    """The customer's own open or accepted transfer of a seat's ticket, also after it was passed on."""
    own = [each for each in booking.transfers if each.seat_id == seat_id and is_customers(booking, each)]
    return next((each for each in own if each.state not in ("recalled", "returned")), None)


def received(booking: Booking, transfer: Transfer) -> Received:
    """The booking as the recipient sees it. Its ticket is not valid before the acceptance and after it was passed on.

    It has no prices: the ticket may be a gift.
    """
    line = line_of(booking, transfer.seat_id)
    ticket = next(each for each in booking.tickets if each.seat.seat_id == transfer.seat_id)
    assert line is not None  # noqa: S101 - transfers are of lines
    status = line.status
    if status == "transferred" and ticket.ticket_id == transfer.ticket_id:
        status = "valid"
    elif status == "valid":
        status = "transferred"
    hidden = {"name", "email", "amount", "reference", "sealed_email", "refund_policy", "calendar_id", "exchange"}
    lists = {"refunds", "mailings", "transfers", "history", "sources", "exchanges"}
    return Received.model_validate(
        booking.model_dump(exclude=hidden | lists)
        | {
            "id": transfer.ticket_id,
            "seats": [line.seat],
            "lines": [line.model_copy(update={"status": status})],
            "tickets": [ticket.model_copy(update={"ticket_id": transfer.ticket_id, "amount": 0})],
            "locale": transfer.locale,
        }
    )


def new_ticket_id(booking: Booking, seat_id: str) -> str:
    """The id of the next ticket of a seat. No id is used twice."""
    number = 1 + sum(each.seat_id == seat_id for each in booking.transfers)
    return f"{ticket_id_of(booking.id, seat_id)}_{number}"


# ---- conditions and changes of the saga's table


def is_offerable(booking: Booking, command: OfferTicket, now: datetime) -> bool:
    """Whether the ticket admits somebody who has not used or offered it, and the doors are closed."""
    ticket = current_ticket(booking, command.transfer.previous_id)
    line = line_of(booking, ticket.seat.seat_id) if ticket else None
    is_free = line is not None and line.checked_in_at is None and not offer_of(booking, command.transfer.previous_id)
    return is_free and now < transfers_end_at(booking)


def is_open(booking: Booking, command: RecallTicket | AcceptTicket, _: datetime) -> bool:
    """Whether the offer still stands: the ticket is its giver's and was not used."""
    transfer = transfer_to(booking, command.ticket_id)
    if transfer is None or transfer.state != "offered":
        return False
    line = line_of(booking, transfer.seat_id)
    is_unused = line is not None and line.checked_in_at is None
    return is_unused and current_ticket(booking, transfer.previous_id) is not None


def is_acceptable(booking: Booking, command: AcceptTicket, now: datetime) -> bool:
    """Whether the offer still stands, and the doors are closed."""
    return is_open(booking, command, now) and now < transfers_end_at(booking)


def is_returnable(booking: Booking, command: ReturnTicket, _: datetime) -> bool:
    """Whether a recipient has the ticket and has not used it."""
    transfer, ticket = transfer_to(booking, command.ticket_id), current_ticket(booking, command.ticket_id)
    line = line_of(booking, ticket.seat.seat_id) if ticket else None
    return transfer is not None and line is not None and line.checked_in_at is None


def offered(booking: Booking, command: OfferTicket) -> dict[str, Any]:
    """The fields that an offer changes. Addresses of recipients are kept until the end of the showtime."""
    end = booking.screening.ends_at if booking.screening else None
    return {"transfers": [*booking.transfers, command.transfer], "contact_until": booking.contact_until or end}


def recalled(booking: Booking, command: RecallTicket, now: datetime) -> dict[str, Any]:
    """The fields that a recall changes."""
    return {"transfers": _settled(booking, {command.ticket_id: "recalled"}, now)}


def accepted(booking: Booking, command: AcceptTicket, now: datetime) -> dict[str, Any]:
    """The fields that an acceptance changes. A ticket that its customer accepts is returned."""
    transfer = transfer_to(booking, command.ticket_id)
    assert transfer is not None  # noqa: S101 - see `is_open`
    if command.is_customer:
        return _returned(booking, transfer.seat_id, now)
    settled: dict[str, TransferState] = {command.ticket_id: "accepted", transfer.previous_id: "passed_on"}
    transfers = [
        each.model_copy(update={"user_id": command.user_id}) if each.ticket_id == command.ticket_id else each
        for each in _settled(booking, settled, now)
    ]
    return _moved(booking, transfer.seat_id, command.ticket_id, "transferred") | {"transfers": transfers}


def returned(booking: Booking, command: ReturnTicket, now: datetime) -> dict[str, Any]:
    """The fields that a return changes."""
    transfer = transfer_to(booking, command.ticket_id)
    assert transfer is not None  # noqa: S101 - see `is_returnable`
    return _returned(booking, transfer.seat_id, now)


def _returned(booking: Booking, seat_id: str, now: datetime) -> dict[str, Any]:
    """The customer has the ticket again. No recipient has it, and no offer of it is open."""
    settled: dict[str, TransferState] = {
        each.ticket_id: "returned" for each in booking.transfers if each.seat_id == seat_id and each.state != "recalled"
    }
    own = _moved(booking, seat_id, ticket_id_of(booking.id, seat_id), "valid")
    return own | {"transfers": _settled(booking, settled, now)}


def _moved(booking: Booking, seat_id: str, ticket_id: str, status: TicketStatus) -> dict[str, Any]:
    """The fields that replace the seat's ticket by one with another id."""
    return {
        "tickets": [
            each.model_copy(update={"ticket_id": ticket_id, "qr": ""}) if each.seat.seat_id == seat_id else each
            for each in booking.tickets
        ],
        "lines": [
            line.model_copy(update={"status": status}) if line.seat.seat_id == seat_id else line
            for line in booking.lines
        ],
        "tickets_valid_until": booking.tickets_valid_until or valid_until(booking),
    }


def _settled(booking: Booking, states: Mapping[str, TransferState], now: datetime) -> list[Transfer]:
    """The transfers with new states. A recalled or returned one forgets its recipient."""
    after: list[Transfer] = []
    for each in booking.transfers:
        state = states.get(each.ticket_id, each.state)
        change: dict[str, Any] = {} if state == each.state else {"state": state, "settled_at": now}
        if state in ("recalled", "returned"):
            change |= {"email": None, "message": None, "user_id": None}
        after.append(each.model_copy(update=change))
    return after


def change_count(booking: Booking) -> int:
    """How often a ticket has changed its holder. It only grows."""
    counts = {"accepted": 1, "passed_on": 1, "returned": 2}
    return sum(counts.get(each.state, 0) for each in booking.transfers)
