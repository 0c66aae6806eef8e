"""The mail with a link to a booking, for a guest who looked up the booking by its reference."""

from email.headerregistry import Address

from chassis.locales import isolated
from contracts.booking import BookingLinkRequested

from notifier.mails import notice
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.model import checked_address, one_line


def booking_link_context(event: BookingLinkRequested) -> NoticeContext:
    """Return what the mail prints, in the theater's time zone. Raises Unmailable."""
    locale, screening = locale_of(event.locale), event.screening
    texts, name = texts_of(locale.language, "lookup"), one_line(event.name or "")[:100]
    reference = one_line(event.reference)
    return NoticeContext(
        to=Address(name, *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name=name,
        subject=texts["subject"].format(reference=reference),
        intro=texts["intro"],
        details=[
            (texts["movie"], isolated(one_line(screening.movie_title))),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
            (texts["reference"], reference),
            (texts["until"], date_and_time(event.expires_at, screening.time_zone, locale)),
        ],
        button=texts["button"],
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
    )
