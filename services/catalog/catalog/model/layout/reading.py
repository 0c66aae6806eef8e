"""Reading the text form of a seat layout."""

import re
from collections import defaultdict
from collections.abc import Sequence

from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide
from contracts.types import composed
from pydantic import ValidationError

from catalog.model.layout.grid import (
    AISLE,
    AREA_NAME,
    CATEGORIES,
    COMMENT,
    COUCHES,
    GAP,
    HALF_GAP,
    MAX_SEATS,
    MAX_SIDE,
    MAX_TEXT,
    ROW_NAME,
    Layout,
    SeatLabel,
    reason,
    usual_focus,
)
from catalog.model.layout.rows import Row, row_codes
from catalog.model.problems import LayoutInvalid

_SCREEN = re.compile(r"screen: *(top|bottom|left|right)")
_FOCUS = re.compile(r"focus: *(\d{1,3}(?:\.5)?) +(\d{1,3}(?:\.5)?)")
_AREA = re.compile(r"\[([^\[\]]+)]")
_ROW = re.compile(r"""("[^"]*"|[^\s"\[\]:#]+)([ \t]+)(\S+)(?:([ \t]+)(.+))?""")
_NUMBERS = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3})(?:/([0-9]{1,3}))?|([^\W\d_]{1,3}))?")


class _Reader:
    """The state of parsing a layout's text."""

    def __init__(self) -> None:
        self.screen: ScreenSide | None = None
        self.focus: Point | None = None
        self.area: str | None = None
        self.rows: list[Row] = []
        self.lines: dict[tuple[str | None, str], int] = {}
        """The line of each row, by area and name."""
        self.y = self.empty = 0

    def read(self, number: int, line: str) -> None:
        """Parse one line that is neither empty nor a comment."""
        if match := _AREA.fullmatch(line):
            self._enter(number, match[1].strip())
        elif match := _ROW.fullmatch(line):
            # Empty lines are aisles only when a row follows.
            self.y, self.empty = self.y + self.empty, 0
            self._row(number, match)
            self.y += 1
        elif self.rows or not self._setting(line):
            sentence = "this is neither a row, like 'F  ss.ssss.ss', nor an area, like '[Circle]'"
            if not self.rows:
                sentence += "; nor is it 'screen: top' or 'focus: 9.5 12'"
            raise _fault(number, 1, sentence)

    def _enter(self, line: int, area: str) -> None:
        if self.rows and self.area is None:
            raise _fault(line, 1, "the rows above have no area; start with their area")
        try:
            self.area = AREA_NAME.validate_python(area)
        except ValidationError as error:
            raise _fault(line, 2, f"the area's name is invalid: {reason(error)}") from None

    def _setting(self, line: str) -> bool:
        if self.screen is None and (match := _SCREEN.fullmatch(line)):
            self.screen = match[1]  # pyright: ignore[reportAttributeAccessIssue] - the pattern allows nothing else
            return True
        if self.focus is None and (match := _FOCUS.fullmatch(line)):
            self.focus = Point(x=float(match[1]), y=float(match[2]))
            return True
        return False

    def _row(self, line: int, match: re.Match[str]) -> None:
        written, _, cells, _, numbers = match.groups()
        try:
            row = ROW_NAME.validate_python(written.strip('"'))
        except ValidationError as error:
            raise _fault(line, 1, f"the row's name is invalid: {reason(error)}") from None
        if first := self.lines.get((self.area, row)):
            where = f" of area {self.area}" if self.area else ""
            raise _fault(line, 1, f"row {row}{where} was in line {first} already", row)
        self.lines[self.area, row] = line
        try:
            letters, edges, walks = _cells(cells)
        except _Misplaced as error:
            raise _fault(line, match.start(3) + error.column, error.what, row) from None
        try:
            labels = _labels(numbers, len(edges)) if numbers else [(n, None) for n in range(1, len(edges) + 1)]
        except _Misplaced as error:
            raise _fault(line, match.start(5) + error.column, error.what, row) from None
        self.rows.append(Row(self.area, row, self.y, letters, edges, walks, labels))

    def seats(self) -> list[PlacedSeat]:
        """All seats in the order of the drawing."""
        codes = zip(self.rows, row_codes(self.rows), strict=True)
        return [seat for row, code in codes for seat in row.seats(code)]


class _Misplaced(Exception):
    """A fault in a part of a line; `column` counts from 1 at the part's beginning."""

    def __init__(self, column: int, what: str) -> None:
        self.column, self.what = column, what
        super().__init__(what)


def _fault(line: int, column: int, what: str, row: str | None = None) -> LayoutInvalid:
    members = {"line": line, "column": column, **({"row": row} if row else {})}
    return LayoutInvalid(f"Line {line}{f' (row {row})' if row else ''}, column {column}: {what}.", **members)


