"""The map of an auditorium: which seats are neighbors, and which single seats a choice would leave."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise

from contracts.catalog import PlacedSeat, Point

WHEELCHAIR, COMPANION, LOVE_SEAT = "wheelchair", "companion", "love_seat"
RESERVED = frozenset({WHEELCHAIR, COMPANION})
"""Categories reserved for wheelchair users and their companions."""
PENALTY_BETWEEN, PENALTY_AT_END = 10, 1
"""Penalties of a single seat: between two taken seats or on half a love seat, and at the end of a row."""


@dataclass(frozen=True)
class SeatRun:
    """Adjacent seats from left to right, without an aisle or a gap between them.

    Running sums start with 0 and have one element more than there are seats: the sum of a window is a difference.
    """

    seats: tuple[PlacedSeat, ...]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the seats."""
        return tuple(seat.seat_id for seat in self.seats)

    @cached_property
    def y(self) -> float:
        """The vertical center of the row."""
        return self.seats[0].y + 0.5

    @cached_property
    def sum_x(self) -> list[float]:
        """Running sum of x of the seats' centers."""
        return list(accumulate((seat.x + 0.5 for seat in self.seats), initial=0.0))

    @cached_property
    def sum_squares(self) -> list[float]:
        """Running sum of x² + y² of the seats' centers."""
        return list(accumulate(((seat.x + 0.5) ** 2 + self.y**2 for seat in self.seats), initial=0.0))

    @cached_property
    def wheelchairs(self) -> list[int]:
        """Running number of wheelchair spaces."""
        return list(accumulate((seat.category == WHEELCHAIR for seat in self.seats), initial=0))

    @cached_property
    def ordinary(self) -> list[int]:
        """Running number of seats that are not reserved."""
        return list(accumulate((seat.category not in RESERVED for seat in self.seats), initial=0))

    @cached_property
    def category_changes(self) -> list[int]:
        """Running number of category changes between neighboring seats."""
        return list(accumulate((one.category != other.category for one, other in pairwise(self.seats)), initial=0))

    @cached_property
    def joined(self) -> list[bool]:
        """For each seat and for the end: whether the seat counts as a neighbor of the seat before it.

        A love seat or a couch pairs two seats, which have no other neighbors. Reserved seats have no neighbors.
        """
        joined = [False]
        for one, other in pairwise(self.seats):
            if one.pair or other.pair:
                joined.append(one.pair == other.seat_id)
                continue
            love_seat = one.category == other.category == LOVE_SEAT
            apart = LOVE_SEAT in (one.category, other.category) or {one.category, other.category} & RESERVED
            joined.append(not joined[-1] if love_seat else not apart)
        return [*joined, False]

    @cached_property
    def divides_pair(self) -> list[bool]:
        """For each seat and for the end: whether its left edge is the middle of a couch that is sold only whole.

        Empty if there is no such couch.
        """
        divides = [False, *(one.pair == other.seat_id for one, other in pairwise(self.seats)), False]
        return divides if any(divides) else []

    def penalty_beside(self, at: int, step: int, free: Sequence[bool]) -> int:
        """Return the penalty when taking `at` leaves the seat beside it without free neighbors; 0 when it does not.

        `step` is 1 for the seat on the right, -1 for the seat on the left.
        """
        beside = at + step
        if not (self.joined[max(at, beside)] and free[beside]):
            return 0
        beyond = beside + step
        if not self.joined[max(beside, beyond)]:
            return PENALTY_BETWEEN if self.seats[beside].category == LOVE_SEAT else PENALTY_AT_END
        return 0 if free[beyond] else PENALTY_BETWEEN


@dataclass(frozen=True)
class SingleSeats:
    """The single free seats that a choice of seats leaves.

    `between` are between two taken seats or on half a love seat, `at_end` are at the end of a row. `relies_on` are free
    seats: as long as they stay free, no other seats become single.
    """

    between: list[str]
    at_end: list[str]
    relies_on: list[str]

    @property
    def penalty(self) -> int:
        """The sum of the penalties of the single seats."""
        return PENALTY_BETWEEN * len(self.between) + PENALTY_AT_END * len(self.at_end)


