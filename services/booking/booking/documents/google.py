"""Links that save tickets to Google Wallet: a JWT with the tickets, signed by the cinema's service account."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import jwt
from contracts.booking import Ticket
from contracts.types import clean_name

from booking.documents.languages import label, locale_of, texts_of
from booking.model import Booking
from booking.settings import GoogleWalletSettings

SAVE = "https://pay.google.com/gp/v/save/"


def save_link(settings: GoogleWalletSettings, site: str, booking: Booking, tickets: Sequence[Ticket]) -> str:
    """Return the link that offers these tickets to a visitor's Google Wallet. The tickets contain their QR texts."""
    assert booking.screening is not None  # noqa: S101 - bookings with tickets have one
    screening, locale = booking.screening, locale_of(booking)
    texts, zone = texts_of(locale), ZoneInfo(screening.time_zone)

    def words(text: str) -> dict[str, Any]:
        return {"defaultValue": {"language": locale.language, "value": clean_name(text)}}

    # A class is never changed by a later link, so the times are a part of its name.
    moved = f".{booking.moves}" if booking.moves else ""
    class_id = f"{settings.issuer}.{booking.showtime_id}{moved}.{locale.language}"
    event_class = {
        "id": class_id,
        "issuerName": clean_name(screening.theater_name),
        "reviewStatus": "UNDER_REVIEW",
        "eventName": words(screening.movie_title),
        "venue": {"name": words(screening.theater_name), "address": words(screening.address or screening.theater_name)},
        "dateTime": {
            "start": screening.starts_at.astimezone(zone).isoformat(timespec="seconds"),
            "end": screening.ends_at.astimezone(zone).isoformat(timespec="seconds"),
        },
    }
    objects = [
        {
            "id": f"{settings.issuer}.{ticket.ticket_id}",
            "classId": class_id,
            "state": "ACTIVE",
            "barcode": {"type": "QR_CODE", "value": ticket.qr, "alternateText": booking.reference or ""},
            "reservationInfo": {"confirmationCode": booking.reference or ""},
            "ticketHolderName": clean_name(booking.name or ""),
            "ticketType": words(label(texts["ticket_types"], ticket.ticket_type)),
            "seatInfo": {
                "row": words(ticket.seat.row),
                "seat": words(ticket.seat.label),
                "section": words(ticket.seat.area or screening.auditorium_name),
            },
        }
        for ticket in tickets
    ]
    claims = {
        "iss": settings.client_email,
        "aud": "google",
        "typ": "savetowallet",
        "origins": [site],
        "payload": {"eventTicketClasses": [event_class], "eventTicketObjects": objects},
    }
    return SAVE + jwt.encode(claims, settings.private_key, algorithm="RS256")
