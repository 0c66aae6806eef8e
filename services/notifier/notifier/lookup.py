"""The mail with a link to a booking, for whoever asked for one."""

from email.headerregistry import Address

from chassis.clock import now
from contracts.booking import BookingLinkRequested

from notifier import notice
from notifier.languages import date_and_time, locale_of, words_of
from notifier.mail import Letter
from notifier.model import Refused, checked_address, one_line
from notifier.notice import Facts


def letter(event: str) -> Letter:
    """The letter for the JSON of a `BookingLinkRequested`. Raises Unmailable, and Refused when the link is too old."""
    told = BookingLinkRequested.model_validate_json(event)
    if told.expires_at <= now():
        raise Refused("the link is too old")
    return notice.letter(facts(told))


def facts(event: BookingLinkRequested) -> Facts:
    """What the letter prints, in the theater's time. Raises Unmailable."""
    locale, screening = locale_of(event.locale), event.screening
    words, name = words_of(locale.language, "lookup"), one_line(event.name or "")[:100]
    reference = one_line(event.reference)
    return Facts(
        to=Address(name, *checked_address(event.email)),
        language=locale.language,
        words=words,
        name=name,
        subject=words["subject"].format(reference=reference),
        intro=words["intro"],
        details=[
            (words["movie"], one_line(screening.movie_title)),
            (words["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (words["where"], f"{one_line(screening.theater_name)}, {one_line(screening.auditorium_name)}"),
            (words["reference"], reference),
            (words["until"], date_and_time(event.expires_at, screening.time_zone, locale)),
        ],
        button=words["button"],
        url=notice.booking_page(event.booking_id, event.sealed_link),
        why=words["why"],
    )
