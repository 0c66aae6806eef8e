"""Seat layouts: from text to a grid and back. docs/seat-layouts.md describes the text form."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide
from contracts.types import Shape, hidden_in

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

GAP, HALF_GAP, AISLE, COMMENT = ".", "'", "_", "#"
MAX_SEATS, MAX_NUMBER, MAX_TEXT, MAX_SIDE = 2000, 999, 20_000, 200
_SCREEN = re.compile(r"screen: *(top|bottom|left|right)")
_FOCUS = re.compile(r"focus: *(\d{1,3}(?:\.5)?) +(\d{1,3}(?:\.5)?)")
_AREA = re.compile(r"\[([^\[\]]{1,40})]")
_ROW = re.compile(r"([A-Z]{1,2})([ \t]+)(\S+)(?:([ \t]+)(.+))?")
_NUMBERS = re.compile(r"(\d{1,3})(?:-(\d{1,3})(?:/(\d{1,3}))?)?")
_LETTERS = {category: letter for letter, category in CATEGORIES.items()}


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


class _Reader:
    """The state of parsing a layout's text."""

    def __init__(self) -> None:
        self.screen: ScreenSide | None = None
        self.focus: Point | None = None
        self.area: str | None = None
        self.seats: list[PlacedSeat] = []
        self.walks: dict[int, list[float]] = {}
        """The left edges of a row's aisle places."""
        self.rows: dict[str, int] = {}
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
        if not area or hidden_in(area):
            raise _fault(line, 2, "an area has a name")
        if self.rows and self.area is None:
            raise _fault(line, 1, "the rows above have no area; start with their area")
        self.area = area

    def _setting(self, line: str) -> bool:
        if self.screen is None and (match := _SCREEN.fullmatch(line)):
            self.screen = match[1]  # pyright: ignore[reportAttributeAccessIssue] - the pattern allows nothing else
            return True
        if self.focus is None and (match := _FOCUS.fullmatch(line)):
            self.focus = Point(x=float(match[1]), y=float(match[2]))
            return True
        return False

    def _row(self, line: int, match: re.Match[str]) -> None:
        row, _, cells, _, numbers = match.groups()
        if row in self.rows:
            raise _fault(line, 1, f"row {row} was in line {self.rows[row]} already", row)
        self.rows[row] = line
        try:
            categories, edges, walks = _cells(cells)
        except _Misplaced as error:
            raise _fault(line, match.start(3) + error.column, error.what, row) from None
        try:
            names = _numbers(numbers, len(edges)) if numbers else range(1, len(edges) + 1)
        except _Misplaced as error:
            raise _fault(line, match.start(5) + error.column, error.what, row) from None
        self.walks[self.y] = walks
        for category, x, name in zip(categories, edges, names, strict=True):
            seat_id = f"{row}{name}"
            self.seats.append(
                PlacedSeat(seat_id=seat_id, row=row, number=name, category=category, x=x, y=self.y, area=self.area)
            )


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
    for number, typed in enumerate(text.split("\n"), 1):
        line = typed.rstrip()
        if not line:
            reader.empty += bool(reader.rows)
        elif not line.startswith(COMMENT):
            reader.read(number, line)
    if not 1 <= len(reader.seats) <= MAX_SEATS:
        raise LayoutInvalid(f"A layout has 1 to {MAX_SEATS} seats; this one has {len(reader.seats)}.")
    if reader.y > MAX_SIDE:
        raise LayoutInvalid(f"A layout is at most {MAX_SIDE} rows deep; this one has {reader.y}.")
    return _layout(reader)


def _cells(cells: str) -> tuple[list[str], list[float], list[float]]:
    """Parse a row's cells: the seats' categories and left edges, and the left edges of its aisle places.

    Raises _Misplaced.
    """
    categories: list[str] = []
    edges: list[float] = []
    walks: list[float] = []
    x = 0.0
    for column, cell in enumerate(cells, 1):
        if category := CATEGORIES.get(cell):
            categories.append(category)
            edges.append(x)
        elif cell == AISLE:
            walks.append(x)
        elif cell not in {GAP, HALF_GAP}:
            letters = ", ".join(CATEGORIES)
            raise _Misplaced(column, f"{cell!r} is no seat ({letters}), a gap (. or ') or an aisle (_)")
        x += 0.5 if cell == HALF_GAP else 1
        if x > MAX_SIDE:
            raise _Misplaced(column, f"a row is at most {MAX_SIDE} seats wide")
    if not edges:
        raise _Misplaced(1, "a row has at least one seat")
    for run in re.finditer("l+", cells):
        if len(run[0]) % 2:
            raise _Misplaced(run.end(), "a love seat has no second half next to it")
    for place in re.finditer("(?<!c)w(?!c)", cells):
        raise _Misplaced(place.end(), "a wheelchair space has no companion seat next to it")
    return categories, edges, walks


def _numbers(text: str, count: int) -> list[int]:
    """The numbers painted on a row's seats, from the left: `12-1`, `1-7 101-107`, `9-1/2 2-10/2`. Raises _Misplaced."""
    numbers: list[int] = []
    for word in re.finditer(r"\S+", text):
        column = word.start() + 1
        if not (match := _NUMBERS.fullmatch(word[0])):
            raise _Misplaced(column, f"{word[0]!r} is neither a seat number nor a range, like 12-1 or 1-9/2")
        first, step = int(match[1]), int(match[3] or 1)
        last = int(match[2] or first)
        if 0 in {first, last, step}:
            raise _Misplaced(column, "seats are numbered from 1 to 999")
        found = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
        for number in found:
            if number in numbers:
                raise _Misplaced(column, f"the number {number} occurs twice")
            numbers.append(number)
    if len(numbers) != count:
        raise _Misplaced(1, f"here are numbers for {len(numbers)} seats; the row has {count}")
    return numbers


