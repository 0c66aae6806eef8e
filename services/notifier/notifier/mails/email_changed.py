"""The notice to the former address of a booking. It has no ticket codes and no link: others may read this mailbox."""

from email.headerregistry import Address

from chassis.locales import isolated
from contracts.booking import BookingEmailChanged

from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import page_url
from notifier.model import checked_address, one_line


def email_changed_context(event: BookingEmailChanged) -> NoticeContext:
    """Return what the notice prints, in the theater's time zone. Raises Unmailable."""
    locale, screening = locale_of(event.locale), event.screening
    texts, reference = texts_of(locale.language, "email_changed"), one_line(event.reference)
    return NoticeContext(
        to=Address("", *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name="",
        subject=texts["subject"].format(reference=reference),
        intro=texts["intro"],
        details=[
            (texts["movie"], isolated(one_line(screening.movie_title))),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
            (texts["reference"], reference),
        ],
        button="",
        url=page_url("find-booking"),
        why=texts["why"],
    )