@dataclass(frozen=True)
class AuditoriumMap:
    """The seats of an auditorium as runs of neighbors. The view is best from `focus` (x, y)."""

    runs: tuple[SeatRun, ...]
    focus: tuple[float, float]

    @classmethod
    def from_layout(cls, seats: Iterable[PlacedSeat], focal_point: Point | None) -> "AuditoriumMap":
        """Create the map of a layout. Without a focal point, the center of all seats has the best view."""
        placed = sorted(seats, key=lambda seat: (seat.y, seat.row, seat.x))
        runs: list[list[PlacedSeat]] = []
        for seat in placed:
            last = runs[-1][-1] if runs else None
            if last and (last.y, last.row) == (seat.y, seat.row) and seat.x - last.x <= 1:
                runs[-1].append(seat)
            else:
                runs.append([seat])
        seat_runs = tuple(SeatRun(tuple(run)) for run in runs)
        if focal_point:
            return cls(seat_runs, (focal_point.x, focal_point.y))
        center = (sum(seat.x + 0.5 for seat in placed), sum(seat.y + 0.5 for seat in placed))
        return cls(seat_runs, (center[0] / len(placed), center[1] / len(placed)))

    @cached_property
    def positions(self) -> dict[str, tuple[SeatRun, int]]:
        """The run of each seat and its index in the run."""
        return {seat_id: (run, at) for run in self.runs for at, seat_id in enumerate(run.ids)}

    @cached_property
    def pairs(self) -> dict[str, str]:
        """For each half of a couch that is sold only whole: the other half."""
        return {seat.seat_id: seat.pair for run in self.runs for seat in run.seats if seat.pair}

    @cached_property
    def categories(self) -> frozenset[str]:
        """The categories of all seats."""
        return frozenset(seat.category for run in self.runs for seat in run.seats)

    @cached_property
    def ordinary(self) -> frozenset[str]:
        """The seats that are not reserved."""
        return frozenset(seat.seat_id for run in self.runs for seat in run.seats if seat.category not in RESERVED)

    def seat(self, seat_id: str) -> PlacedSeat:
        """Return the seat with this id."""
        run, at = self.positions[seat_id]
        return run.seats[at]

    def names_of(self, seats: Iterable[str]) -> str:
        """Return the seats as people call them."""
        return ", ".join(self.seat(seat_id).full_name for seat_id in seats)

    def groups_of(self, seats: Iterable[str]) -> list[list[str]]:
        """Group the seats that are side by side. The groups are in the order of the auditorium."""
        wanted = set(seats)
        groups: list[list[str]] = []
        for run in self.runs:
            chosen = [seat_id in wanted for seat_id in run.ids]
            for is_chosen, places in groupby(zip(chosen, run.ids, strict=True), key=lambda place: place[0]):
                if is_chosen:
                    groups.append([seat_id for _, seat_id in places])
        return groups

    def single_seats_after(self, chosen: Collection[str], taken: Collection[str]) -> SingleSeats:
        """Return the single free seats that choosing these seats would leave."""
        single = SingleSeats([], [], [])
        gone = {*chosen, *taken}
        for run, at in (self.positions[seat_id] for seat_id in chosen):
            free = [seat_id not in gone for seat_id in run.ids]
            for step in (-1, 1):
                beside, beyond = at + step, at + 2 * step
                penalty = run.penalty_beside(at, step, free)
                if penalty:
                    names = single.between if penalty == PENALTY_BETWEEN else single.at_end
                    if run.ids[beside] not in names:
                        names.append(run.ids[beside])
                elif run.joined[max(at, beside)] and free[beside]:
                    single.relies_on.append(run.ids[beyond])
        return single
