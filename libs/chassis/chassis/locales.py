"""Amounts, dates and names in the format of a reader's locale, for mails and documents.

A language without a country is formatted as on the web client's pages (`LOCALES` in web/src/i18n).
"""

import re
import unicodedata
from collections.abc import Collection
from copy import copy
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from contracts.currencies import EXPONENTS, decimal

FALLBACK = Locale("en", "GB")
PAGE_LOCALES = {"en": FALLBACK, "de": Locale("de", "DE")}
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
"""Where CLDR has a space between a currency's code and the number; Babel does not."""
CACHE_SIZE = 1000
"""Formatted start times and prices to cache: bookings of the same hour have most of them in common."""


class UnknownTimeZone(ValueError):
    """The IANA database has no such time zone."""


def locale_of(tag: str, languages: Collection[str]) -> Locale:
    """Return the reader's locale if its language is one of these, otherwise English."""
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return FALLBACK
    if locale.language not in languages:
        return FALLBACK
    return locale if locale.territory else PAGE_LOCALES.get(locale.language, locale)


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
    """Return the text, isolated so that right-to-left letters do not reorder the text around it (UAX 9)."""
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


@lru_cache(CACHE_SIZE)
def local_date_and_time(moment: datetime, time_zone: str, locale: Locale) -> tuple[str, str]:
    """Format date and time of a moment in this time zone. Raises UnknownTimeZone."""
    try:
        local = moment.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError) as error:
        raise UnknownTimeZone(f"no such time zone: {time_zone[:64]!r}") from error
    return format_date(local, "full", locale), format_time(local, "short", locale=locale)
