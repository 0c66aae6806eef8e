"""Writing a seat layout as text, and checking one that was sent as JSON."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from contracts.catalog import Aisle, PlacedSeat
from pydantic import ValidationError

from catalog.model.layout.grid import (
    AISLE,
    GAP,
    HALF_GAP,
    LETTERS,
    MAX_SEATS,
    MAX_SIDE,
    OPTIONAL_AREA,
    ROW_NAME,
    SUFFIX,
    Layout,
    SeatLabel,
    reason,
    usual_focus,
)
from catalog.model.layout.reading import parse_layout
from catalog.model.problems import LayoutInvalid


def format_layout(layout: Layout) -> str:
    """The shortest text form of a layout, without comments: `parse_layout` returns the same layout."""
    lines = [f"screen: {layout.screen}"] if layout.screen != "top" else []
    focus = layout.focal_point
    if focus != usual_focus(layout.screen, layout.columns, layout.rows, layout.seats):
        lines.append(f"focus: {focus.x:g} {focus.y:g}")
    rows: dict[float, list[PlacedSeat]] = defaultdict(list)
    for seat in layout.seats:
        rows[seat.y].append(seat)
    drawn = {y: _drawn(seats, _walks(layout.aisles, y)) for y, seats in sorted(rows.items())}
    widest, width = max(len(_written(seat.row)) for seat in layout.seats), max(map(len, drawn.values()))
    area, above = None, -1
    for y, cells in drawn.items():
        first, *_ = seats = rows[y]
        lines += [""] * int(y - above - 1)
        if first.area != area:
            area = first.area
            lines.append(f"[{area}]")
        labels = _numbered([(seat.number, seat.suffix) for seat in seats])
        lines.append(f"{_written(first.row):<{widest}}  {cells:<{width}}  {labels}".rstrip())
        above = y
    return "\n".join(lines) + "\n"


def _written(row: str) -> str:
    """The row's name, in quotes if it would not be read as one."""
    return f'"{row}"' if re.search(r"[\s\[\]:#]", row) else row


def _walks(aisles: Iterable[Aisle], y: float) -> list[float]:
    """The left edges of the aisles' places in a row."""
    crossing = [aisle for aisle in aisles if aisle.y <= y < aisle.y + aisle.depth]
    return [aisle.x + step for aisle in crossing for step in range(int(aisle.width))]


def _drawn(seats: Iterable[PlacedSeat], walks: Iterable[float]) -> str:
    places = sorted([(seat.x, _letter(seat)) for seat in seats] + [(x, AISLE) for x in walks])
    cells, edge = "", 0.0
    for x, letter in places:
        whole, half = divmod(x - edge, 1)
        cells += GAP * int(whole) + HALF_GAP * bool(half) + letter
        edge = x + 1
    return cells


def _letter(seat: PlacedSeat) -> str:
    letter = LETTERS[seat.category]
    return letter.upper() if seat.pair else letter


def _numbered(labels: Sequence[SeatLabel]) -> str:
    """The numbers of a row as ranges; nothing for 1, 2, 3 …"""
    if list(labels) == [(number, None) for number in range(1, len(labels) + 1)]:
        return ""
    words: list[str] = []
    steps = [
        None if suffix or suffix_before else number - before
        for (before, suffix_before), (number, suffix) in pairwise(labels)
    ]
    at = 0
    while at < len(labels):
        end, (number, suffix) = at, labels[at]
        while end < len(steps) and steps[end] is not None and steps[end] == steps[at]:
            end += 1
        step = abs(steps[at] or 0) if at < len(steps) else 0
        if end - at >= (1 if step == 1 else 2):
            words.append(f"{number}-{labels[end][0]}{f'/{step}' if step > 1 else ''}")
            at = end + 1
        else:
            words.append(f"{number}{suffix or ''}")
            at += 1
    return " ".join(words)


def check_layout(layout: Layout) -> Layout:
    """Check a layout that was sent as JSON and sort its parts in the order of the drawing.

    The text form defines the rules: a layout is valid when it can be written as text and read back unchanged, except
    that the seats have our ids then. Raises LayoutInvalid, with `seat` for a seat that is not as it would be read.
    """
    if not 1 <= len(layout.seats) <= MAX_SEATS:
        raise LayoutInvalid(f"A layout has 1 to {MAX_SEATS} seats; this one has {len(layout.seats)}.")
    seats = sorted(map(_checked, layout.seats), key=lambda seat: (seat.y, seat.x))
    if any(not (0 <= a.x < MAX_SIDE and 0 < a.width <= MAX_SIDE) for a in layout.aisles):
        raise LayoutInvalid("An aisle lies off the grid.")
    given = layout.model_copy(
        update={"seats": seats, "aisles": sorted(layout.aisles, key=lambda aisle: (aisle.y, aisle.x))}
    )
    read = parse_layout(format_layout(given))
    ids = {seat.seat_id: understood.seat_id for seat, understood in zip(seats, read.seats, strict=True)}
    if len(ids) < len(seats):
        raise LayoutInvalid("Two seats have the same id.")
    renamed = [_renamed(seat, ids) for seat in seats]
    for seat, expected, understood in zip(seats, renamed, read.seats, strict=True):
        if expected != understood:
            raise LayoutInvalid(
                f"Seat {seat.seat_id} does not fit: seats stand on half steps without overlapping, one row per "
                "line, all in areas or none; the halves of a couch stand side by side and name each other.",
                seat=seat.seat_id,
            )
    if read != given.model_copy(update={"seats": renamed}):
        raise LayoutInvalid("The size, the focal point or an aisle does not match the seats.")
    return read


def _checked(seat: PlacedSeat) -> PlacedSeat:
    """The seat with clean names. Raises LayoutInvalid."""
    if not (0 <= seat.x < MAX_SIDE and 0 <= seat.y < MAX_SIDE and seat.category in LETTERS):
        raise LayoutInvalid(f"Seat {seat.seat_id} has an unknown category or stands off the grid.", seat=seat.seat_id)
    if seat.suffix is not None and not SUFFIX.fullmatch(seat.suffix):
        raise LayoutInvalid(f"The suffix of seat {seat.seat_id} is not one to three letters.", seat=seat.seat_id)
    try:
        names = {"row": ROW_NAME.validate_python(seat.row), "area": OPTIONAL_AREA.validate_python(seat.area)}
    except ValidationError as error:
        what = f"The row or area of seat {seat.seat_id} has an invalid name: {reason(error)}."
        raise LayoutInvalid(what, seat=seat.seat_id) from None
    return seat.model_copy(update=names)


def _renamed(seat: PlacedSeat, ids: dict[str, str]) -> PlacedSeat:
    """The seat with our ids, as it must be read."""
    named = {"seat_id": ids[seat.seat_id], "pair": ids.get(seat.pair, "") if seat.pair else None}
    return seat.model_copy(update=named)