def _layout(reader: _Reader) -> Layout:
    edges = [seat.x for seat in reader.seats] + [x for walks in reader.walks.values() for x in walks]
    columns, rows, screen = max(edges) + 1, float(reader.y), reader.screen or "top"
    return Layout(
        screen=screen,
        columns=columns,
        rows=rows,
        focal_point=reader.focus or _usual_focus(screen, columns, rows, reader.seats),
        aisles=_aisles(reader.walks, columns, reader.y),
        seats=reader.seats,
    )


def _usual_focus(screen: ScreenSide, columns: float, rows: float, seats: Iterable[PlacedSeat]) -> Point:
    """The default focal point: the middle, two thirds of the way to the back, rounded to half a seat."""
    if screen in {"left", "right"}:
        return Point(x=_to_half(columns * (2 / 3 if screen == "left" else 1 / 3)), y=_to_half(rows / 2))
    edges = [seat.x for seat in seats]
    middle = (min(edges) + max(edges) + 1) / 2
    return Point(x=_to_half(middle), y=_to_half(rows * (2 / 3 if screen == "top" else 1 / 3)))


def _to_half(length: float) -> float:
    return round(length * 2) / 2


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


def format_layout(layout: Layout) -> str:
    """The shortest text form of a layout, without comments: `parse_layout` returns the same layout."""
    lines = [f"screen: {layout.screen}"] if layout.screen != "top" else []
    focus = layout.focal_point
    if focus != _usual_focus(layout.screen, layout.columns, layout.rows, layout.seats):
        lines.append(f"focus: {focus.x:g} {focus.y:g}")
    rows: dict[float, list[PlacedSeat]] = defaultdict(list)
    for seat in layout.seats:
        rows[seat.y].append(seat)
    drawn = {y: _drawn(seats, _walks(layout.aisles, y)) for y, seats in sorted(rows.items())}
    widest, width = max(len(seat.row) for seat in layout.seats), max(map(len, drawn.values()))
    area, above = None, -1
    for y, cells in drawn.items():
        first, *_ = seats = rows[y]
        lines += [""] * int(y - above - 1)
        if first.area != area:
            area = first.area
            lines.append(f"[{area}]")
        numbers = _numbered([seat.number for seat in seats])
        lines.append(f"{first.row:<{widest}}  {cells:<{width}}  {numbers}".rstrip())
        above = y
    return "\n".join(lines) + "\n"


def _walks(aisles: Iterable[Aisle], y: float) -> list[float]:
    """The left edges of the aisles' places in a row."""
    crossing = [aisle for aisle in aisles if aisle.y <= y < aisle.y + aisle.depth]
    return [aisle.x + step for aisle in crossing for step in range(int(aisle.width))]


def _drawn(seats: Iterable[PlacedSeat], walks: Iterable[float]) -> str:
    places = sorted(
        [(seat.x, _LETTERS.get(seat.category, seat.category)) for seat in seats] + [(x, AISLE) for x in walks]
    )
    cells, edge = "", 0.0
    for x, letter in places:
        whole, half = divmod(x - edge, 1)
        cells += GAP * int(whole) + HALF_GAP * bool(half) + letter
        edge = x + 1
    return cells


def _numbered(numbers: Sequence[int]) -> str:
    """The numbers of a row as ranges; nothing for 1, 2, 3 …"""
    if list(numbers) == list(range(1, len(numbers) + 1)):
        return ""
    words: list[str] = []
    steps = [after - before for before, after in pairwise(numbers)]
    at = 0
    while at < len(numbers):
        end = at
        while end < len(steps) and steps[end] == steps[at]:
            end += 1
        step = abs(steps[at]) if at < len(steps) else 0
        if end - at >= (1 if step == 1 else 2):
            words.append(f"{numbers[at]}-{numbers[end]}{f'/{step}' if step > 1 else ''}")
            at = end + 1
        else:
            words.append(str(numbers[at]))
            at += 1
    return " ".join(words)


def check_layout(layout: Layout) -> Layout:
    """Check a layout that was sent as JSON and sort its parts in the order of the drawing.

    The text form defines the rules: a layout is valid when it can be written as text and read back unchanged.
    Raises LayoutInvalid, with `seat` for a seat that is not as it would be read.
    """
    if not 1 <= len(layout.seats) <= MAX_SEATS:
        raise LayoutInvalid(f"A layout has 1 to {MAX_SEATS} seats; this one has {len(layout.seats)}.")
    for seat in layout.seats:
        if not (0 <= seat.x < MAX_SIDE and 0 <= seat.y < MAX_SIDE and seat.category in _LETTERS):
            raise LayoutInvalid(
                f"Seat {seat.seat_id} has an unknown category or stands off the grid.", seat=seat.seat_id
            )
    if any(not (0 <= a.x < MAX_SIDE and 0 < a.width <= MAX_SIDE) for a in layout.aisles):
        raise LayoutInvalid("An aisle lies off the grid.")
    given = layout.model_copy(
        update={
            "seats": sorted(layout.seats, key=lambda seat: (seat.y, seat.x)),
            "aisles": sorted(layout.aisles, key=lambda aisle: (aisle.y, aisle.x)),
        }
    )
    read = parse_layout(format_layout(given))
    for seat, understood in zip(given.seats, read.seats, strict=True):
        if seat != understood:
            raise LayoutInvalid(
                f"Seat {seat.seat_id} does not fit: seats stand on half steps without overlapping, one row per "
                "line, all in areas or none, and are named by row and number.",
                seat=seat.seat_id,
            )
    if read != given:
        raise LayoutInvalid("The size, the focal point or an aisle does not match the seats.")
    return read
