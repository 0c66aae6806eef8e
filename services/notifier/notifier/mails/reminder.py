"""The mail that reminds customers of their showtime. Times are in the theater's time zone."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from chassis.locales import isolated
from contracts.types import seat_names

from notifier import settings
from notifier.mails.languages import local_date_and_time, locale_of, map_url, texts_of
from notifier.mails.mime import RenderedMail
from notifier.mails.notice import booking_url
from notifier.mails.rendering import page_url, render_template
from notifier.model import ReminderLink, Slot, Unmailable, checked_address, one_line
from notifier.store import ReminderPlan, address_hash


class ReminderContext(NamedTuple):
    """The variables of the templates, in the reader's language and the theater's time zone."""

    to: Address
    language: str
    texts: dict[str, Any]
    name: str
    subject: str
    intro: str
    details: list[tuple[str, str]]
    map_url: str
    button: str
    url: str
    why: str
    off_url: str
    unsubscribe_url: str

    def render(self) -> RenderedMail:
        """Render the mail."""
        text, html = render_template("reminder", self)
        return RenderedMail(self.to, self.subject, text, html, [], unsubscribe_url=self.unsubscribe_url)


def reminder_context(plan: ReminderPlan, slot: Slot) -> ReminderContext:
    """Return what the mail prints. Raises Unmailable."""
    screening = plan.screening
    assert screening  # noqa: S101 - for the type checker: a plan without a showtime has an obstacle
    locale = locale_of(plan.locale)
    texts, name = texts_of(locale.language, "reminder"), one_line(plan.name or "")[:100]
    movie, address = isolated(one_line(screening.movie_title)), one_line(screening.address or "")
    date, begins = local_date_and_time(screening.starts_at, screening.time_zone, locale)
    link = ReminderLink(booking_id=plan.id, address_hash=address_hash(plan.email))
    token = settings.get().reminder_links.sign(link)
    where = (screening.theater_name, screening.auditorium_name)
    return ReminderContext(
        to=Address(name, *checked_address(plan.email)),
        language=locale.language,
        texts=texts,
        name=name,
        subject=texts[slot]["subject"].format(movie=movie, date=date, begins=begins),
        intro=texts[slot]["intro"],
        details=[
            (texts["movie"], movie),
            (texts["when"], f"{date}, {begins}"),
            (texts["where"], ", ".join(isolated(one_line(part)) for part in where)),
            (texts["seats"], ", ".join(isolated(one_line(seat)) for seat in seat_names(plan.valid_seats))),
            (texts["reference"], one_line(plan.reference)),
            *([(texts["address"], isolated(address))] if address else []),
        ],
        map_url=map_url(screening),
        button=texts["button"],
        url=_page_of(plan),
        why=texts["why"],
        off_url=page_url(f"reminders#token={token}"),
        unsubscribe_url=page_url(f"api/notifications/unsubscribe?token={token}"),
    )


def _page_of(plan: ReminderPlan) -> str:
    """Return the address of the booking's page, without a key if LINK_KEY was replaced since the booking."""
    try:
        return booking_url(plan.id, plan.sealed_link)
    except Unmailable:
        return booking_url(plan.id, None)
