"""Letters, and the MIME form in which they travel."""

from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier import settings

QUOTED = Charset("utf-8")
QUOTED.body_encoding = QP
ON_THE_WIRE = compat32.clone(linesep="\r\n", max_line_length=998)
PLACE = "address@place.invalid"
# Every line of a part is quoted-printable, where "=_" cannot stand, or base64.
BOUNDARY = "=_usher"


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
        auto_reload=False,
    )


def render(name: str, facts: Any) -> tuple[str, str]:
    """The plain text and the HTML of a kind of letter."""
    text, html = (templates().get_template(f"{name}.{form}").render(facts=facts) for form in ("txt", "html"))
    return text, html


def compose(letter: Letter, key: str, written_at: datetime) -> bytes:
    """The mail. Every attempt for a key has the same `Message-ID`, so that a repetition is seen to be one.

    Built of the standard library's older classes: those of `EmailMessage` parse every header that they are given, which
    takes four times as long.
    """
    sender = settings.get().sender
    pictured = MIMEMultipart("related", boundary=f"{BOUNDARY}-related")
    pictured.attach(_quoted(letter.html, "html"))
    for picture in letter.pictures:
        image = MIMEImage(picture.png, "png")
        image["Content-ID"] = f"<{picture.cid}>"
        image.add_header("Content-Disposition", "inline", filename=picture.filename)
        pictured.attach(image)
    mail = MIMEMultipart("alternative", boundary=f"{BOUNDARY}-alternative")
    mail["From"] = _mailbox(sender)
    mail["To"] = _mailbox(letter.to)
    mail["Subject"] = Header(letter.subject, header_name="Subject").encode()
    mail["Date"] = format_datetime(written_at)
    mail["Message-ID"] = f"<{key}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.attach(_quoted(letter.text, "plain"))
    mail.attach(pictured)
    return mail.as_bytes(policy=ON_THE_WIRE)


def _quoted(text: str, form: str) -> MIMEText:
    # The library takes a Charset as well as a name; its stubs do not know.
    return MIMEText(text, form, QUOTED)  # pyright: ignore[reportArgumentType]


def _mailbox(address: Address) -> str:
    """As a header says it. The name is encoded; an address beyond ASCII stands there as UTF-8 (RFC 6531)."""
    spec = address.addr_spec.encode().decode("ascii", "surrogateescape")
    return formataddr((address.display_name, PLACE)).replace(PLACE, spec)
