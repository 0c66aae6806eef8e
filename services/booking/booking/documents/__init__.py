"""The documents of a booking: tickets and receipt as PDF, and a calendar file."""

from typing import Literal

from booking.documents.calendar import booking_calendar
from booking.documents.pdf import receipt_data, tickets_data
from booking.documents.printing import Printer
from booking.model import Booking, State, has_receipt

__all__ = ["Document", "Printer", "booking_calendar", "documents_of", "receipt_data", "tickets_data"]

Document = Literal["tickets", "receipt", "calendar"]


def documents_of(booking: Booking) -> list[Document]:
    """Return the documents that the booking has now.

    A receipt stays available after the end, and so does the calendar file, which then removes the showtime.
    """
    facts: dict[Document, bool] = {
        "tickets": booking.state is State.CONFIRMED,
        "receipt": has_receipt(booking),
        "calendar": bool(booking.tickets) and booking.screening is not None,
    }
    return [document for document, is_there in facts.items() if is_there]
