"""The mails about tickets that the customer or staff cancelled, and about a refund that failed.

Times are in the theater's time zone.
"""

from collections.abc import Sequence
from email.headerregistry import Address

from chassis.locales import isolated, money
from contracts.booking import BookingRefundFailed, BookingTicketsCancelled, Screening
from contracts.types import Seat, seat_names

from notifier.mails import notice
from notifier.mails.calendar import booking_calendar
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.notice import NoticeContext
from notifier.model import checked_address, one_line


def tickets_cancelled_context(event: BookingTicketsCancelled) -> NoticeContext:
    """Return what the mail prints: the void tickets, the refund, and what stays valid. Raises Unmailable.

    The calendar loses the showtime with the last ticket.
    """
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "cancellation")
    details = [(texts["cancelled"], _names(event.seats))]
    if event.remaining:
        details.append((texts["remaining"], _names(event.remaining)))
    if event.refund_amount:
        details.append((texts["money_back"], money(event.refund_amount, event.currency, locale)))
    by = texts[event.reason]
    money_back = "no_refund" if not event.refund_amount else "credit" if event.refund_to == "credit" else "refund"
    intro = f"{by['part' if event.remaining else 'whole']} {texts[money_back]}"
    context = _context("cancellation", event, event.screening, intro, details)
    if event.remaining:
        return context
    summary = f"{texts['reference']}: {one_line(event.reference)}"
    file = booking_calendar(
        event.calendar_id or event.booking_id,
        event.screening,
        summary,
        sequence=event.moves + 1,
        page=event.booking_id,
        is_cancelled=True,
    )
    return context._replace(calendar=file)


def refund_failed_context(event: BookingRefundFailed) -> NoticeContext:
    """Return what the mail about a failed refund prints. Raises Unmailable."""
    locale = locale_of(event.locale)
    texts = texts_of(locale.language, "refund_failed")
    details = [(texts["amount"], money(event.amount, event.currency, locale))]
    return _context("refund_failed", event, event.screening, texts["intro"], details)


def _names(seats: Sequence[Seat]) -> str:
    return ", ".join(isolated(one_line(name)) for name in seat_names(seats))


def _context(
    section: str,
    event: BookingTicketsCancelled | BookingRefundFailed,
    screening: Screening | None,
    intro: str,
    details: list[tuple[str, str]],
) -> NoticeContext:
    locale = locale_of(event.locale)
    texts, name = texts_of(locale.language, section), one_line(event.name or "")[:100]
    reference = one_line(event.reference)
    if screening:
        details = [
            (texts["movie"], isolated(one_line(screening.movie_title))),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], where(screening)),
            *details,
        ]
    return NoticeContext(
        to=Address(name, *checked_address(event.email or "")),
        language=locale.language,
        texts=texts,
        name=name,
        subject=texts["subject"].format(reference=reference),
        intro=intro,
        details=[*details, (texts["reference"], reference)],
        button=texts["button"] if notice.can_open(event.holder) else "",
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
    )
