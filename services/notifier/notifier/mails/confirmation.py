"""The mail with the tickets."""

import json
from datetime import timedelta
from email.headerregistry import Address
from typing import Any, NamedTuple

from babel import Locale
from chassis.calendars import CalendarFile
from chassis.locales import isolated, language_name, money
from contracts.booking import BookingConfirmed, Ticket
from contracts.types import seat_names

from notifier import settings
from notifier.mails import qr
from notifier.mails.calendar import booking_calendar
from notifier.mails.languages import label, local_date_and_time, locale_of, map_url, texts_of
from notifier.mails.mime import InlineImage, RenderedMail
from notifier.mails.notice import booking_url, decrypted
from notifier.mails.rendering import render_template
from notifier.model import Unmailable, checked_address, one_line

# A longer text makes a code that a camera at the door reads badly.
MAX_QR_BYTES = 1200


class PrintedTicket(NamedTuple):
    """One ticket as the mail prints it."""

    name: str
    place: str
    category: str
    ticket_type: str
    price: str
    qr: str
    cid: str


class ConfirmationContext(NamedTuple):
    """The variables of the templates, in the reader's language and the theater's time zone."""

    to: Address
    language: str
    texts: dict[str, Any]
    name: str
    reference: str
    movie: str
    details: str
    date: str
    begins: str
    ends: str
    theater: str
    auditorium: str
    address: str
    map_url: str
    seats: str
    tickets: list[PrintedTicket]
    total: str
    tax: str
    refunds: str
    url: str
    calendar: CalendarFile

    def render(self) -> RenderedMail:
        """Render the mail."""
        text, html = render_template("confirmation", self)
        images = [
            InlineImage(each.cid, f"ticket-{number}.png", qr.png(each.qr))
            for number, each in enumerate(self.tickets, 1)
        ]
        subject = self.texts["subject"].format(movie=self.movie, date=self.date, begins=self.begins)
        return RenderedMail(self.to, subject, text, html, images, self.calendar)


def confirmation_context(event: BookingConfirmed) -> ConfirmationContext:
    """Return what the mail prints. Raises Unmailable when something cannot be printed or addressed."""
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "confirmation")
    if event.replaces:
        texts = texts | texts["exchanged"]
    screening = event.screening
    date, begins = local_date_and_time(screening.starts_at, screening.time_zone, locale)
    name = one_line(event.name or "")[:100]
    address = one_line(screening.address or "")
    reference, codes = one_line(event.reference), _codes(event)
    tickets = [_printed(*each, event, texts, locale) for each in zip(event.tickets, codes, strict=True)]
    summary = "\n".join([f"{texts['reference']}: {reference}", *(each.place for each in tickets)])
    details = (screening.certificate, screening.format, language_name(screening.language, locale))
    return ConfirmationContext(
        to=Address(name, *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name=name,
        reference=reference,
        movie=isolated(one_line(screening.movie_title)),
        details=" · ".join(isolated(one_line(detail)) for detail in details if detail),
        date=date,
        begins=begins,
        ends=local_date_and_time(screening.ends_at, screening.time_zone, locale)[1],
        theater=isolated(one_line(screening.theater_name)),
        auditorium=isolated(one_line(screening.auditorium_name)),
        address=isolated(address),
        map_url=map_url(screening),
        seats=", ".join(isolated(one_line(name)) for name in seat_names(ticket.seat for ticket in event.tickets)),
        tickets=tickets,
        total=money(event.amount, event.currency, locale),
        tax=texts["tax"].format(tax=money(event.tax, event.currency, locale)) if event.tax else "",
        refunds=_refund_terms(event, texts, locale),
        url=booking_url(event.booking_id, event.sealed_link),
        calendar=booking_calendar(
            event.calendar_id or event.booking_id, screening, summary, sequence=event.moves, page=event.booking_id
        ),
    )


def _refund_terms(event: BookingConfirmed, texts: dict[str, Any], locale: Locale) -> str:
    """What a cancellation returns until when, in the theater's time; empty for a booking without a policy."""
    policy, screening = event.refund_policy, event.screening
    if policy is None or not event.amount:
        return ""
    day, _ = local_date_and_time(screening.starts_at, screening.time_zone, locale)
    tiers: list[str] = []
    for tier in policy.tiers:
        if tier.refund_percent:
            until = screening.starts_at - timedelta(minutes=tier.minutes_before_start)
            date, clock = local_date_and_time(until, screening.time_zone, locale)
            time = clock if date == day else f"{date}, {clock}"
            tiers.append(texts["refund_tier"].format(percent=tier.refund_percent, time=time))
    if not tiers:
        return texts["no_refunds"]
    terms = texts["refunds"].format(tiers=", ".join(tiers))
    return (
        f"{terms} {texts['refund_fee'].format(fee=money(policy.fee, event.currency, locale))}" if policy.fee else terms
    )


def _codes(event: BookingConfirmed) -> list[str]:
    """The QR texts of the tickets. Raises Unmailable."""
    if event.sealed_codes is None:
        return [ticket.qr for ticket in event.tickets]
    codes = json.loads(decrypted(event.sealed_codes))
    if len(codes) != len(event.tickets):
        raise Unmailable(f"{len(codes)} QR texts for {len(event.tickets)} tickets")
    return codes


def _printed(
    ticket: Ticket, code: str, event: BookingConfirmed, texts: dict[str, Any], locale: Locale
) -> PrintedTicket:
    if not 0 < len(code.encode()) <= MAX_QR_BYTES:
        raise Unmailable(f"ticket {ticket.ticket_id}: a QR text has 1 to {MAX_QR_BYTES} bytes")
    seat = ticket.seat
    return PrintedTicket(
        name=isolated(one_line(seat.full_name)),
        place=texts["place_in_area" if seat.area else "place"].format(
            area=isolated(one_line(seat.area or "")), row=isolated(one_line(seat.row)), number=isolated(seat.label)
        ),
        category=label(texts["categories"], seat.category),
        ticket_type=label(texts["ticket_types"], ticket.ticket_type),
        price=money(ticket.amount, event.currency, locale),
        qr=code,
        cid=f"{ticket.ticket_id}.{event.booking_id}@{settings.get().sender.domain}",
    )
