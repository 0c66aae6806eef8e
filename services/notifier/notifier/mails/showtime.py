"""The mails to ticket holders whose showtime is rescheduled, or who have no tickets any more.

Times are in the theater's time zone.
"""

from email.headerregistry import Address
from typing import Literal

from chassis.locales import isolated, money
from contracts.booking import BookingCancelled, BookingRescheduled, Screening

from notifier.mails import notice
from notifier.mails.calendar import booking_calendar
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.model import Unmailable, checked_address, one_line

ShowtimeChange = BookingRescheduled | BookingCancelled
Details = list[tuple[str, str]]


def voids_tickets(event: BookingCancelled) -> bool:
    """Whether the theater voids tickets of a completed booking. Free tickets count: their refund is 0."""
    return event.reason in {"showtime_cancelled", "by_staff"} and event.refund_amount is not None


def rescheduled_context(event: BookingRescheduled) -> NoticeContext:
    """Return what the mail about a new start time prints: the new time first, then the old one. Raises Unmailable.

    After a large move it leads to the page where the customer chooses.
    """
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "showtime")
    before = date_and_time(event.previous_starts_at, event.screening.time_zone, locale)
    context = _context("rescheduled", event, event.screening, "now", [(texts["before"], before)])
    if event.choice_until is None or not notice.can_open(event.holder):
        return context
    until = date_and_time(event.choice_until, event.screening.time_zone, locale)
    return context._replace(
        intro=texts["choice"]["intro"].format(until=until),
        button=texts["choice"]["button"],
        url=notice.booking_url(event.booking_id, event.sealed_link, "/choice"),
    )


def cancelled_context(event: BookingCancelled) -> NoticeContext:
    """Return what the mail about a cancelled showtime or booking prints. Raises Unmailable."""
    if event.screening is None:
        raise Unmailable("the event does not name the showtime")
    locale, details = locale_of(event.locale), Details()
    if event.refund_amount and event.currency:
        label = texts_of(locale.language, "showtime")["money_back"]
        details = [(label, money(event.refund_amount, event.currency, locale))]
    kind = "showtime_cancelled" if event.reason == "showtime_cancelled" else "booking_cancelled"
    return _context(kind, event, event.screening, "when", details)


def _context(
    kind: Literal["rescheduled", "showtime_cancelled", "booking_cancelled"],
    event: ShowtimeChange,
    screening: Screening,
    start_label: Literal["now", "when"],
    more: Details,
) -> NoticeContext:
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "showtime")
    own, movie = texts[kind], isolated(one_line(screening.movie_title))
    when, name = date_and_time(screening.starts_at, screening.time_zone, locale), one_line(event.name or "")[:100]
    is_cancelled, reference = isinstance(event, BookingCancelled), one_line(event.reference or "")
    return NoticeContext(
        to=Address(name, *checked_address(event.email or "")),
        language=locale.language,
        texts=texts,
        name=name,
        subject=own["subject"].format(movie=movie, when=when),
        intro=own["intro"],
        details=[
            (texts["movie"], movie),
            (texts[start_label], when),
            *more,
            (texts["where"], where(screening)),
            (texts["reference"], reference),
        ],
        button=texts["button"] if notice.can_open(event.holder) else "",
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
        calendar=booking_calendar(
            event.calendar_id or event.booking_id,
            screening,
            f"{texts['reference']}: {reference}",
            sequence=event.moves + is_cancelled,
            page=event.booking_id,
            is_cancelled=is_cancelled,
        ),
    )
