"""The plain kind of mail: a few sentences, what they are about, and a button."""

from email.headerregistry import Address
from typing import Any, NamedTuple

from notifier import settings
from notifier.mail import Letter, render


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
