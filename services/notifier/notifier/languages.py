"""The languages that mails are written in: one file each in `texts/`; times and money as their readers write them."""

from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from tomllib import loads
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_currency, get_currency_precision

from notifier.model import Unmailable

FALLBACK = "en"


def locale_of(tag: str) -> Locale:
    """The reader's locale if we speak its language, else English."""
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale(FALLBACK)
    return locale if _file(locale.language).is_file() else Locale(FALLBACK)


@cache
def words_of(language: str, section: str) -> dict[str, Any]:
    """What a kind of mail says in a language."""
    return loads(_file(language).read_text("utf-8"))[section]


def money(amount: int, currency: str, locale: Locale) -> str:
    """An amount in minor units with its currency's digits and sign."""
    return format_currency(Decimal(amount).scaleb(-get_currency_precision(currency)), currency, locale=locale)


def local_time(moment: datetime, time_zone: str) -> datetime:
    """The moment on the theater's clock. Raises Unmailable when there is no such time zone."""
    try:
        return moment.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError) as error:
        raise Unmailable(f"no such time zone: {time_zone[:64]!r}") from error


def date_and_time(moment: datetime, time_zone: str, locale: Locale) -> str:
    """The moment on the theater's clock, written out. Raises Unmailable when there is no such time zone."""
    local = local_time(moment, time_zone)
    return f"{format_date(local, 'full', locale)}, {format_time(local, 'short', locale=locale)}"


def _file(language: str) -> Traversable:
    return files("notifier") / "texts" / f"{language}.toml"
