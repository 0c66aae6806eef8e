"""Messages as plain data: under which key, when to try again, what staff may see.

Problem (contracts.errors)
└── (none of its own: the chassis answers for tokens, permissions, cursors)

RejectedEvent (contracts.errors)
└── Unmailable      the event cannot become a mail: dead letter

DeliveryError
├── Refused         the mail server will never take this message
└── TryLater        the mail server is away or busy
"""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Literal

from contracts.errors import RejectedEvent

Kind = Literal[
    "confirmation",
    "rescheduled",
    "showtime_cancelled",
    "booking_link",
    "verification",
    "registration_repeated",
    "password_reset",
    "email_change",
    "invitation",
    "security",
]
State = Literal["queued", "sending", "sent", "failed"]

LONGEST_PAUSE = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(days=2)
MAX_REASON = 300

# Bidirectional controls can make a line read as something that it is not (Unicode TR 36).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Stricter than RFC 5321: no quoted local parts, no address literals. Nothing that could end or split a header.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,185}")


class Unmailable(RejectedEvent):
    """The event cannot become a mail, now or later."""


class DeliveryError(Exception):
    """The mail server did not take a message. The text is its answer."""


class Refused(DeliveryError):
    """It will never take this message."""


class TryLater(DeliveryError):
    """It is away or busy, or we are set up wrongly."""


def message_key(kind: Kind, subject: str) -> str:
    """One message of a kind about one thing: the same key is the same message."""
    return f"{kind}.{subject}"


def next_try_at(attempts: int, queued_at: datetime, now: datetime, first_pause: timedelta) -> datetime | None:
    """When to try again after so many failed attempts: each pause twice the one before; None to give up."""
    pause = min(first_pause * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    due_at = now + pause
    return due_at if due_at <= queued_at + GIVE_UP_AFTER else None


def checked_address(address: str) -> tuple[str, str]:
    """Local part and ASCII domain of a plain address. Raises Unmailable."""
    if not _ADDRESS.fullmatch(address):
        raise Unmailable("the e-mail address is not one")
    local, _, domain = address.partition("@")
    try:
        return local, domain.encode("idna").decode()
    except UnicodeError as error:
        raise Unmailable("the e-mail address has no valid domain") from error


def one_line(text: str) -> str:
    """The text on one line, without control characters: fit for a header and for a line of plain text."""
    line = " ".join(text.split())
    if line.isprintable():  # the usual case: nothing to take out
        return line
    return "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cs"} and c not in _BIDI)


def masked(address: str) -> str:
    """An address as staff see it: first letter and domain."""
    return f"{address[:1]}***@{address.rpartition('@')[2]}"


def masked_reason(reason: str, address: str) -> str:
    """A mail server's answer without the address that it often repeats."""
    return re.sub(re.escape(address), masked(address), one_line(reason), flags=re.IGNORECASE)[:MAX_REASON]
