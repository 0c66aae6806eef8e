"""Letters, and the MIME form in which they travel."""

from datetime import datetime
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier import settings


class _Headers(HeaderRegistry):
    """The library makes a new class for every header of every part; one for each name halves the work of a mail."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, type] = {}

    def __getitem__(self, name: str) -> type:
        if name not in self._kinds:
            self._kinds[name] = super().__getitem__(name)
        return self._kinds[name]


POLICY = SMTP.clone(header_factory=_Headers())


class Picture(NamedTuple):
    """A PNG that the HTML shows as `cid:{cid}`."""

    cid: str
    filename: str
    png: bytes


class Letter(NamedTuple):
    """What a mail says, in both forms."""

    to: Address
    subject: str
    text: str
    html: str
    pictures: list[Picture]


@cache
def templates() -> Environment:
    """The templates; what goes into the HTML ones is escaped."""
    return Environment(
        loader=PackageLoader("notifier"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(name: str, facts: Any) -> tuple[str, str]:
    """The plain text and the HTML of a kind of letter."""
    text, html = (templates().get_template(f"{name}.{form}").render(facts=facts) for form in ("txt", "html"))
    return text, html


def compose(letter: Letter, key: str, written_at: datetime) -> EmailMessage:
    """The mail. Every attempt for a key has the same `Message-ID`, so that a repetition is seen to be one."""
    sender = settings.get().sender
    mail = EmailMessage(policy=POLICY)
    mail["From"] = sender
    mail["To"] = letter.to
    mail["Subject"] = letter.subject
    mail["Date"] = written_at
    mail["Message-ID"] = f"<{key}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    html = mail.get_body(("html",))
    assert isinstance(html, EmailMessage)  # noqa: S101 - it was added just now
    for picture in letter.pictures:
        cid = f"<{picture.cid}>"
        html.add_related(picture.png, "image", "png", cid=cid, filename=picture.filename, disposition="inline")
    return mail
