"""Types that several events and services share."""

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, validate_email

from contracts.currencies import CHARGED

_JOINERS = frozenset("\u200c\u200d")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Marks and letters without a glyph, which Unicode does not count as format characters."""
_EMOJI_SELECTORS = frozenset("\ufe0e\ufe0f")
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0x180B, 0x180E), 0x180F, *range(0xE0100, 0xE01F0))))
"""They choose a variant of the character before them: of a symbol, an ideograph or a Mongolian letter."""
_MARKS = frozenset({"Mn", "Me"})
MAX_MARKS = 6
"""Combining marks on one letter: Hebrew with points and accents needs six, Burmese five."""
_KEPT_IN_TEXTS = _JOINERS | _SELECTORS
_RESERVED = frozenset(map(chr, (0x2065, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)))) - _SELECTORS
"""Unassigned characters that Unicode has reserved for ones without a glyph."""


def hidden_in(text: str) -> list[str]:
    """The characters of a text that nobody can see, that change its direction, or that cover other lines.

    Joiners are allowed where scripts need them: after an Arabic letter and after a virama. Selectors are allowed
    after a character that can have variants.
    """
    if text.isascii() and text.isprintable():
        return []
    return [
        character
        for (before, character), is_excess in zip(pairwise(f" {text}"), _excess_marks(text), strict=True)
        if is_excess or (_is_hidden(character) and not _is_needed_after(before, character))
    ]


def _excess_marks(text: str) -> Iterator[bool]:
    """Whether each character is a mark beyond MAX_MARKS on its letter."""
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        yield marks > MAX_MARKS


def _is_hidden(character: str) -> bool:
    return (
        unicodedata.category(character) in _HIDDEN_CATEGORIES
        or character in _BLANK
        or character in _SELECTORS
        or character in _RESERVED
    )


def _is_needed_after(before: str, character: str) -> bool:
    if character in _JOINERS:
        return unicodedata.bidirectional(before) == "AL" or unicodedata.combining(before) == 9
    if character in _EMOJI_SELECTORS:
        return unicodedata.category(before)[0] in "SPN"
    return character in _SELECTORS and unicodedata.category(before) == "Lo" and before not in _BLANK


def visible(text: str) -> str:
    """The text itself. Raises ValueError for line breaks and other characters of `hidden_in`."""
    if hidden := hidden_in(text):
        is_mark = unicodedata.category(hidden[0]) in _MARKS and not _is_hidden(hidden[0])
        reason = f"a letter has at most {MAX_MARKS} marks" if is_mark else "nobody can see it"
        raise ValueError(f"the character U+{ord(hidden[0]):04X} is not allowed: {reason}")
    return text


def clean_name(text: str) -> str:
    """The name on one line, without the characters that `visible` refuses: for names that a program sends."""
    line = " ".join(text.split())
    hidden = hidden_in(line)
    return "".join(each for each in line if each not in hidden).strip() if hidden else line


def clean_text(text: str) -> str:
    """The text with line feeds between its lines, spaces for tabs, and without the characters that nobody can see.

    Of the marks on one letter, MAX_MARKS stay.
    """
    kept = (
        "".join(
            each
            for each, is_excess in zip(line, _excess_marks(line), strict=True)
            if not is_excess and (each in _KEPT_IN_TEXTS or not _is_hidden(each))
        )
        for line in text.replace("\t", " ").splitlines()
    )
    return "\n".join(kept).strip()


def composed(text: str) -> str:
    """The text with composed letters (NFC): two spellings that look the same are the same text."""
    return unicodedata.normalize("NFC", text)


def normal_email(address: str) -> str:
    """The one spelling of an address: lower case, with an IDNA 2008 domain in Unicode. Raises ValueError."""
    return validate_email(address)[1].lower()


def _mailable(address: str) -> str:
    local = address.partition("@")[0]
    if not local.isascii():
        raise ValueError("the part before the @ has letters that few mail servers accept: use A to Z, digits and signs")
    if len(local) > LOCAL_PART_CHARS:
        raise ValueError(f"the part before the @ is longer than {LOCAL_PART_CHARS} characters")
    return address


def _canonical_tag(tag: str) -> str:
    language, *rest = tag.lower().split("-")
    spellings = {2: str.upper, 4: lambda part: part.title() if part.isalpha() else part}
    return "-".join([language, *(spellings.get(len(part), str)(part) for part in rest)])


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("unknown time zone") from error
    return name


def _charged(code: str) -> str:
    if code not in CHARGED:
        raise ValueError("the payment provider does not charge this currency")
    return code


LOCAL_PART_CHARS = 64
"""RFC 5321, 4.5.3.1.1. Mail servers may refuse longer ones."""
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
SeatId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,2}[0-9]{1,3}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[int, Field(ge=0, le=10**9, description="minor units of the currency, e.g. cents")]
Seats = Annotated[list[SeatId], Field(max_length=10)]
Moment = AwareDatetime
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(visible)]
"""A name or title as people enter it, on one line."""
AreaName = Annotated[Name, AfterValidator(composed), StringConstraints(max_length=40)]
"""The name of a part of an auditorium, e.g. `Circle`."""

# Types for input only. What was accepted before they existed must stay readable in events and documents.
KnownEmail = Annotated[
    str,
    StringConstraints(max_length=254),
    AfterValidator(normal_email),
    Field(json_schema_extra={"format": "email"}, examples=["ada@usher.example"]),
]
"""An address to find a person or a booking by. It may be from the time before `Email`."""
Email = Annotated[KnownEmail, AfterValidator(_mailable)]
"""An address that every mail server accepts, also one without SMTPUTF8 (RFC 6531)."""
StorableMoment = Annotated[Moment, Field(ge=datetime.min.replace(tzinfo=UTC), le=datetime.max.replace(tzinfo=UTC))]
"""A time that is also one in UTC: `0001-01-01T00:00:00+14:00` is not."""
ChargedCurrency = Annotated[Currency, AfterValidator(_charged)]
"""A currency that the payment provider charges."""
LanguageTag = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))?$"
    ),
    AfterValidator(_canonical_tag),
    Field(description="a BCP 47 tag", examples=["en", "de-AT"]),
]
"""Language, script, region and at most one variant: every such tag is a Unicode locale id, which `Intl` requires."""
TimeZone = Annotated[
    str,
    StringConstraints(
        pattern=r"^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Za-z0-9_+/-]{1,60}$"
    ),
    AfterValidator(_known_zone),
]
"""The IANA name of a place's time zone. Names without a place (`localtime`, `posix/…`) are unknown to browsers."""


