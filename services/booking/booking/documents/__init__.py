"""The documents of a booking: tickets and receipt as PDF, a calendar file, and passes for wallets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from booking.documents.apple import PASS, PASSES, AppleWallet
from booking.documents.calendar import booking_calendar
from booking.documents.google import save_link
from booking.documents.pdf import receipt_data, tickets_data
from booking.documents.printing import Printer
from booking.model import Booking, State, has_receipt
from booking.settings import Settings

__all__ = [
    "PASS",
    "PASSES",
    "AppleWallet",
    "Document",
    "Printer",
    "booking_calendar",
    "connected",
    "documents_of",
    "new_apple_wallet",
    "receipt_data",
    "save_link",
    "tickets_data",
]

Document = Literal["tickets", "receipt", "calendar", "apple_wallet", "google_wallet"]


def new_apple_wallet(settings: Settings) -> AppleWallet | None:
    """Create what makes passes, if the cinema has the certificates."""
    if settings.apple_wallet is None:
        return None
    return AppleWallet(settings.apple_wallet, settings.public_url, settings.link_key.get_secret_value())


@asynccontextmanager
async def connected(apple: AppleWallet | None) -> AsyncIterator[None]:
    """Lifespan: the connection to Apple's push service, if the cinema has the certificates."""
    if apple is None:
        yield
    else:
        async with apple.connected():
            yield


def documents_of(booking: Booking, settings: Settings) -> list[Document]:
    """Return the documents that the booking has now.

    A receipt stays available after the end, and so does the calendar file, which then removes the showtime; after an
    exchange, the new booking has the calendar's entry. Passes need the cinema's certificates.
    """
    is_valid = bool(booking.valid_tickets)
    facts: dict[Document, bool] = {
        "tickets": is_valid,
        "receipt": has_receipt(booking),
        "calendar": bool(booking.tickets) and booking.state not in (State.EXCHANGING, State.EXCHANGED),
        "apple_wallet": is_valid and settings.apple_wallet is not None,
        "google_wallet": is_valid and settings.google_wallet is not None,
    }
    return [document for document, is_there in facts.items() if is_there]
