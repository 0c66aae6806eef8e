"""The languages that mails are written in: one file each in `texts/`."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from tomllib import loads
from typing import Any

from babel import Locale, UnknownLocaleError

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


def _file(language: str) -> Traversable:
    return files("notifier") / "texts" / f"{language}.toml"
