"""The mails to people with tickets whose showtime is moved or cancelled, in the theater's time."""

from email.headerregistry import Address
from typing import Literal

from contracts.booking import BookingCancelled, BookingRescheduled, Screening

from notifier import notice
from notifier.languages import date_and_time, locale_of, money, words_of
from notifier.mail import Letter
from notifier.model import Unmailable, checked_address, one_line
from notifier.notice import Facts

Change = BookingRescheduled | BookingCancelled
Details = list[tuple[str, str]]


def rescheduled(event: str) -> Letter:
    """The letter for the JSON of a `BookingRescheduled`. Raises Unmailable."""
    return notice.letter(moved(BookingRescheduled.model_validate_json(event)))


def cancelled(event: str) -> Letter:
    """The letter for the JSON of a `BookingCancelled`. Raises Unmailable."""
    return notice.letter(called_off(BookingCancelled.model_validate_json(event)))


def takes_tickets(event: BookingCancelled) -> bool:
    """Whether it takes back, with its showtime, what somebody had paid for; the price may have been nothing."""
    return event.reason == "showtime_cancelled" and event.refund_amount is not None


def moved(event: BookingRescheduled) -> Facts:
    """What the mail about another start prints: that first, then the one that counts no more."""
    words = words_of(locale_of(event.locale).language, "showtime")
    before = date_and_time(event.previous_starts_at, event.screening.time_zone, locale_of(event.locale))
    return _facts("rescheduled", event, event.screening, "now", [(words["before"], before)])


def called_off(event: BookingCancelled) -> Facts:
    """What the mail about a cancelled showtime prints."""
    if event.screening is None:
        raise Unmailable("nobody said which showtime was cancelled")
    locale, details = locale_of(event.locale), Details()
    if event.refund_amount and event.currency:
        label = words_of(locale.language, "showtime")["money_back"]
        details = [(label, money(event.refund_amount, event.currency, locale))]
    return _facts("showtime_cancelled", event, event.screening, "when", details)


def _facts(
    kind: Literal["rescheduled", "showtime_cancelled"],
    event: Change,
    screening: Screening,
    start: Literal["now", "when"],
    more: Details,
) -> Facts:
    """`start` is how the screening's start is called."""
    locale = locale_of(event.locale)
    words = words_of(locale.language, "showtime")
    said, movie = words[kind], one_line(screening.movie_title)
    when, name = date_and_time(screening.starts_at, screening.time_zone, locale), one_line(event.name or "")[:100]
    where = f"{one_line(screening.theater_name)}, {one_line(screening.auditorium_name)}"
    return Facts(
        to=Address(name, *checked_address(event.email or "")),
        language=locale.language,
        words=words,
        name=name,
        subject=said["subject"].format(movie=movie, when=when),
        intro=said["intro"],
        details=[
            (words["movie"], movie),
            (words[start], when),
            *more,
            (words["where"], where),
            (words["reference"], one_line(event.reference or "")),
        ],
        button=words["button"],
        url=notice.booking_page(event.booking_id, event.sealed_link),
        why=words["why"],
    )
