"""The mails about tickets that people give to each other. Times are in the theater's time zone.

Recipients see nothing of the customer but the name and message that the giver chose.
"""

from email.headerregistry import Address

from chassis.locales import isolated
from contracts.booking import BookingTicketOffered, BookingTicketTransferred, TransferredTicketChanged

from notifier.mails import notice
from notifier.mails.languages import date_and_time, label, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import page_url
from notifier.model import checked_address, one_line

TransferEvent = BookingTicketOffered | BookingTicketTransferred | TransferredTicketChanged
Details = list[tuple[str, str]]


def ticket_offered_context(event: BookingTicketOffered) -> NoticeContext:
    """Return what the mail with the link to an offered ticket prints. Raises Unmailable."""
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "transfer")
    sender, message = one_line(event.sender or ""), one_line(event.message or "")
    kinds = texts_of(locale.language, "confirmation")["ticket_types"]
    return _context(
        "offered",
        event,
        [
            *([(texts["sender"], isolated(sender))] if sender else []),
            *([(texts["message"], isolated(message))] if message else []),
        ],
        [
            (texts["ticket_type"], label(kinds, event.ticket_type)),
            (texts["until"], date_and_time(event.expires_at, event.screening.time_zone, locale)),
        ],
    )


def ticket_transferred_context(event: BookingTicketTransferred) -> NoticeContext:
    """Return what the mail to the customer about an accepted or returned ticket prints. Raises Unmailable."""
    texts = texts_of(locale_of(event.locale).language, "transfer")
    context = _context(event.reason or "accepted", event, [], [(texts["reference"], one_line(event.reference))])
    name = one_line(event.name or "")[:100]
    return context._replace(
        name=name,
        to=Address(name, context.to.username, context.to.domain),
        url=notice.booking_url(event.booking_id, event.sealed_link),
    )


def ticket_changed_context(event: TransferredTicketChanged) -> NoticeContext:
    """Return what the mail to a recipient prints: the showtime has a new start, or the ticket is void.

    Raises Unmailable.
    """
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "transfer")
    before: Details = []
    if event.previous_starts_at:
        before = [(texts["before"], date_and_time(event.previous_starts_at, event.screening.time_zone, locale))]
    return _context(event.change, event, [], before)


def _context(kind: str, event: TransferEvent, first: Details, more: Details) -> NoticeContext:
    locale, screening = locale_of(event.locale), event.screening
    texts, movie = texts_of(locale.language, "transfer"), isolated(one_line(screening.movie_title))
    key = f"#key={notice.decrypted(event.sealed_link)}" if event.sealed_link else ""
    own = texts[kind]
    return NoticeContext(
        to=Address("", *checked_address(event.email or "")),
        language=locale.language,
        texts=texts,
        name="",
        subject=own["subject"].format(movie=movie),
        intro=own["intro"],
        details=[
            *first,
            (texts["movie"], movie),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
            (texts["seat"], isolated(one_line(event.seat.full_name))),
            *more,
        ],
        button=own.get("button", ""),
        url=page_url(f"tickets/{event.ticket_id}{key}"),
        why=own["why"],
    )