def parse_layout(text: str) -> Layout:
    """Read the text form of a seat layout, which docs/seat-layouts.md describes.

    Raises LayoutInvalid; for a fault at a known place with `line` and `column`, both counted from 1, and with the `row`
    if it is in one.
    """
    if len(text) > MAX_TEXT:
        raise LayoutInvalid(f"The text is longer than {MAX_TEXT} characters.")
    reader = _Reader()
    for number, typed in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = typed.rstrip()
        if not line:
            reader.empty += bool(reader.rows)
        elif not line.startswith(COMMENT):
            reader.read(number, line)
    count = sum(len(row.cells) for row in reader.rows)
    if not 1 <= count <= MAX_SEATS:
        raise LayoutInvalid(f"A layout has 1 to {MAX_SEATS} seats; this one has {count}.")
    if reader.y > MAX_SIDE:
        raise LayoutInvalid(f"A layout is at most {MAX_SIDE} rows deep; this one has {reader.y}.")
    return _layout(reader)


def _cells(cells: str) -> tuple[list[str], list[float], list[float]]:
    """Parse a row's cells: the seats' letters and left edges, and the left edges of its aisle places.

    Raises _Misplaced.
    """
    letters: list[str] = []
    edges: list[float] = []
    walks: list[float] = []
    x = 0.0
    for column, cell in enumerate(cells, 1):
        if cell in CATEGORIES or cell in COUCHES:
            letters.append(cell)
            edges.append(x)
        elif cell == AISLE:
            walks.append(x)
        elif cell not in {GAP, HALF_GAP}:
            known = ", ".join([*CATEGORIES, *COUCHES])
            raise _Misplaced(column, f"{cell!r} is no seat ({known}), a gap (. or ') or an aisle (_)")
        x += 0.5 if cell == HALF_GAP else 1
        if x > MAX_SIDE:
            raise _Misplaced(column, f"a row is at most {MAX_SIDE} seats wide")
    if not edges:
        raise _Misplaced(1, "a row has at least one seat")
    for run in re.finditer(rf"([l{''.join(COUCHES)}])\1*", cells):
        if len(run[0]) % 2:
            what = "love seat" if run[1] == "l" else "couch"
            raise _Misplaced(run.end(), f"a {what} has no second half next to it")
    for place in re.finditer("(?<!c)w(?!c)", cells):
        raise _Misplaced(place.end(), "a wheelchair space has no companion seat next to it")
    return letters, edges, walks


def _labels(text: str, count: int) -> list[SeatLabel]:
    """The numbers painted on a row's seats, from the left: `12-1`, `1-7 101-107`, `9-1/2 2-10/2`, `1-12 12a 13`.

    Raises _Misplaced.
    """
    labels: list[SeatLabel] = []
    for word in re.finditer(r"\S+", text):
        column = word.start() + 1
        if not (match := _NUMBERS.fullmatch(composed(word[0]))):
            raise _Misplaced(column, f"{word[0]!r} is neither a seat number nor a range, like 12-1, 1-9/2 or 12a")
        first, step = int(match[1]), int(match[3] or 1)
        last = int(match[2] or first)
        if step == 0:
            raise _Misplaced(column, "the step of a range is at least 1")
        for number in range(first, last + 1, step) if first <= last else range(first, last - 1, -step):
            label = number, match[4]
            if any(_is_same(label, other) for other in labels):
                raise _Misplaced(column, f"the number {number}{match[4] or ''} occurs twice")
            labels.append(label)
    if len(labels) != count:
        raise _Misplaced(1, f"here are numbers for {len(labels)} seats; the row has {count}")
    return labels


def _is_same(one: SeatLabel, other: SeatLabel) -> bool:
    return one[0] == other[0] and (one[1] or "").casefold() == (other[1] or "").casefold()


def _layout(reader: _Reader) -> Layout:
    seats, walks = reader.seats(), {row.y: row.walks for row in reader.rows}
    edges = [x for row in reader.rows for x in (*row.edges, *row.walks)]
    columns, rows, screen = max(edges) + 1, float(reader.y), reader.screen or "top"
    return Layout(
        screen=screen,
        columns=columns,
        rows=rows,
        focal_point=reader.focus or usual_focus(screen, columns, rows, seats),
        aisles=_aisles(walks, columns, reader.y),
        seats=seats,
    )


def _aisles(walks: dict[int, list[float]], columns: float, rows: int) -> list[Aisle]:
    """Merge aisle places into few rectangles: first along each row, then over consecutive rows."""
    by_row: dict[int, list[tuple[float, float]]] = {y: _runs(edges) for y, edges in walks.items()}
    by_row |= {y: [(0.0, columns)] for y in range(rows) if y not in by_row}
    found: dict[tuple[float, float], list[list[int]]] = defaultdict(list)
    for y in range(rows):
        for place in by_row[y]:
            depths = found[place]
            if depths and sum(depths[-1]) == y:
                depths[-1][1] += 1
            else:
                depths.append([y, 1])
    aisles = [Aisle(x=x, y=y, width=width, depth=depth) for (x, width), depths in found.items() for y, depth in depths]
    return sorted(aisles, key=lambda aisle: (aisle.y, aisle.x))


def _runs(edges: Sequence[float]) -> list[tuple[float, float]]:
    """Left edge and width of each run of places."""
    starts = [x for x in edges if x - 1 not in edges]
    return [(x, next(width for width in range(1, MAX_SIDE + 1) if x + width not in edges)) for x in starts]
