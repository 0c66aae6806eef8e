"""The mails to ticket holders whose showtime is rescheduled or cancelled. Times are in the theater's time zone."""

from email.headerregistry import Address
from typing import Literal

from contracts.booking import BookingCancelled, BookingRescheduled, Screening

from notifier.mails import notice
from notifier.mails.languages import date_and_time, locale_of, money, texts_of
from notifier.mails.notice import NoticeContext
from notifier.model import Unmailable, checked_address, one_line

ShowtimeChange = BookingRescheduled | BookingCancelled
Details = list[tuple[str, str]]


def voids_tickets(event: BookingCancelled) -> bool:
    """Whether a cancelled showtime voids tickets of a completed booking. Free tickets count: their refund is 0."""
    return event.reason == "showtime_cancelled" and event.refund_amount is not None


def rescheduled_context(event: BookingRescheduled) -> NoticeContext:
    """Return what the mail about a new start time prints: the new time first, then the old one. Raises Unmailable."""
    texts = texts_of(locale_of(event.locale).language, "showtime")
    before = date_and_time(event.previous_starts_at, event.screening.time_zone, locale_of(event.locale))
    return _context("rescheduled", event, event.screening, "now", [(texts["before"], before)])


def cancelled_context(event: BookingCancelled) -> NoticeContext:
    """Return what the mail about a cancelled showtime prints. Raises Unmailable."""
    if event.screening is None:
        raise Unmailable("the event does not name the showtime")
    locale, details = locale_of(event.locale), Details()
    if event.refund_amount and event.currency:
        label = texts_of(locale.language, "showtime")["money_back"]
        details = [(label, money(event.refund_amount, event.currency, locale))]
    return _context("showtime_cancelled", event, event.screening, "when", details)


def _context(
    kind: Literal["rescheduled", "showtime_cancelled"],
    event: ShowtimeChange,
    screening: Screening,
    start_label: Literal["now", "when"],
    more: Details,
) -> NoticeContext:
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "showtime")
    own, movie = texts[kind], one_line(screening.movie_title)
    when, name = date_and_time(screening.starts_at, screening.time_zone, locale), one_line(event.name or "")[:100]
    where = f"{one_line(screening.theater_name)}, {one_line(screening.auditorium_name)}"
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
            (texts["where"], where),
            (texts["reference"], one_line(event.reference or "")),
        ],
        button=texts["button"],
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
    )
