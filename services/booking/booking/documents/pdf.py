"""The data that the PDF templates print, in the customer's language and the theater's time zone."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import zxingcpp
from babel import Locale
from babel.numbers import format_percent
from chassis.locales import isolated, language_name, local_date_and_time, money
from contracts.booking import Screening, Ticket
from contracts.catalog import Seller
from contracts.types import clean_name

from booking.documents.languages import label, locale_of, place, places, texts_of
from booking.model import Booking, TaxShare, credit_notes, taxes_of

SCRIPTS = (
    *("Arabic", "Hebrew", "Armenian", "Bengali", "Devanagari", "Ethiopic", "Georgian", "Gujarati", "Gurmukhi"),
    *("Kannada", "Khmer", "Lao", "Malayalam", "Myanmar", "Oriya", "Sinhala", "Tamil", "Telugu", "Thai", "Symbols"),
)
HAN = {"ja": "JP", "ko": "KR", "zh-tw": "TC", "zh-hant": "TC", "zh-hk": "HK"}
"""The form of Chinese characters that readers of a film's language expect; simplified Chinese for any other."""
MASK = 2
"""The data mask of QR codes, as in the mails: comparing all eight takes eight times as long."""
LONG_WORD = re.compile(r"\S{20}(?=\S)")


def tickets_data(booking: Booking, tickets: Sequence[Ticket], seller: Seller | None) -> dict[str, Any]:
    """Return what the pages of these tickets print, without prices if the booking shows none.

    The tickets contain their QR texts.
    """
    screening = _screening_of(booking)
    locale = locale_of(booking)
    texts, facts = texts_of(locale), _facts(booking, screening, seller, locale)
    details = (screening.certificate, screening.format, language_name(screening.language, locale))

    def prices(ticket: Ticket) -> list[str]:
        return [] if booking.amount is None else [money(ticket.amount, booking.currency or "", locale)]

    return facts | {
        "title": f"{texts['tickets']} {booking.reference or ''}".rstrip(),
        "theater": _printable(screening.theater_name),
        "details": " · ".join(isolated(_printable(detail)) for detail in details if detail),
        "tickets": [
            {
                "number": texts["ticket_of"].format(number=number, count=len(tickets)),
                "places": [(name, _printable(value)) for name, value in places(ticket.seat, texts)],
                "kind": " · ".join(
                    [
                        label(texts["ticket_types"], ticket.ticket_type),
                        label(texts["categories"], ticket.seat.category),
                        *prices(ticket),
                    ]
                ),
                "code": _qr(ticket.qr),
                "alt": f"{texts['code']}: {place(ticket.seat, texts)}",
            }
            for number, ticket in enumerate(tickets, 1)
        ],
    }


def receipt_data(booking: Booking, seller: Seller | None) -> dict[str, Any]:
    """Return what the receipt and its credit notes print."""
    screening, currency = _screening_of(booking), booking.currency or ""
    locale = locale_of(booking)
    texts = texts_of(locale)

    def amount(minor_units: int) -> str:
        return money(minor_units, currency, locale)

    def date(moment: datetime) -> str:
        return local_date_and_time(moment, screening.time_zone, locale)[0]

    def rate(basis_points: int | None) -> str:
        if basis_points is None:
            return texts["unknown_rate"]
        return format_percent(basis_points / 10_000, format="#,##0.## %", locale=locale)

    def shares(taxes: list[TaxShare]) -> list[list[str]]:
        return [
            [rate(share.basis_points), amount(share.gross - share.tax), amount(share.tax), amount(share.gross)]
            for share in taxes
            if share.tax is not None
        ]

    paid, notes = booking.amount or 0, credit_notes(booking)
    return _facts(booking, screening, seller, locale) | {
        "title": f"{texts['receipt']} {booking.reference}",
        "date": date(booking.opened_at),
        "lines": [
            [
                f"{label(texts['ticket_types'], line.ticket_type)}, {place(line.seat, texts)}",
                rate(line.tax_basis_points),
                amount(line.amount),
            ]
            for line in booking.lines
        ],
        "total": amount(paid),
        "taxes": shares(taxes_of(booking.lines)),
        "tenders": [[texts[tender.kind], amount(tender.captured)] for tender in booking.tenders],
        "credit_notes": [
            {
                "title": texts["credit_note"].format(number=note.number),
                "date": date(note.at),
                "amount": amount(note.amount),
                "taxes": shares(note.taxes),
            }
            for note in notes
        ],
        "left": amount(paid - sum(note.amount for note in notes)) if notes else "",
    }


def _screening_of(booking: Booking) -> Screening:
    assert booking.screening is not None  # noqa: S101 - bookings with documents have one
    return booking.screening


def _facts(booking: Booking, screening: Screening, seller: Seller | None, locale: Locale) -> dict[str, Any]:
    """Return what all documents print."""
    date, begins = local_date_and_time(screening.starts_at, screening.time_zone, locale)
    where = (screening.theater_name, screening.auditorium_name, screening.address)
    sold_by = seller or Seller(legal_name=screening.theater_name, address=screening.address or "")
    names = [_printable(text) for text in (sold_by.legal_name, sold_by.address, sold_by.tax_id or "")]
    han = HAN.get(screening.language.lower(), HAN.get(screening.language.lower().partition("-")[0], "SC"))
    return {
        "language": locale.language,
        "texts": texts_of(locale),
        "fonts": ["Noto Sans", *(f"Noto Sans {script}" for script in SCRIPTS), f"Noto Sans CJK {han}", "Noto Emoji"],
        "movie": _printable(screening.movie_title),
        "when": f"{date}, {begins}",
        "where": ", ".join(isolated(_printable(part)) for part in where if part),
        "reference": booking.reference or "",
        "name": _printable(booking.name or ""),
        "seller": dict(zip(("legal_name", "address", "tax_id"), names, strict=True))
        | {"line": " · ".join(isolated(name) for name in names if name)},
    }


def _printable(text: str) -> str:
    """Return a name on one line, without characters that nobody can see, and with breaks in words of any length."""
    return LONG_WORD.sub("\\g<0>\u200b", clean_name(text))


def _qr(text: str) -> str:
    """Return the text's QR code at error correction level M as SVG, with its quiet zone."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M", data_mask=MASK)
    return zxingcpp.write_barcode_to_svg(code, add_quiet_zones=True)
