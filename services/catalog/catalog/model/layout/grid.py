"""A seat layout as a grid, and the values that its text and JSON forms share."""

import re
from collections.abc import Iterable
from typing import Annotated

from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide
from contracts.types import AreaName, Name, Shape, composed
from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError

CATEGORIES = {
    "s": "standard",
    "v": "vip",
    "r": "recliner",
    "l": "love_seat",
    "w": "wheelchair",
    "c": "companion",
}
"""Seat categories by their letter in a layout's text."""
COUCHES = {letter.upper(): CATEGORIES[letter] for letter in "svrl"}
"""Categories by the letter of half a couch that is sold only whole."""

GAP, HALF_GAP, AISLE, COMMENT = ".", "'", "_", "#"
MAX_SEATS, MAX_NUMBER, MAX_TEXT, MAX_SIDE = 2000, 999, 20_000, 200
SUFFIX = re.compile(r"[^\W\d_]{1,3}")
LETTERS = {category: letter for letter, category in CATEGORIES.items()}

RowName = Annotated[Name, AfterValidator(composed), StringConstraints(max_length=12, pattern=r'^[^"]*$')]
"""The name of a row: `F`, `AA`, `12`, `Ж`, `Box 3`."""
ROW_NAME, AREA_NAME = TypeAdapter[str](RowName), TypeAdapter[str](AreaName)
OPTIONAL_AREA = TypeAdapter[str | None](AreaName | None)
SeatLabel = tuple[int, str | None]
"""A seat's number and suffix."""


class Layout(Shape):
    """An auditorium's seats on a grid whose unit is one standard seat: the JSON form for clients.

    `x` and `y` are a seat's left and upper edge as the layout is drawn, with the screen on the side `screen`.
    `columns` and `rows` are the size of the grid; seats stand in the order of the drawing.
    """

    screen: ScreenSide = "top"
    columns: float
    rows: float
    focal_point: Point
    aisles: list[Aisle] = []
    seats: list[PlacedSeat]

    @property
    def categories(self) -> list[str]:
        """The used categories, in their usual order."""
        present = {seat.category for seat in self.seats}
        return [category for category in CATEGORIES.values() if category in present]

    @property
    def areas(self) -> list[str]:
        """The areas in the order of the drawing."""
        return list(dict.fromkeys(seat.area for seat in self.seats if seat.area))


def reason(error: ValidationError) -> str:
    """Why a name is invalid."""
    return error.errors()[0]["msg"].removeprefix("Value error, ").lower()


def usual_focus(screen: ScreenSide, columns: float, rows: float, seats: Iterable[PlacedSeat]) -> Point:
    """The default focal point: the middle, two thirds of the way to the back, rounded to half a seat."""
    if screen in {"left", "right"}:
        return Point(x=_to_half(columns * (2 / 3 if screen == "left" else 1 / 3)), y=_to_half(rows / 2))
    edges = [seat.x for seat in seats]
    middle = (min(edges) + max(edges) + 1) / 2
    return Point(x=_to_half(middle), y=_to_half(rows * (2 / 3 if screen == "top" else 1 / 3)))


def _to_half(length: float) -> float:
    return round(length * 2) / 2
