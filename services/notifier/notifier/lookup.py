"""The mail with a link to a booking, for a guest who looked up the booking by its reference."""

from email.headerregistry import Address

from chassis.clock import now
from contracts.booking import BookingLinkRequested

from notifier import notice
from notifier.languages import date_and_time, locale_of, texts_of
from notifier.mail import RenderedMail
from notifier.model import Refused, checked_address, one_line
from notifier.notice import NoticeContext


def render_event(event: str) -> RenderedMail:
    """Render the mail for the JSON of a `BookingLinkRequested`. Raises Unmailable, and Refused for an expired link."""
    request = BookingLinkRequested.model_validate_json(event)
    if request.expires_at <= now():
        raise Refused("the link has expired")
    return notice.render(build_context(request))


def build_context(event: BookingLinkRequested) -> NoticeContext:
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
            (texts["movie"], one_line(screening.movie_title)),
            (texts["when"], date_and_time(screening.starts_at, screening.time_zone, locale)),
            (texts["where"], f"{one_line(screening.theater_name)}, {one_line(screening.auditorium_name)}"),
            (texts["reference"], reference),
            (texts["until"], date_and_time(event.expires_at, screening.time_zone, locale)),
        ],
        button=texts["button"],
        url=notice.booking_url(event.booking_id, event.sealed_link),
        why=texts["why"],
    )