class Shape(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Seat(Shape):
    """A seat. `seat_id` is opaque; people read area, row and number. `category` decides the price.

    `area` is the seat's part of the auditorium if rows have names of their own in each. `suffix` follows the number on
    the seat: `a` in `12a`. `pair` is the other half of a couch that is sold only whole.
    """

    seat_id: SeatId
    row: str
    number: int
    category: Code
    area: str | None = None
    suffix: str | None = None
    pair: SeatId | None = None

    @property
    def label(self) -> str:
        """The number as printed on the seat, e.g. `12a`."""
        return f"{self.number}{self.suffix or ''}"

    @property
    def name(self) -> str:
        """The seat in one word, within its area: `F7`; `3/7` for seat 7 of a row whose name is not a few letters."""
        is_short = len(self.row) <= 3 and self.row.isalpha()
        return f"{self.row}{'' if is_short else '/'}{self.label}"

    @property
    def full_name(self) -> str:
        """The seat with its area: `Circle F7`."""
        return f"{self.area} {self.name}" if self.area else self.name


def seat_names(seats: Iterable[Seat]) -> list[str]:
    """Return the seats' names; the first one of each area has its name: `Circle F7`, `F8`, `Stalls A1`."""
    listed = list(seats)
    areas_before = [None, *(seat.area for seat in listed)]
    return [
        seat.name if seat.area == before else seat.full_name for seat, before in zip(listed, areas_before, strict=False)
    ]


class Holder(Shape):
    """The owner of a hold: a user id, or for a guest the SHA-256 (hex) of the hold's secret. Exactly one is set."""

    user_id: Id | None = None
    secret_hash: str | None = None
