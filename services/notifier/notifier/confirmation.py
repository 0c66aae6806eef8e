"""The mail with the tickets."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from babel import Locale
from contracts.booking import BookingConfirmed, Ticket

from notifier import qr, settings
from notifier.languages import locale_of, money, on_the_clock, words_of
from notifier.mail import Letter, Picture, render
from notifier.model import Unmailable, checked_address, one_line
from notifier.notice import booking_page

# More would make a code that a door's camera reads badly.
MAX_QR_BYTES = 1000


class Admission(NamedTuple):
    """One ticket as it is printed."""

    seat_id: str
    place: str
    category: str
    ticket_type: str
    price: str
    qr: str
    cid: str


class Facts(NamedTuple):
    """Everything that the templates print, in the reader's language and the theater's time."""

    to: Address
    language: str
    words: dict[str, Any]
    name: str
    reference: str
    movie: str
    details: str
    date: str
    begins: str
    ends: str
    theater: str
    auditorium: str
    seats: str
    admissions: list[Admission]
    total: str
    url: str


def letter(event: str) -> Letter:
    """The letter for the JSON of a `BookingConfirmed`. Raises Unmailable."""
    return written(facts(BookingConfirmed.model_validate_json(event)))


def written(told: Facts) -> Letter:
    """The letter that prints these facts."""
    text, html = render("confirmation", told)
    pictures = [Picture(each.cid, f"ticket-{each.seat_id}.png", qr.png(each.qr)) for each in told.admissions]
    subject = told.words["subject"].format(movie=told.movie, date=told.date, begins=told.begins)
    return Letter(told.to, subject, text, html, pictures)


def facts(event: BookingConfirmed) -> Facts:
    """What the letter prints. Raises Unmailable for what cannot be printed or addressed."""
    locale = locale_of(event.locale)
    words = words_of(locale.language, "confirmation")
    screening = event.screening
    date, begins = on_the_clock(screening.starts_at, screening.time_zone, locale)
    name = one_line(event.name or "")[:100]
    details = (screening.certificate, screening.format, screening.language)
    return Facts(
        to=Address(name, *checked_address(event.email)),
        language=locale.language,
        words=words,
        name=name,
        reference=one_line(event.reference),
        movie=one_line(screening.movie_title),
        details=" · ".join(one_line(detail) for detail in details if detail),
        date=date,
        begins=begins,
        ends=on_the_clock(screening.ends_at, screening.time_zone, locale)[1],
        theater=one_line(screening.theater_name),
        auditorium=one_line(screening.auditorium_name),
        seats=", ".join(ticket.seat.seat_id for ticket in event.tickets),
        admissions=[_admission(ticket, event, words, locale) for ticket in event.tickets],
        total=money(event.amount, event.currency, locale),
        url=booking_page(event.booking_id, event.sealed_link),
    )


def _admission(ticket: Ticket, event: BookingConfirmed, words: dict[str, Any], locale: Locale) -> Admission:
    if not 0 < len(ticket.qr.encode()) <= MAX_QR_BYTES:
        raise Unmailable(f"ticket {ticket.ticket_id}: a QR text has 1 to {MAX_QR_BYTES} bytes")
    return Admission(
        seat_id=ticket.seat.seat_id,
        place=words["place"].format(row=one_line(ticket.seat.row), number=ticket.seat.number),
        category=_label(words["categories"], ticket.seat.category),
        ticket_type=_label(words["ticket_types"], ticket.ticket_type),
        price=money(ticket.amount, event.currency, locale),
        qr=ticket.qr,
        cid=f"{ticket.ticket_id}.{event.booking_id}@{settings.get().sender.domain}",
    )


def _label(known: dict[str, str], code: str) -> str:
    return known.get(code) or code.replace("_", " ").replace("-", " ").capitalize()
