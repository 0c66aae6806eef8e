"""Letters, and the MIME form in which they travel."""

import base64
import quopri
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, formataddr
from functools import cache, lru_cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier import settings

PLACE = "address@place.invalid"
# Every line of a part is quoted-printable, where "=_" cannot stand, or base64.
BOUNDARY = "=_usher"


class Picture(NamedTuple):
    """A PNG that the HTML shows as `cid:{cid}`; the filename is ASCII, without quotes."""

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
        auto_reload=False,
    )


def render(name: str, facts: Any) -> tuple[str, str]:
    """The plain text and the HTML of a kind of letter."""
    text, html = (templates().get_template(f"{name}.{form}").render(facts=facts) for form in ("txt", "html"))
    return text, html


def compose(letter: Letter, key: str, written_at: datetime) -> bytes:
    """The mail. Every attempt for a key has the same `Message-ID`, so that a repetition is seen to be one.

    Put together here, of what the standard library encodes: its own classes for mails take ten times as long.
    """
    sender = settings.get().sender
    pictured = _entity(*_parts("related", [_text("html", letter.html), *map(_inline, letter.pictures)]))
    kind, body = _parts("alternative", [_text("plain", letter.text), pictured])
    headers = {
        "From": _mailbox(sender),
        "To": _mailbox(letter.to),
        "Subject": _encoded(letter.subject),
        "Date": format_datetime(written_at),
        "Message-ID": f"<{key}@{sender.domain}>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    return _entity(headers | kind, body)


def _entity(headers: dict[str, str], body: bytes) -> bytes:
    """A mail, or a part of one (RFC 5322, 2.1)."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


def _parts(form: str, parts: list[bytes]) -> tuple[dict[str, str], bytes]:
    """Header and body of what has several parts (RFC 2046, 5.1)."""
    boundary = f"{BOUNDARY}-{form}"
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"
    return {"Content-Type": f'multipart/{form}; boundary="{boundary}"'}, body


def _text(form: str, text: str) -> bytes:
    headers = {"Content-Type": f'text/{form}; charset="utf-8"', "Content-Transfer-Encoding": "quoted-printable"}
    return _entity(headers, quopri.encodestring(text.replace("\n", "\r\n").encode()))


def _inline(picture: Picture) -> bytes:
    headers = {
        "Content-Type": "image/png",
        "Content-Transfer-Encoding": "base64",
        "Content-ID": f"<{picture.cid}>",
        "Content-Disposition": f'inline; filename="{picture.filename}"',
    }
    return _entity(headers, base64.encodebytes(picture.png).replace(b"\n", b"\r\n"))


@lru_cache(1000)
def _encoded(subject: str) -> str:
    """As a header says it (RFC 2047). Mails to many people have the same, and it takes as long as the QR code."""
    return Header(subject, header_name="Subject").encode(linesep="\r\n")


def _mailbox(address: Address) -> str:
    """As a header says it. The name is encoded; an address beyond ASCII stands there as it is (RFC 6531)."""
    return formataddr((address.display_name, PLACE)).replace(PLACE, address.addr_spec)
