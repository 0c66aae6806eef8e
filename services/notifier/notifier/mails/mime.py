"""Rendered mails and their MIME form."""

import base64
import quopri
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, formataddr
from functools import lru_cache
from typing import NamedTuple

from chassis.calendars import CalendarFile

from notifier import settings

MAX_LINE, MAX_WORD = 78, 75
# The parts are quoted-printable or base64, and "=_" occurs in neither.
BOUNDARY = "=_usher"


class InlineImage(NamedTuple):
    """A PNG that the HTML shows as `cid:{cid}`; the filename is ASCII without quotes."""

    cid: str
    filename: str
    png: bytes


class RenderedMail(NamedTuple):
    """A mail's recipient, subject and content, in plain text and HTML, and the attached calendar file.

    A POST to `unsubscribe_url` turns such mails off (RFC 8058).
    """

    to: Address
    subject: str
    text: str
    html: str
    images: list[InlineImage]
    calendar: CalendarFile | None = None
    unsubscribe_url: str = ""


def compose(rendered: RenderedMail, key: str, written_at: datetime) -> bytes:
    """Return the mail as bytes. Every attempt for a key has the same `Message-ID`, which identifies a repetition.

    Only the encoding comes from the standard library: its classes for mails take ten times as long.
    """
    sender = settings.get().sender
    html = _entity(*_multipart("related", [_text("html", rendered.html), *map(_inline, rendered.images)]))
    content_type, body = _multipart("alternative", [_text("plain", rendered.text), html])
    if rendered.calendar:
        content_type, body = _multipart("mixed", [_entity(content_type, body), _attached(rendered.calendar)])
    headers = {
        "From": _mailbox("From", sender),
        "To": _mailbox("To", rendered.to),
        "Subject": _encoded_subject(rendered.subject),
        "Date": format_datetime(written_at),
        "Message-ID": f"<{key}@{sender.domain}>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    if rendered.unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{rendered.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return _entity(headers | content_type, body)


def _entity(headers: dict[str, str], body: bytes) -> bytes:
    """Return a mail or a part of one (RFC 5322, 2.1)."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


def _multipart(subtype: str, parts: list[bytes]) -> tuple[dict[str, str], bytes]:
    """Return the header and the body of a multipart entity (RFC 2046, 5.1)."""
    boundary = f"{BOUNDARY}-{subtype}"
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"
    return {"Content-Type": f'multipart/{subtype}; boundary="{boundary}"'}, body


def _text(subtype: str, text: str) -> bytes:
    headers = {"Content-Type": f'text/{subtype}; charset="utf-8"', "Content-Transfer-Encoding": "quoted-printable"}
    return _entity(headers, quopri.encodestring(text.replace("\n", "\r\n").encode()))


def _inline(image: InlineImage) -> bytes:
    headers = {
        "Content-Type": "image/png",
        "Content-ID": f"<{image.cid}>",
        "Content-Disposition": f'inline; filename="{image.filename}"',
    }
    return _base64(headers, image.png)


def _attached(calendar: CalendarFile) -> bytes:
    """Attach the file with its method in the type, from which mail programs offer to change the calendar (RFC 6047)."""
    headers = {
        "Content-Type": f'text/calendar; charset="utf-8"; method={calendar.method}',
        "Content-Disposition": 'attachment; filename="showtime.ics"',
    }
    return _base64(headers, calendar.content)


def _base64(headers: dict[str, str], content: bytes) -> bytes:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return _entity(headers | {"Content-Transfer-Encoding": "base64"}, encoded)


@lru_cache(1000)
def _encoded_subject(subject: str) -> str:
    """Encode a subject (RFC 2047). Cached: many mails share it, and encoding takes as long as making the QR code."""
    return Header(subject, maxlinelen=MAX_WORD, header_name="Subject").encode(linesep="\r\n")


def _mailbox(header: str, address: Address) -> str:
    """Encode an address for a header. The name is encoded; a non-ASCII address is not (RFC 6531).

    A name becomes words of at most 75 characters (RFC 2047, 2) on lines of at most 78 (RFC 5322, 2.1.1).
    """
    name, mailbox = address.display_name, f"<{address.addr_spec}>"
    if not name:
        return address.addr_spec
    if name.isascii():
        phrase = _quoted(name)
    else:
        phrase = Header(name, "utf-8", maxlinelen=MAX_WORD, header_name=header).encode(linesep="\r\n")
    last_line = f"{header}: {phrase}".rpartition("\r\n")[2]
    return f"{phrase} {mailbox}" if len(last_line) + 1 + len(mailbox) <= MAX_LINE else f"{phrase}\r\n {mailbox}"


def _quoted(name: str) -> str:
    """Quote an ASCII name if it needs that (RFC 5322, 3.4)."""
    return formataddr((name, "")).removesuffix(" <>")
