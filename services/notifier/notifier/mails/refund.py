"""The mail about money that went back, in whole or in part. Times are in the theater's time zone."""

from email.headerregistry import Address

from chassis.locales import isolated, money
from contracts.booking import BookingRefundMade
from contracts.types import seat_names

from notifier.mails import notice
from notifier.mails.calendar import booking_calendar
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.model import checked_address, one_line


def is_told(event: BookingRefundMade) -> bool:
    """Whether the refund is worth a mail: money moved, and there is an address."""
    return event.amount > 0 and event.email is not None


def refund_context(event: BookingRefundMade) -> NoticeContext:
    """Return what the mail prints: the amount, and whether the tickets are still valid. Raises Unmailable."""
    locale, screening = locale_of(event.locale), event.screening
    texts, name = texts_of(locale.language, "refund"), one_line(event.name or "")[:100]
    amount, refunded, paid = (
        money(minor, event.currency, locale) for minor in (event.amount, event.refunded, event.paid)
    )
    reference = one_line(event.reference)
    details = [(texts["amount"], amount)]
    if event.seats:
        details.append((texts["seats"], ", ".join(isolated(one_line(name)) for name in seat_names(event.seats))))
    if event.refunded > event.amount or event.refunded < event.paid:
        details.append((texts["total"], texts["of"].format(refunded=refunded, paid=paid)))
    if screening:
        details += [
            (texts["movie"], isolated(one_line(screening.movie_title))),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
        ]
    details.append((texts["reference"], reference))
    calendar = None
    if screening and event.reason == "refunded_at_provider":  # the mail about another cancellation has the file
        summary = f"{texts['reference']}: {reference}"
        calendar = booking_calendar(
            event.calendar_id or event.booking_id,
            screening,
            summary,
            sequence=event.moves + 1,
            page=event.booking_id,
            is_cancelled=True,
        )
    return NoticeContext(
        to=Address(name, *checked_address(event.email or "")),
        language=locale.language,
        texts=texts,
        name=name,
        subject=texts["subject"].format(amount=amount, reference=reference),
        intro=f"{_tickets(texts['tickets'], event)} {texts['credit' if event.refund_to == 'credit' else 'intro']}",
        details=details,
        button=texts["button"] if notice.can_open(event.holder) else "",
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
        calendar=calendar,
    )


def _tickets(sentences: dict[str, str], event: BookingRefundMade) -> str:
    """The sentence about the tickets. A reason that this release does not know is described in general terms."""
    if event.reason is None:
        return sentences["part_cancelled" if event.seats else "valid"]
    return sentences.get(event.reason, sentences["ended"])
