"""The languages of the documents, one file each in `texts/`."""

from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Any

from babel import Locale
from chassis import locales
from contracts.types import Seat, clean_name

from booking.model import Booking


def locale_of(booking: Booking) -> Locale:
    """Return the customer's locale if there are texts in its language, otherwise English."""
    return locales.locale_of(booking.locale, _all_texts())


def texts_of(locale: Locale) -> dict[str, Any]:
    """Return the texts of a language's file."""
    return _all_texts()[locale.language]


def label(labels: dict[str, str], code: str) -> str:
    """Return the name of a ticket type or seat category."""
    return labels.get(code) or code.replace("_", " ").replace("-", " ").capitalize()


def place(seat: Seat, texts: dict[str, Any]) -> str:
    """Return a seat in words, for example `Row F, seat 7` or `Circle, row F, seat 7`."""
    area, row, number = (locales.isolated(clean_name(part)) for part in (seat.area or "", seat.row, seat.label))
    return texts["place_in_area" if area else "place"].format(area=area, row=row, number=number)


def places(seat: Seat, texts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of a seat's place, each with its name. Only some auditoriums have areas."""
    area = [(texts["area"], clean_name(seat.area))] if seat.area else []
    return [*area, (texts["row"], clean_name(seat.row)), (texts["seat"], seat.label)]


@cache
def _all_texts() -> dict[str, dict[str, Any]]:
    """Read all texts, by language."""
    toml_files = (file for file in (files("booking.documents") / "texts").iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): loads(file.read_text("utf-8")) for file in toml_files}
