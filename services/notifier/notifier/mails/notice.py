"""The template that most mails share: a few sentences, a list of details and a button."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from chassis.calendars import CalendarFile
from chassis.security.secrets import CannotDecrypt
from contracts.types import Holder

from notifier import settings
from notifier.mails.mime import RenderedMail
from notifier.mails.rendering import page_url, render_template
from notifier.model import Unmailable


class NoticeContext(NamedTuple):
    """The variables of the templates. `details` are pairs of label and text; an empty `button` is left out."""

    to: Address
    language: str
    texts: dict[str, Any]
    name: str
    subject: str
    intro: str
    details: list[tuple[str, str]]
    button: str
    url: str
    why: str
    calendar: CalendarFile | None = None

    def render(self) -> RenderedMail:
        """Render the mail."""
        text, html = render_template("notice", self)
        return RenderedMail(self.to, self.subject, text, html, [], self.calendar)


def can_open(holder: Holder) -> bool:
    """Whether the holder can open the booking's page: not after deleting the account."""
    return not (holder.user_id or "").startswith("erased-")


def booking_url(booking_id: str, encrypted_key: str | None, page: str = "") -> str:
    """Return the address of a booking's page; with a key, the page opens without signing in. Raises Unmailable.

    `page`: a page below it.

    The key follows a `#`: browsers send that part of an address to no server, not even as the referrer.
    """
    key = f"#key={decrypted(encrypted_key)}" if encrypted_key else ""
    return page_url(f"bookings/{booking_id}{page}{key}")


def decrypted(secret: str) -> str:
    """Decrypt a secret that identity or booking encrypted for a mail. Raises Unmailable."""
    try:
        return settings.get().link_encryption.decrypt(secret)
    except CannotDecrypt as error:
        raise Unmailable("the mail's secret was encrypted with a LINK_KEY that this service does not have") from error
