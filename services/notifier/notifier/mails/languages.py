"""The languages of the mails, one file each in `texts/`; dates in the format of the reader's locale."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Any
from urllib.parse import quote

from babel import Locale
from chassis import locales
from chassis.locales import UnknownTimeZone, isolated
from contracts.booking import Screening

from notifier.model import Unmailable, one_line

MAP = "https://www.openstreetmap.org/search"


def locale_of(tag: str) -> Locale:
    """Return the reader's locale if there are texts in its language, otherwise English."""
    return locales.locale_of(tag, _all_texts())


def known_languages() -> list[str]:
    """The languages that have texts."""
    return sorted(_all_texts())


def texts_of(language: str, section: str) -> dict[str, Any]:
    """Return the texts of one section of a language's file."""
    return _all_texts()[language][section]


def label(labels: dict[str, str], code: str) -> str:
    """Return the name of a ticket type or seat category."""
    return labels.get(code) or code.replace("_", " ").replace("-", " ").capitalize()


def where(screening: Screening) -> str:
    """Return theater, auditorium and address of a showtime on one line."""
    parts = (screening.theater_name, screening.auditorium_name, screening.address)
    return ", ".join(isolated(one_line(part)) for part in parts if part)


def map_url(screening: Screening) -> str:
    """Return the link to the theater on a map; empty if its address is unknown."""
    if not (address := one_line(screening.address or "")):
        return ""
    return f"{MAP}?query={quote(f'{one_line(screening.theater_name)}, {address}')}"


def date_and_time(moment: datetime, time_zone: str, locale: Locale) -> str:
    """Format a moment in the theater's time zone. Raises Unmailable when the time zone does not exist."""
    return ", ".join(local_date_and_time(moment, time_zone, locale))


def local_date_and_time(moment: datetime, time_zone: str, locale: Locale) -> tuple[str, str]:
    """Format date and time of a moment in the theater's time zone. Raises Unmailable when that does not exist."""
    try:
        return locales.local_date_and_time(moment, time_zone, locale)
    except UnknownTimeZone as error:
        raise Unmailable(str(error)) from error


@cache
def _all_texts() -> dict[str, dict[str, Any]]:
    """Read all texts, by language and section."""
    toml_files = (file for file in (files("notifier.mails") / "texts").iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): loads(file.read_text("utf-8")) for file in toml_files}
