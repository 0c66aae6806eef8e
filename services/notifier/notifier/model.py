"""Rules for messages and reminders: keys, schedules, address validation, masking.

Problem (contracts.errors)
├── ReminderLinkInvalid     404
└── PreviewImpossible       422

RejectedEvent (contracts.errors)
└── Unmailable      the event cannot become a mail: dead letter

DeliveryError
├── Refused         permanent: the message will never be accepted
│   └── Obsolete    the recipient no longer needs the message
└── TryLater        temporary: the mail server is unavailable or busy
"""

import re
import unicodedata
from datetime import datetime, time, timedelta
from typing import ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo

import idna
from contracts.errors import Problem, RejectedEvent
from contracts.types import Id, Moment, Shape

Kind = Literal[
    "confirmation",
    "rescheduled",
    "showtime_cancelled",
    "tickets_cancelled",
    "refund",
    "refund_failed",
    "booking_link",
    "booking_links",
    "tickets_again",
    "email_changed",
    "ticket_offered",
    "ticket_transferred",
    "transferred_ticket_changed",
    "waitlist_joined",
    "seats_offered",
    "waitlist_ended",
    "gift_card",
    "reminder",
    "verification",
    "registration_repeated",
    "password_reset",
    "email_change",
    "invitation",
    "security",
]
State = Literal["queued", "sending", "sent", "failed"]
Slot = Literal["early", "late"]
"""The two reminders of a booking."""

LONGEST_PAUSE = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(days=2)
MAX_REASON = 300

REMIND_BEFORE: dict[Slot, timedelta] = {"early": timedelta(hours=24), "late": timedelta(hours=2)}
REMIND_UNTIL: dict[Slot, timedelta] = {"early": timedelta(hours=6), "late": timedelta(minutes=30)}
"""How long before the start a reminder still helps. After an outage, a later one is not sent."""
QUIET_FROM, QUIET_UNTIL = time(22), time(8)
"""The early reminder waits until the morning at the theater."""

# Bidirectional controls can make a line appear to read differently (Unicode TR 36).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Stricter than RFC 5321: no quoted local parts, no address literals, no character that could end or split a header.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,253}")
MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3: a path has 256 octets with its brackets


class ReminderLinkInvalid(Problem):
    code, status, title = "reminder_link_invalid", 404, "This link is not valid. Please use the link of a newer e-mail."


class PreviewImpossible(Problem):
    code, status, title = "preview_impossible", 422, "This event cannot become a mail."


class Unmailable(RejectedEvent):
    """The event cannot become a mail, now or later."""


class DeliveryError(Exception):
    """A message was not delivered. The text is the reason, usually the mail server's reply."""


class Refused(DeliveryError):
    """The message will never be accepted."""


class Obsolete(Refused):
    """The recipient no longer needs the message."""


class TryLater(DeliveryError):
    """The mail server is unavailable or busy, or the settings are wrong."""


def message_key(kind: Kind, subject: str) -> str:
    """Return the unique key of the message of a kind about a subject."""
    return f"{kind}.{subject}"


def next_try_at(attempts: int, queued_at: datetime, now: datetime, first_pause: timedelta) -> datetime | None:
    """Return when to try again after `attempts` failures; None to give up. Each pause is twice the one before."""
    pause = min(first_pause * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    due_at = now + pause
    return due_at if due_at <= queued_at + GIVE_UP_AFTER else None


class Reminder(NamedTuple):
    """One of a booking's reminders, and when it is due."""

    slot: Slot
    due_at: datetime


class ReminderContent(Shape):
    """What the message of a reminder stores. All that the mail prints is read when it is sent."""

    booking_id: Id
    slot: Slot
    starts_at: Moment


class ReminderLink(Shape):
    """The claim of a link that turns reminders off: those of the booking, or all to the address with this hash."""

    audience: ClassVar[str] = "usher:reminders"

    booking_id: Id
    address_hash: str


def next_reminder(starts_at: datetime, time_zone: str, told_at: datetime, after: datetime) -> Reminder | None:
    """Return the next reminder that is due after `after`.

    A customer who was told the start at `told_at`, by the confirmation or the mail about a new time, needs no reminder
    that would have been due before. Raises ZoneInfoNotFoundError or ValueError when the time zone does not exist.
    """
    zone = ZoneInfo(time_zone)
    for slot, before in REMIND_BEFORE.items():
        due_at = starts_at - before
        if told_at >= due_at:
            continue
        if slot == "early":
            due_at = _after_the_night(due_at, zone)
        if due_at > after:
            return Reminder(slot, due_at)
    return None


def _after_the_night(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment itself, or the end of the quiet hours in which it is."""
    local = moment.astimezone(zone)
    if QUIET_UNTIL <= local.time() < QUIET_FROM:
        return moment
    day = local.date() + timedelta(days=local.time() >= QUIET_FROM)
    return datetime.combine(day, QUIET_UNTIL, zone).astimezone(moment.tzinfo)


def is_too_late(slot: Slot, starts_at: datetime, now: datetime) -> bool:
    """Whether the reminder would arrive too late to help."""
    return now > starts_at - REMIND_UNTIL[slot]


def checked_address(address: str) -> tuple[str, str]:
    """Return the local part and the ASCII domain (IDNA 2008) of an address. Raises Unmailable."""
    if not _ADDRESS.fullmatch(address):
        raise Unmailable("the e-mail address is invalid")
    local, _, domain = address.partition("@")
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise Unmailable("the e-mail address has no valid domain") from error
    if len(local.encode()) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise Unmailable("the e-mail address is too long")
    return local, ascii_domain


def one_line(text: str) -> str:
    """Return the text on one line without control characters, safe for a header and a line of plain text."""
    line = " ".join(text.split())
    if line.isprintable():  # the usual case: nothing to remove
        return line
    return "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cs"} and c not in _BIDI)


def masked(address: str) -> str:
    """Return an address as staff see it: its first letter and its domain."""
    return f"{address[:1]}***@{address.rpartition('@')[2]}"


def masked_reason(reason: str, address: str) -> str:
    """Mask the address in a mail server's reply, which often repeats it."""
    return re.sub(re.escape(address), masked(address), one_line(reason), flags=re.IGNORECASE)[:MAX_REASON]
