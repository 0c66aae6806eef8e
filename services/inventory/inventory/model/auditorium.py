"""An auditorium's seats as neighbours: who sits beside whom, and which single seat a choice would leave over."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise

from contracts.catalog import PlacedSeat, Point

WHEELCHAIR, COMPANION, LOVE_SEAT = "wheelchair", "companion", "love_seat"
RESERVED = frozenset({WHEELCHAIR, COMPANION})
"""Kept for people in wheelchairs and those who come with them."""
PENALTY_BETWEEN, PENALTY_AT_END = 10, 1
"""What a seat that is left alone counts: between two taken ones or on half a couch, and at the end of a row."""


@dataclass(frozen=True)
class SeatRun:
    """Seats side by side from left to right, with neither aisle nor gap between them.

    The sums begin with 0 and have one element more than there are seats, so that those of a window are differences.
    """

    seats: tuple[PlacedSeat, ...]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The names of the seats."""
        return tuple(seat.seat_id for seat in self.seats)

    @cached_property
    def y(self) -> float:
        """Where the middle of the row is."""
        return self.seats[0].y + 0.5

    @cached_property
    def sum_x(self) -> list[float]:
        """Of the seats' middles."""
        return list(accumulate((seat.x + 0.5 for seat in self.seats), initial=0.0))

    @cached_property
    def sum_squares(self) -> list[float]:
        """Of x² + y² of the seats' middles."""
        return list(accumulate(((seat.x + 0.5) ** 2 + self.y**2 for seat in self.seats), initial=0.0))

    @cached_property
    def wheelchairs(self) -> list[int]:
        """How many places for wheelchairs there are."""
        return list(accumulate((seat.category == WHEELCHAIR for seat in self.seats), initial=0))

    @cached_property
    def ordinary(self) -> list[int]:
        """How many seats are kept for nobody."""
        return list(accumulate((seat.category not in RESERVED for seat in self.seats), initial=0))

    @cached_property
    def category_changes(self) -> list[int]:
        """How often the category category_changes up to each seat."""
        return list(accumulate((one.category != other.category for one, other in pairwise(self.seats)), initial=0))

    @cached_property
    def joined(self) -> list[bool]:
        """For each seat and the end: whether somebody who sits there could be the neighbour of the one before it.

        A couch is for two, whoever sits beside it; places that are kept for some are nobody's neighbours.
        """
        joined = [False]
        for one, other in pairwise(self.seats):
            couch = one.category == other.category == LOVE_SEAT
            apart = LOVE_SEAT in (one.category, other.category) or {one.category, other.category} & RESERVED
            joined.append(not joined[-1] if couch else not apart)
        return [*joined, False]

    def penalty_beside(self, at: int, step: int, free: Sequence[bool]) -> int:
        """What it counts that the seat beside `at` loses its last neighbour when `at` is taken; 0 if it does not.

        `step` is 1 for the seat on the right, -1 for the one on the left.
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
    """What a choice of seats leaves behind: seats between two taken ones or on half a couch that lose their last
    neighbour, seats at the end of a row that do, and the free seats thanks to which others do not.
    """

    between: list[str]
    at_end: list[str]
    relies_on: list[str]

    @property
    def penalty(self) -> int:
        """What the seats that are left alone count."""
        return PENALTY_BETWEEN * len(self.between) + PENALTY_AT_END * len(self.at_end)


@dataclass(frozen=True)
class AuditoriumMap:
    """An auditorium. The film is seen best from `focus`."""

    runs: tuple[SeatRun, ...]
    focus: tuple[float, float]

    @classmethod
    def from_layout(cls, seats: Iterable[PlacedSeat], focal_point: Point | None) -> "AuditoriumMap":
        """The neighbours of a layout. Without a focal point it is seen best from the middle of all seats."""
        placed = sorted(seats, key=lambda seat: (seat.y, seat.row, seat.x))
        runs: list[list[PlacedSeat]] = []
        for seat in placed:
            last = runs[-1][-1] if runs else None
            if last and (last.y, last.row) == (seat.y, seat.row) and seat.x - last.x <= 1:
                runs[-1].append(seat)
            else:
                runs.append([seat])
        sides = tuple(SeatRun(tuple(run)) for run in runs)
        if focal_point:
            return cls(sides, (focal_point.x, focal_point.y))
        middle = (sum(seat.x + 0.5 for seat in placed), sum(seat.y + 0.5 for seat in placed))
        return cls(sides, (middle[0] / len(placed), middle[1] / len(placed)))

    @cached_property
    def positions(self) -> dict[str, tuple[SeatRun, int]]:
        """Each seat's run and its place in it."""
        return {seat_id: (run, at) for run in self.runs for at, seat_id in enumerate(run.ids)}

    @cached_property
    def ordinary(self) -> frozenset[str]:
        """The seats that are kept for nobody."""
        return frozenset(seat.seat_id for run in self.runs for seat in run.seats if seat.category not in RESERVED)

    def seat(self, seat_id: str) -> PlacedSeat:
        """One of its seats."""
        run, at = self.positions[seat_id]
        return run.seats[at]

    def groups_of(self, seats: Iterable[str]) -> list[list[str]]:
        """The seats in groups that sit side by side, in the order of the hall."""
        wanted = set(seats)
        groups: list[list[str]] = []
        for run in self.runs:
            chosen = [seat_id in wanted for seat_id in run.ids]
            for is_chosen, places in groupby(zip(chosen, run.ids, strict=True), key=lambda place: place[0]):
                if is_chosen:
                    groups.append([seat_id for _, seat_id in places])
        return groups

    def single_seats_after(self, chosen: Collection[str], taken: Collection[str]) -> SingleSeats:
        """What choosing these seats leaves behind among those that nobody has taken."""
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
