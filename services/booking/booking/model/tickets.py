"""The tickets of a booking."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from contracts.booking import Ticket

from booking.model.booking import Booking

TICKET_VALID_FOR = timedelta(days=30)
"""How long a ticket's signature stays valid after the showtime. Tickets of a moved showtime must stay valid."""
Sign = Callable[[dict[str, Any]], str]
"""Signs a ticket's claims and returns the text of its QR code."""


def issue_tickets(booking: Booking, sign: Sign) -> list[Ticket]:
    """Create one ticket per order line. Ids derive from booking and seat, so a repeat creates the same tickets."""
    assert booking.screening is not None  # noqa: S101 - the checkout sets it
    valid_until = booking.screening.ends_at + TICKET_VALID_FOR
    tickets: list[Ticket] = []
    for line in booking.lines:
        ticket_id = f"{booking.id}-{line.seat.seat_id}"
        claims = {
            "tid": ticket_id,
            "ref": booking.reference,
            "sid": booking.showtime_id,
            "seat": line.seat.seat_id,
            "exp": int(valid_until.timestamp()),
        }
        tickets.append(
            Ticket(
                ticket_id=ticket_id,
                seat=line.seat,
                ticket_type=line.ticket_type,
                amount=line.amount,
                qr=sign(claims),
            )
        )
    return tickets


def booking_id_of(ticket_id: str) -> str:
    """The id of the ticket's booking."""
    return ticket_id.rpartition("-")[0]
