"""The rules of the catalog: seat layouts as text, days of showtimes, prices. No I/O and no clock.

Problem (contracts.errors)
└── CatalogProblem
    ├── NotFound             404  there is no such film, theater, auditorium or showtime
    ├── LayoutInvalid        422  a seat layout's text has a fault; names row and column
    ├── LocalTimeInvalid     422  the clocks skip this local time
    └── PriceMissing         422  a seat category has no price
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Annotated, Generic, Literal, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from contracts.catalog import PlacedSeat, Price
from contracts.errors import Problem
from contracts.types import Shape
from pydantic import StringConstraints


class CatalogProblem(Problem):
    """What the catalog cannot do."""


class NotFound(CatalogProblem):
    code, status, title = "not_found", 404, "There is no such thing in the catalog."


class LayoutInvalid(CatalogProblem):
    code, status, title = "layout_invalid", 422, "The seat layout cannot be read."


class LocalTimeInvalid(CatalogProblem):
    code, status, title = "local_time_invalid", 422, "The clocks skip this local time."


class PriceMissing(CatalogProblem):
    code, status, title = "price_missing", 422, "A seat category has no price."


CATEGORIES = {
    "s": "standard",
    "v": "vip",
    "r": "recliner",
    "l": "love_seat",
    "w": "wheelchair",
    "c": "companion",
}
"""Seat categories by their letter in a layout's text."""

GAP, HALF_GAP, COMMENT = ".", "'", "#"
MAX_SEATS, MAX_NUMBER, MAX_TEXT = 2000, 999, 20_000
_ROW = re.compile(r"([A-Z]{1,2})[ \t]+(\S+)")
_LETTERS = {category: letter for letter, category in CATEGORIES.items()}


class Layout(NamedTuple):
    """An auditorium's seats on a grid whose unit is one standard seat.

    `x` and `y` are a seat's left and front edge: `x` from the left wall as one faces the screen, `y` from the
    first row backwards. `columns` and `rows` are the size of the grid.
    """

    seats: tuple[PlacedSeat, ...]
    columns: float
    rows: float

    @property
    def categories(self) -> list[str]:
        """The categories that occur, in their usual order."""
        present = {seat.category for seat in self.seats}
        return [category for category in CATEGORIES.values() if category in present]


def parse_layout(text: str) -> Layout:
    """Read the text form of a seat layout.

    One line is one row, the one nearest to the screen first: the row's letters, blanks, then a letter for each seat
    from left to right (`s` standard, `v` vip, `r` recliner, `l` love seat, `w` wheelchair place, `c` companion seat),
    `.` for a gap as wide as a seat and `'` for half of one. Seats of a row are numbered from 1 at the left; gaps do
    not count. An empty line is an aisle across; lines that begin with `#` are remarks.

        A  ..ssss..
        B  'sssss'
                        (an empty line: an aisle)
        C  wcss.llll

    Love seats come in pairs, and a wheelchair place has a companion seat beside it, so that nobody sits alone.
    Raises LayoutInvalid with `row` and `column` (1 is the first letter after the blanks), or `line` for a line that
    is no row.
    """
    if len(text) > MAX_TEXT:
        raise LayoutInvalid(f"The text is longer than {MAX_TEXT} characters.")
    lines = [line.rstrip() for line in text.strip("\n").splitlines() if not line.startswith(COMMENT)]
    while lines and not lines[0]:
        lines.pop(0)
    seats: list[PlacedSeat] = []
    rows: set[str] = set()
    for y, line in enumerate(lines):
        if not line:
            continue
        if not (match := _ROW.fullmatch(line)):
            raise LayoutInvalid(
                f"Line {line!r}: a row is one or two capital letters, a blank and its seats, like 'F  ss.ssss.ss'.",
                line=line[:100],
            )
        row, cells = match.groups()
        if row in rows:
            raise LayoutInvalid(f"Row {row} occurs twice.", row=row)
        rows.add(row)
        seats += _parse_row(row, cells, y)
    if not 1 <= len(seats) <= MAX_SEATS:
        raise LayoutInvalid(f"A layout has 1 to {MAX_SEATS} seats; this one has {len(seats)}.")
    return Layout(tuple(seats), max(seat.x for seat in seats) + 1, max(seat.y for seat in seats) + 1)


def _parse_row(row: str, cells: str, y: int) -> list[PlacedSeat]:
    seats: list[PlacedSeat] = []
    x = 0.0
    for column, cell in enumerate(cells, 1):
        if category := CATEGORIES.get(cell):
            number = len(seats) + 1
            if number > MAX_NUMBER:
                raise _fault(row, column, f"a row has at most {MAX_NUMBER} seats")
            seats.append(PlacedSeat(seat_id=f"{row}{number}", row=row, number=number, category=category, x=x, y=y))
        elif cell not in {GAP, HALF_GAP}:
            raise _fault(row, column, f"{cell!r} is neither a seat ({', '.join(CATEGORIES)}) nor a gap (. or ')")
        x += 0.5 if cell == HALF_GAP else 1
    if not seats:
        raise _fault(row, 1, "a row has at least one seat")
    for run in re.finditer("l+", cells):
        if len(run[0]) % 2:
            raise _fault(row, run.end(), "a love seat has no second half beside it")
    for place in re.finditer("(?<!c)w(?!c)", cells):
        raise _fault(row, place.end(), "a wheelchair place has no companion seat beside it")
    return seats


