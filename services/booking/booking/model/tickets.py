"""The tickets of a booking. `booking.signing` makes their QR texts, which are not stored."""

from datetime import datetime, timedelta
from typing import Any

from contracts.booking import Ticket

from booking.model.booking import Booking

TICKET_VALID_FOR = timedelta(days=30)
"""How long a ticket's signature stays valid after the showtime. Tickets of a moved showtime must stay valid."""


def issue_tickets(booking: Booking) -> list[Ticket]:
    """Create one ticket per order line. Ids derive from booking and seat, so a repeat creates the same tickets."""
    return [
        Ticket(
            ticket_id=ticket_id_of(booking.id, line.seat.seat_id),
            seat=line.seat,
            ticket_type=line.ticket_type,
            amount=line.amount,
            qr="",
        )
        for line in booking.lines
    ]


def valid_until(booking: Booking) -> datetime:
    """The end of the signatures of tickets that are issued now."""
    assert booking.screening is not None  # noqa: S101 - the checkout sets it
    return booking.screening.ends_at + TICKET_VALID_FOR


def claims_of(ticket: Ticket, booking: Booking) -> dict[str, Any]:
    """What the ticket's QR text says. It never changes, so the text is the same whenever it is signed.

    A transferred ticket's text does not tell its recipient the customer's reference.
    """
    assert booking.tickets_valid_until is not None  # noqa: S101 - set with the tickets
    is_customers = ticket.ticket_id == ticket_id_of(booking.id, ticket.seat.seat_id)
    return {
        "tid": ticket.ticket_id,
        **({"ref": booking.reference} if is_customers else {}),
        "sid": booking.showtime_id,
        "seat": ticket.seat.full_name,
        "exp": int(booking.tickets_valid_until.timestamp()),
    }


def party_claims(booking: Booking) -> dict[str, Any]:
    """What the QR text of the whole party says. It is valid as long as the tickets, of which it names none."""
    end = booking.tickets_valid_until or valid_until(booking)
    return {"bid": booking.id, "ref": booking.reference, "sid": booking.showtime_id, "exp": int(end.timestamp())}


def ticket_id_of(booking_id: str, seat_id: str) -> str:
    """The id of the customer's ticket for the seat. Recipients' tickets have a number after it."""
    return f"{booking_id}-{seat_id}"


def booking_id_of(ticket_id: str) -> str:
    """The id of the ticket's booking."""
    return ticket_id.rpartition("-")[0]
