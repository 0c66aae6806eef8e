"""The languages that mails are written in: one file each in `texts/`; times and money as their readers write them."""

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
MOST = 1000
"""Showtimes and prices whose written form is kept: people who book at the same time book much the same."""


def locale_of(tag: str) -> Locale:
    """The reader's locale if we speak its language, else English."""
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale(FALLBACK)
    return locale if locale.language in _texts() else Locale(FALLBACK)


def words_of(language: str, section: str) -> dict[str, Any]:
    """What a kind of mail says in a language."""
    return _texts()[language][section]


@lru_cache(MOST)
def money(amount: int, currency: str, locale: Locale) -> str:
    """An amount in minor units with its currency's digits and sign."""
    return format_currency(Decimal(amount).scaleb(-get_currency_precision(currency)), currency, locale=locale)


def date_and_time(moment: datetime, time_zone: str, locale: Locale) -> str:
    """The moment on the theater's clock, written out. Raises Unmailable when there is no such time zone."""
    return ", ".join(on_the_clock(moment, time_zone, locale))


@lru_cache(MOST)
def on_the_clock(moment: datetime, time_zone: str, locale: Locale) -> tuple[str, str]:
    """The moment's date and time of day in the theater. Raises Unmailable when there is no such time zone."""
    try:
        local = moment.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError) as error:
        raise Unmailable(f"no such time zone: {time_zone[:64]!r}") from error
    return format_date(local, "full", locale), format_time(local, "short", locale=locale)


@cache
def _texts() -> dict[str, dict[str, Any]]:
    """What all mails say, by language and kind."""
    texts = (file for file in (files("notifier") / "texts").iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): loads(file.read_text("utf-8")) for file in texts}
