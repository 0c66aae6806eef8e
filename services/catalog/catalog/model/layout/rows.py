"""The ids of seats. They are opaque: two letters and a number whatever row and seat are called."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from zlib import crc32

from contracts.catalog import PlacedSeat

from catalog.model.layout.grid import CATEGORIES, COUCHES, MAX_NUMBER, SeatLabel

_PLAIN_ROW = re.compile(r"[A-Z]{1,2}")
_ROW_CODES = [*ascii_uppercase, *(one + other for one in ascii_uppercase for other in ascii_uppercase)]


@dataclass(frozen=True)
class Row:
    """A row as it was read: its seats from left to right, and the left edges of its aisle places."""

    area: str | None
    name: str
    y: int
    cells: list[str]
    edges: list[float]
    walks: list[float]
    labels: Sequence[SeatLabel]

    def seats(self, code: str) -> list[PlacedSeat]:
        """The row's seats, with ids that start with the row's code."""
        ids = [f"{code}{number}" for number in _id_numbers(self.labels)]
        return [
            PlacedSeat(
                seat_id=seat_id,
                area=self.area,
                row=self.name,
                number=number,
                suffix=suffix,
                category=COUCHES.get(cell) or CATEGORIES[cell],
                x=x,
                y=self.y,
                pair=pair,
            )
            for seat_id, (number, suffix), cell, x, pair in zip(
                ids, self.labels, self.cells, self.edges, _pairs(self.cells, ids), strict=True
            )
        ]


def _id_numbers(labels: Iterable[SeatLabel]) -> list[int]:
    """The numbers in the ids of a row's seats. Seats with a suffix have the highest numbers that are free."""
    plain = {number for number, suffix in labels if not suffix}
    others = iter(number for number in range(MAX_NUMBER, -1, -1) if number not in plain)
    return [next(others) if suffix else number for number, suffix in labels]


def _pairs(cells: Iterable[str], ids: Sequence[str]) -> list[str | None]:
    """For each seat the id of the other half of its couch. Two adjacent halves form one, counted from the left."""
    halves = [at for at, cell in enumerate(cells) if cell in COUCHES]
    others = dict(zip(halves[::2], halves[1::2], strict=True))
    others |= {other: half for half, other in others.items()}
    return [ids[others[at]] if at in others else None for at in range(len(ids))]


def row_codes(rows: Sequence[Row]) -> list[str]:
    """The first part of each row's seat ids: one or two letters, whatever the row is called.

    It is the row's name for the first row that is called so. Others have a code that depends on area and name, so that
    it is usually the same in the next version.
    """
    plain = {row.name: row for row in reversed(rows) if _PLAIN_ROW.fullmatch(row.name)}
    used, codes = set(plain), list[str]()
    for row in rows:
        if plain.get(row.name) is row:
            codes.append(row.name)
            continue
        start = crc32(f"{row.area}\n{row.name}".encode())
        places = (_ROW_CODES[(start + step) % len(_ROW_CODES)] for step in range(len(_ROW_CODES)))
        codes.append(code := next(code for code in places if code not in used))
        used.add(code)
    return codes
