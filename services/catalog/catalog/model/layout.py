"""Seat layouts: as a person types them, and as a grid."""

import re
from itertools import groupby
from typing import NamedTuple

from contracts.catalog import PlacedSeat

from catalog.model.problems import LayoutInvalid

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
