"""The languages of the mails, one file each in `texts/`; dates and amounts in the format of the reader's locale.

A language without a country is formatted as on the web client's pages (`LOCALES` in web/src/i18n).
"""

import re
import unicodedata
from copy import copy
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from tomllib import loads
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from contracts.booking import Screening
from contracts.currencies import EXPONENTS, decimal

from notifier.model import Unmailable, one_line

FALLBACK = Locale("en", "GB")
PAGE_LOCALES = {"en": FALLBACK, "de": Locale("de", "DE")}
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
"""Where CLDR has a space between a currency's code and the number; Babel does not."""
CACHE_SIZE = 1000
"""Formatted start times and prices to cache: bookings of the same hour have most of them in common."""


def locale_of(tag: str) -> Locale:
    """Return the reader's locale if there are texts in its language, otherwise English."""
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return FALLBACK
    if locale.language not in _all_texts():
        return FALLBACK
    return locale if locale.territory else PAGE_LOCALES.get(locale.language, locale)


def texts_of(language: str, section: str) -> dict[str, Any]:
    """Return the texts of one section of a language's file."""
    return _all_texts()[language][section]


@lru_cache(CACHE_SIZE)
def money(amount: int, currency: str, locale: Locale) -> str:
    """Format an amount in minor units with its currency's sign and the digits in which it is charged.

    Babel's own digits are those of daily use: none for HUF or RSD, although both have minor units.
    """
    pattern, digits = copy(locale.currency_formats["standard"]), EXPONENTS.get(currency, 2)
    pattern.frac_prec = (digits, digits)
    written = pattern.apply(decimal(amount, currency), locale, currency=currency, currency_digits=False)
    return _LETTER_BEFORE_DIGIT.sub("\u00a0", written)


def language_name(code: str, locale: Locale) -> str:
    """Return the name of a language, for example `French` for `fr`; the code itself if it is not a known tag."""
    try:
        return Locale.parse(code.replace("-", "_")).get_display_name(locale) or code
    except (UnknownLocaleError, ValueError, TypeError):
        return code


def isolated(text: str) -> str:
    """Return the text so that letters from right to left do not change the order of the text around it (UAX 9)."""
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


def where(screening: Screening) -> str:
    """Return theater, auditorium and address of a showtime on one line."""
    parts = (screening.theater_name, screening.auditorium_name, screening.address)
    return ", ".join(isolated(one_line(part)) for part in parts if part)


def date_and_time(moment: datetime, time_zone: str, locale: Locale) -> str:
    """Format a moment in the theater's time zone. Raises Unmailable when the time zone does not exist."""
    return ", ".join(local_date_and_time(moment, time_zone, locale))


@lru_cache(CACHE_SIZE)
def local_date_and_time(moment: datetime, time_zone: str, locale: Locale) -> tuple[str, str]:
    """Format date and time of a moment in the theater's time zone. Raises Unmailable when that does not exist."""
    try:
        local = moment.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError) as error:
        raise Unmailable(f"no such time zone: {time_zone[:64]!r}") from error
    return format_date(local, "full", locale), format_time(local, "short", locale=locale)


@cache
def _all_texts() -> dict[str, dict[str, Any]]:
    """Read all texts, by language and section."""
    toml_files = (file for file in (files("notifier.mails") / "texts").iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): loads(file.read_text("utf-8")) for file in toml_files}
