"""The plain kind of mail: a few sentences, what they are about, and a button."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from chassis.secrets import Unsealable

from notifier import settings
from notifier.mail import Letter, render
from notifier.model import Unmailable


class Facts(NamedTuple):
    """Everything that the templates print. `details` are label and text; without a `button` there is none."""

    to: Address
    language: str
    words: dict[str, Any]
    name: str
    subject: str
    intro: str
    details: list[tuple[str, str]]
    button: str
    url: str
    why: str


def letter(facts: Facts) -> Letter:
    """The facts in both forms."""
    text, html = render("notice", facts)
    return Letter(facts.to, facts.subject, text, html, [])


def page(path: str) -> str:
    """The address of a page of ours."""
    return f"{settings.get().public_url.rstrip('/')}/{path}"


def booking_page(booking_id: str, sealed_link: str | None) -> str:
    """The address of a booking's page; with a link's key, it opens without signing in. Raises Unmailable.

    The key follows a `#`, which no browser sends to any server or tells others.
    """
    key = f"#key={unsealed(sealed_link)}" if sealed_link else ""
    return page(f"bookings/{booking_id}{key}")


def unsealed(secret: str) -> str:
    """What identity or booking has sealed for a mail. Raises Unmailable."""
    try:
        return settings.get().seal.open(secret)
    except Unsealable as error:
        raise Unmailable("the link was sealed with a LINK_KEY that is not ours") from error
