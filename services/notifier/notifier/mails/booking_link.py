"""The mails with links to bookings, for a guest who looked up one by its reference, or all by the address."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from chassis.locales import isolated
from contracts.booking import BookingLinkRequested, BookingLinksRequested

from notifier.mails import notice
from notifier.mails.languages import date_and_time, locale_of, texts_of, where
from notifier.mails.mime import RenderedMail
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import render_template
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


class LinkedBooking(NamedTuple):
    """A booking as the mail lists it."""

    movie: str
    when: str
    where: str
    reference: str
    url: str


class LinksContext(NamedTuple):
    """The variables of the templates."""

    to: Address
    language: str
    texts: dict[str, Any]
    name: str
    subject: str
    bookings: list[LinkedBooking]

    def render(self) -> RenderedMail:
        """Render the mail."""
        text, html = render_template("links", self)
        return RenderedMail(self.to, self.subject, text, html, [], None)


def booking_links_context(event: BookingLinksRequested) -> LinksContext:
    """Return what the mail prints, each booking in its theater's time zone. Raises Unmailable."""
    locale = locale_of(event.locale)
    texts, name = texts_of(locale.language, "lookup_all"), one_line(event.name or "")[:100]
    return LinksContext(
        to=Address(name, *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name=name,
        subject=texts["subject"],
        bookings=[
            LinkedBooking(
                movie=isolated(one_line(booking.screening.movie_title)),
                when=date_and_time(booking.screening.starts_at, booking.screening.time_zone, locale),
                where=where(booking.screening),
                reference=one_line(booking.reference),
                url=notice.booking_url(booking.booking_id, booking.sealed_link),
            )
            for booking in event.bookings
        ],
    )
