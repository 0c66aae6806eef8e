"""The languages of the mails, one file each in `texts/`; dates and amounts in the format of the reader's locale."""

from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from tomllib import loads
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency, get_currency_precision

from notifier.model import Unmailable

FALLBACK = "en"
CACHE_SIZE = 1000
"""Formatted start times and prices to cache: bookings of the same hour have most of them in common."""


def locale_of(tag: str) -> Locale:
    """Return the reader's locale if there are texts in its language, otherwise English."""
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale(FALLBACK)
    return locale if locale.language in _all_texts() else Locale(FALLBACK)


def texts_of(language: str, section: str) -> dict[str, Any]:
    """Return the texts of one section of a language's file."""
    return _all_texts()[language][section]


@lru_cache(CACHE_SIZE)
def money(amount: int, currency: str, locale: Locale) -> str:
    """Format an amount in minor units with its currency's digits and sign."""
    return format_currency(Decimal(amount).scaleb(-get_currency_precision(currency)), currency, locale=locale)


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
