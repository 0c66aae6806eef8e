"""The best available seats for a party.

The seats are in one row, side by side, near the point with the best view, and leave no single seat free. If that is
impossible, the party is split into as few groups as possible. A couch that is sold only whole is never divided.

Wheelchair spaces, with up to three companions beside each, are reserved until every other seat of the auditorium is
sold or blocked (after the ADA's rules for ticket sales, 28 CFR 36.302 (f) (3) and (5)).
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil

from contracts.catalog import PlacedSeat

from inventory.model.auditorium import RESERVED, AuditoriumMap, SeatRun
from inventory.model.seating import SeatState

COMPANIONS = 3
"""The maximum number of companions beside each wheelchair."""
Cost = tuple[int, int, float, int, int]
"""Penalty of single seats, seats of an unwanted kind, squared distance; then the indexes of the run and first seat."""


@dataclass(frozen=True)
class Party:
    """People who want to sit together, `wheelchairs` of them in wheelchairs.

    Without categories, every category fits. `near` is a seat to sit close to instead of the point with the best view.
    """

    size: int
    categories: frozenset[str] = frozenset()
    area: str | None = None
    wheelchairs: int = 0
    near: str | None = None

    def accepts(self, seat: PlacedSeat, *, released: bool) -> bool:
        """Whether the party can have the seat. `released`: reserved seats are open to everyone."""
        if self.area is not None and seat.area != self.area:
            return False
        if seat.category in RESERVED:
            return released or self.wheelchairs > 0
        return not self.categories or seat.category in self.categories


@dataclass(frozen=True)
class Choice:
    """Seats for a party. The seats of a group are side by side.

    `relies_on` are free seats that must stay free, because otherwise other seats would become single. `penalty` is the
    penalty of the single seats that the choice leaves.
    """

    groups: list[list[str]]
    relies_on: list[str]
    penalty: int

    @property
    def seats(self) -> list[str]:
        """The seats of all groups."""
        return [seat_id for group in self.groups for seat_id in group]

    @property
    def is_together(self) -> bool:
        """Whether the whole party sits side by side."""
        return len(self.groups) == 1


def is_released(auditorium: AuditoriumMap, states: Mapping[str, SeatState]) -> bool:
    """Whether reserved seats are open to everyone: every other seat is sold or blocked. Held seats may become free."""
    return all(states.get(seat_id, "held") != "held" for seat_id in auditorium.ordinary)


def available_seats(auditorium: AuditoriumMap, states: Mapping[str, SeatState], party: Party) -> list[str]:
    """Return the free seats that this party can have. One person cannot have a couch."""
    released = is_released(auditorium, states)
    seats = (seat for run in auditorium.runs for seat in run.seats if seat.seat_id not in states)
    fitting = (seat for seat in seats if party.accepts(seat, released=released))
    return [seat.seat_id for seat in fitting if party.size > 1 or seat.pair is None]


def best_available(
    auditorium: AuditoriumMap, states: Mapping[str, SeatState], party: Party, *, nth: int = 0
) -> Choice | None:
    """Return the best seats for a party, or None when there are not enough; `states` are the seats that are not free.

    `nth` skips that many choices with the same penalty, and wraps around after the last one. With it, people who ask
    at the same moment do not all compete for the same seats.
    """
    search = _Search(auditorium, states, party)
    place = search.place(party.size, party.wheelchairs, nth)
    if place:
        chosen = [place]
    elif party.wheelchairs:
        chosen = search.split_with_wheelchairs()
    else:
        chosen = search.split(party.size) or _Search(auditorium, states, party).split_couches_first()
    if not chosen:
        return None
    groups = auditorium.groups_of(seat_id for ids in chosen for seat_id in ids)
    seats = [seat_id for group in groups for seat_id in group]
    single = auditorium.single_seats_after(seats, states)
    return Choice(groups, single.relies_on, single.penalty)


@dataclass
class _Row:
    """A run from the party's view: its free seats and the seats `open` to the party.

    `before` and `after` are the penalties of a window that starts or ends at a seat; `longest` is the largest number of
    open seats side by side.
    """

    run: SeatRun
    free: list[bool]
    open: list[bool]
    before: list[int] = field(default_factory=list[int])
    after: list[int] = field(default_factory=list[int])
    longest: int = 0

    def __post_init__(self) -> None:
        self.count()

    def count(self) -> None:
        """Recompute the penalties and the longest window."""
        places = range(len(self.free))
        self.before = [self.run.penalty_beside(at, -1, self.free) for at in places]
        self.after = [self.run.penalty_beside(at, 1, self.free) for at in places]
        self.longest = max((sum(1 for _ in group) for is_open, group in groupby(self.open) if is_open), default=0)


class _Search:
    """A search that finds windows of seats one after the other. Seats that were found count as taken."""

    def __init__(self, auditorium: AuditoriumMap, states: Mapping[str, SeatState], party: Party) -> None:
        self.auditorium, self.states, self.party, self.near = auditorium, states, party, auditorium.focus
        if party.near:
            seat = auditorium.seat(party.near)
            self.near = seat.x + 0.5, seat.y + 0.5
        released = is_released(auditorium, states)
        self.rows: list[_Row] = []
        for run in auditorium.runs:
            free = [seat_id not in states for seat_id in run.ids]
            is_open = [
                is_free and party.accepts(seat, released=released)
                for is_free, seat in zip(free, run.seats, strict=True)
            ]
            if any(is_open):
                self.rows.append(_Row(run, free, is_open))

    def place(self, size: int, wheelchairs: int, nth: int = 0) -> list[str] | None:
        """Return the nth best window of `size` seats and mark it as taken; None when there is no window."""
        found = heapq.nsmallest(nth + 1, self._windows(size, wheelchairs))
        if not found:
            return None
        as_good = [cost for cost in found if cost[0] == found[0][0]]
        *_, row, start = as_good[nth % len(as_good)]
        return self._occupy(self.rows[row], start, start + size)

    def split(self, size: int) -> list[list[str]] | None:
        """Split a party into large groups, each near the previous one. Avoid groups of one person."""
        groups: list[list[str]] = []
        left = size
        while left:
            longest = max((row.longest for row in self.rows), default=0)
            size = min(longest, left)
            if left - size == 1 and size > 2:
                size -= 1
            # Where there are only couches, an odd number of seats does not fit.
            places = (self.place(smaller, 0) for smaller in range(size, 0, -1))
            place = next(filter(None, places), None)
            if place is None:
                return None
            groups.append(place)
            left -= len(place)
        return groups

    def split_couches_first(self) -> list[list[str]] | None:
        """Split the party so that few of its people need a seat of their own: couches fit only two."""
        pairs, others = self._only(couches=True), self._only(couches=False)
        in_couches = min(sum(sum(row.open) for row in pairs), self.party.size // 2 * 2)
        self.rows = pairs
        on_couches = self.split(in_couches)
        self.rows = others
        alone = self.split(self.party.size - in_couches)
        return None if on_couches is None or alone is None else on_couches + alone

    def _only(self, *, couches: bool) -> list["_Row"]:
        """The rows with only their couches, or only their other seats, open."""
        opened = (
            (
                row,
                [is_open and bool(seat.pair) is couches for is_open, seat in zip(row.open, row.run.seats, strict=True)],
            )
            for row in self.rows
        )
        return [_Row(row.run, row.free, is_open) for row, is_open in opened if any(is_open)]

    def split_with_wheelchairs(self) -> list[list[str]] | None:
        """Place each wheelchair with its share of the companions beside it; the remaining companions sit near."""
        groups: list[list[str]] = []
        companions = self.party.size - self.party.wheelchairs
        for others in range(self.party.wheelchairs, 0, -1):
            for beside in _closest_first(ceil(companions / others), min(COMPANIONS, companions)):
                if place := self.place(1 + beside, 1):
                    groups.append(place)
                    companions -= beside
                    break
            else:
                return None
        if companions == 0:
            return groups
        taken: dict[str, SeatState] = {seat_id: "held" for group in groups for seat_id in group}
        others = Party(companions, area=self.party.area, near=groups[-1][0])
        rest = best_available(self.auditorium, {**self.states, **taken}, others)
        return [*groups, *rest.groups] if rest else None

    def _windows(self, size: int, wheelchairs: int) -> Iterator[Cost]:
        x, y = self.near
        for number, row in enumerate(self.rows):
            if row.longest < size:
                continue
            run, length, divides = row.run, 0, row.run.divides_pair
            constant = size * (x * x + y * y) - 2 * y * run.y * size
            for last, is_open in enumerate(row.open):
                length = length + 1 if is_open else 0
                start, end = last + 1 - size, last + 1
                if (
                    length < size
                    or (divides and (divides[start] or divides[end]))
                    or (wheelchairs and run.wheelchairs[end] - run.wheelchairs[start] != wheelchairs)
                ):
                    continue
                unwanted = (
                    run.ordinary[end] - run.ordinary[start]
                    if wheelchairs
                    else int(run.category_changes[last] > run.category_changes[start])
                )
                squares = run.sum_squares[end] - run.sum_squares[start]
                distance = squares - 2 * x * (run.sum_x[end] - run.sum_x[start]) + constant
                yield row.before[start] + row.after[last], unwanted, distance, number, start

    def _occupy(self, row: _Row, start: int, end: int) -> list[str]:
        for at in range(start, end):
            row.free[at] = row.open[at] = False
        row.count()
        self.near = (row.run.sum_x[end] - row.run.sum_x[start]) / (end - start), row.run.y
        return list(row.run.ids[start:end])


def _closest_first(wished: int, most: int) -> list[int]:
    """Return the numbers from 0 to `most`, closest to `wished` first."""
    return sorted(range(most + 1), key=lambda number: abs(number - wished))
