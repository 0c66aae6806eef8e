"""Rendered mails and their MIME form."""

import base64
import quopri
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, formataddr
from functools import lru_cache
from typing import NamedTuple

from notifier import settings

PLACEHOLDER = "address@place.invalid"
# The parts are quoted-printable or base64, and "=_" occurs in neither.
BOUNDARY = "=_usher"


class InlineImage(NamedTuple):
    """A PNG that the HTML shows as `cid:{cid}`; the filename is ASCII without quotes."""

    cid: str
    filename: str
    png: bytes


class RenderedMail(NamedTuple):
    """A mail's recipient, subject and content, in plain text and HTML."""

    to: Address
    subject: str
    text: str
    html: str
    images: list[InlineImage]


def compose(rendered: RenderedMail, key: str, written_at: datetime) -> bytes:
    """Return the mail as bytes. Every attempt for a key has the same `Message-ID`, which identifies a repetition.

    Only the encoding comes from the standard library: its classes for mails take ten times as long.
    """
    sender = settings.get().sender
    html = _entity(*_multipart("related", [_text("html", rendered.html), *map(_inline, rendered.images)]))
    content_type, body = _multipart("alternative", [_text("plain", rendered.text), html])
    headers = {
        "From": _mailbox(sender),
        "To": _mailbox(rendered.to),
        "Subject": _encoded_subject(rendered.subject),
        "Date": format_datetime(written_at),
        "Message-ID": f"<{key}@{sender.domain}>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
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
        "Content-Transfer-Encoding": "base64",
        "Content-ID": f"<{image.cid}>",
        "Content-Disposition": f'inline; filename="{image.filename}"',
    }
    return _entity(headers, base64.encodebytes(image.png).replace(b"\n", b"\r\n"))


@lru_cache(1000)
def _encoded_subject(subject: str) -> str:
    """Encode a subject (RFC 2047). Cached: many mails share it, and encoding takes as long as making the QR code."""
    return Header(subject, header_name="Subject").encode(linesep="\r\n")


def _mailbox(address: Address) -> str:
    """Encode an address for a header. The name is encoded; a non-ASCII address is not (RFC 6531)."""
    return formataddr((address.display_name, PLACEHOLDER)).replace(PLACEHOLDER, address.addr_spec)
