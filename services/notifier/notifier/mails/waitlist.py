"""The mails to parties on a waitlist: they joined, seats are held for them, or the waitlist has ended.

Times are in the theater's time zone.
"""

from email.headerregistry import Address
from typing import Literal

from chassis.locales import isolated, money
from contracts.inventory import SeatsOffered, WaitlistEnded, WaitlistEvent, WaitlistJoined

from notifier.mails import notice
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import page_url
from notifier.model import checked_address, one_line

Details = list[tuple[str, str]]


def joined_context(event: WaitlistJoined) -> NoticeContext:
    """Return what the mail to a new party prints: its position, and the link to see or leave it. Raises Unmailable."""
    texts, locale = texts_of(locale_of(event.locale).language, "waitlist"), locale_of(event.locale)
    size = str(event.min_seats)
    if event.max_seats > event.min_seats:
        size = texts["range"].format(least=event.min_seats, most=event.max_seats)
    return _context(
        "joined",
        event,
        [
            (texts["position"], str(event.position)),
            (texts["seats_wanted"], size),
            (texts["closes"], date_and_time(event.closes_at, event.screening.time_zone, locale)),
        ],
    )


def offered_context(event: SeatsOffered) -> NoticeContext:
    """Return what the mail with an offer prints: the seats, the price, and until when. Raises Unmailable."""
    texts, locale = texts_of(locale_of(event.locale).language, "waitlist"), locale_of(event.locale)
    seats = ", ".join(isolated(one_line(seat.full_name)) for seat in event.seats)
    until = date_and_time(event.expires_at, event.screening.time_zone, locale)
    price = texts["up_to"].format(amount=money(event.amount, event.currency, locale))
    return _context("offered", event, [(texts["until"], until), (texts["seats"], seats), (texts["price"], price)])


def ended_context(event: WaitlistEnded) -> NoticeContext:
    """Return what the mail about the end of a waitlist prints. Raises Unmailable."""
    return _context(event.reason, event, [])


def _context(
    kind: Literal["joined", "offered", "closed", "cancelled"], event: WaitlistEvent, details: Details
) -> NoticeContext:
    locale, screening = locale_of(event.locale), event.screening
    texts = texts_of(locale.language, "waitlist")
    own, movie = texts[kind], isolated(one_line(screening.movie_title))
    key = f"#key={notice.decrypted(event.sealed_secret)}" if event.sealed_secret else ""
    return NoticeContext(
        to=Address("", *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name="",
        subject=own["subject"].format(movie=movie),
        intro=own["intro"],
        details=[
            *details,
            (texts["movie"], movie),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
        ],
        button=own.get("button", ""),
        url=page_url(f"showtimes/{event.showtime_id}/waitlist{key}"),
        why=own["why"],
    )