def _fault(row: str, column: int, what: str) -> LayoutInvalid:
    return LayoutInvalid(f"Row {row}, column {column}: {what}.", row=row, column=column)


def format_layout(layout: Layout) -> str:
    """The text form of a layout that `parse_layout` has read, without remarks."""
    width = max(len(seat.row) for seat in layout.seats)
    lines: list[str] = []
    for y, seats in groupby(layout.seats, key=lambda seat: seat.y):
        lines += [""] * (int(y) - len(lines))
        cells, edge, row = "", 0.0, ""
        for seat in seats:
            whole, half = divmod(seat.x - edge, 1)
            cells += GAP * int(whole) + HALF_GAP * bool(half) + _LETTERS[seat.category]
            edge, row = seat.x + 1, seat.row
        lines.append(f"{row:<{width}}  {cells}")
    return "\n".join(lines) + "\n"


ADVERTS = timedelta(minutes=15)
"""Between the printed start and the film."""
CLEANING = timedelta(minutes=20)
"""Between the end of a film and the next start in the same auditorium."""
SALES_OPEN_BEFORE = timedelta(days=14)
EVENING = time(17)
QUARTER_S = 15 * 60


class Film(Protocol):
    """What planning a day needs to know of a film."""

    @property
    def runtime_minutes(self) -> int: ...


F = TypeVar("F", bound=Film)


class Slot(NamedTuple, Generic[F]):
    """One film on one auditorium's day, UTC."""

    film: F
    starts_at: datetime
    ends_at: datetime


def local_moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A local date and time as a moment in UTC; of a time that the clocks show twice, the first.

    Raises LocalTimeInvalid for a time that they skip (a moment that does not come back as what was asked; PEP 495).
    """
    moment = datetime.combine(day, clock, zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != datetime.combine(day, clock):
        raise LocalTimeInvalid(f"There is no {clock:%H:%M} on {day} in {zone.key}: the clocks are put forward.")
    return moment


def plan_day(
    day: date, zone: ZoneInfo, *, opens: time, last: time, daytime: Sequence[F], evening: Sequence[F]
) -> list[Slot[F]]:
    """One auditorium's day: film after film from `opens`, none beginning after `last`, both local time.

    Starts stand on a quarter of an hour. Which film comes is decided by the date alone, so that planning a day
    again gives the same; films of `daytime` and `evening` (from 17:00) take turns from day to day.
    """
    slots: list[Slot[F]] = []
    starts_at, end_of_day = local_moment(day, opens, zone), local_moment(day, last, zone)
    while starts_at <= end_of_day:
        films = evening if starts_at.astimezone(zone).time() >= EVENING else daytime
        film = films[(day.toordinal() + len(slots)) % len(films)]
        slots.append(Slot(film, starts_at, starts_at + ADVERTS + timedelta(minutes=film.runtime_minutes)))
        starts_at = _next_quarter(slots[-1].ends_at + CLEANING)
    return slots


def _next_quarter(moment: datetime) -> datetime:
    """Every offset of today's time zones is a multiple of a quarter of an hour, so local quarters are UTC's."""
    return datetime.fromtimestamp(math.ceil(moment.timestamp() / QUARTER_S) * QUARTER_S, UTC)


Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Face = Literal["sans", "serif", "condensed", "mono"]
PriceList = Mapping[str, Mapping[str, int]]
"""Category to ticket type to amount: minor units, taxes and fees included."""


def price_table(prices: PriceList, categories: Iterable[str]) -> list[Price]:
    """What the seats of an auditorium cost. Raises PriceMissing for a category without a price for adults."""
    table: list[Price] = []
    for category in categories:
        amounts = prices.get(category, {})
        if "adult" not in amounts:
            raise PriceMissing(f"The price list has no adult price for {category}.", category=category)
        table += [Price(category=category, ticket_type=kind, amount=amount) for kind, amount in amounts.items()]
    return table


def price_from(table: Sequence[Price]) -> int:
    """The lowest price of a ticket that anyone can buy, in minor units: an adult's, on a seat not kept for someone."""
    adult = [price for price in table if price.ticket_type == "adult"]
    for_anyone = [price for price in adult if price.category not in {"wheelchair", "companion"}]
    return min(price.amount for price in for_anyone or adult)


class Art(Shape):
    """How a film's poster is drawn: a motif of `motifs.py`, the lettering, and ground, text, main colour, accent."""

    motif: str
    palette: tuple[Colour, Colour, Colour, Colour]
    face: Face


def folded(text: str) -> str:
    """A text as searching and sorting compare it: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def words_of(*texts: str) -> list[str]:
    """The words of some texts, folded, each once, sorted."""
    return sorted(set(re.findall(r"\w+", folded(" ".join(texts)))))


def sort_title(title: str) -> str:
    """Where a title stands in a list: without its English article, as libraries file it."""
    return re.sub(r"^(the|an?) (?=\w)", "", " ".join(re.findall(r"[\w:]+", folded(title))))
