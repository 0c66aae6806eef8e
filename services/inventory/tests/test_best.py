"""The best available seats and the single seats left by a choice, compared with a slow and simple implementation."""

from collections.abc import Iterator, Sequence

import pytest
from contracts.catalog import PlacedSeat, Point
from hypothesis import assume, given
from hypothesis import strategies as st
from inventory.model.auditorium import PENALTY_AT_END, PENALTY_BETWEEN, RESERVED, WHEELCHAIR, AuditoriumMap
from inventory.model.best import COMPANIONS, Choice, Party, best_available, is_released
from inventory.model.orphans import companion_seat_problem, single_seat_problem

KINDS = {"s": "standard", "v": "vip", "r": "recliner", "l": "love_seat", "w": "wheelchair", "c": "companion"}
FOCUS = Point(x=5, y=3)


def auditorium(*rows: str, focus: Point | None = FOCUS) -> AuditoriumMap:
    """Create the map of rows A, B, C, …: letters of KINDS, `.` for a gap. Rows from D on are in the circle."""
    seats: list[PlacedSeat] = []
    for y, (row, cells) in enumerate(zip("ABCDEFGH", rows, strict=False)):
        places = [(x, cell) for x, cell in enumerate(cells) if cell != "."]
        for number, (x, cell) in enumerate(places, 1):
            area = "circle" if row >= "D" else "stalls"
            names = {"seat_id": f"{row}{number}", "row": row, "number": number, "category": KINDS[cell]}
            seats.append(PlacedSeat.model_validate(names | {"x": x, "y": y, "area": area}))
    return AuditoriumMap.from_layout(seats, focus)


def taken(*seats: str, state: str = "sold") -> dict:
    return dict.fromkeys(" ".join(seats).split(), state)


def best(room: AuditoriumMap, states: dict, party: Party) -> Choice:
    """Return the best choice; fails when there is none."""
    choice = best_available(room, states, party)
    assert choice is not None
    return choice


def ids(room: AuditoriumMap) -> list[str]:
    return [seat_id for run in room.runs for seat_id in run.ids]


groups = st.sampled_from(["s", "ss", "sss", "ssss", "v", "vv", "ll", "llll", "wc", "cw", "wcc", "wcss", "cwwc", "."])
rows = st.lists(groups, min_size=1, max_size=5).map("".join).filter(lambda row: row.strip("."))
rooms = st.lists(rows, min_size=1, max_size=5).map(lambda drawn: auditorium(*drawn))
sizes = st.integers(1, 10)


@st.composite
def occupied_rooms(draw: st.DrawFn) -> tuple[AuditoriumMap, dict]:
    """An auditorium and its taken seats: some, nearly all, or all that are not reserved."""
    drawn = draw(rooms)
    states = draw(st.dictionaries(st.sampled_from(ids(drawn)), st.sampled_from(["held", "sold", "blocked"])))
    if draw(st.booleans()):
        states |= dict.fromkeys(drawn.ordinary, draw(st.sampled_from(["held", "sold"])))
    return drawn, states


def windows(room: AuditoriumMap, size: int) -> Iterator[Sequence[PlacedSeat]]:
    for run in room.runs:
        for start in range(len(run.seats) - size + 1):
            yield run.seats[start : start + size]


def single_after(room: AuditoriumMap, chosen: set[str], states: dict) -> set[str]:
    """The simple way: free seats that lose their last free neighbor. Love seats and reserved seats end a stretch."""
    found = set()
    for run in room.runs:
        stretch: list[str] = []
        for at, seat_id in enumerate(run.ids):
            if not run.joined[at]:
                found |= isolated(stretch, chosen, states)
                stretch = []
            stretch.append(seat_id)
        found |= isolated(stretch, chosen, states)
    return found


def isolated(stretch: list[str], chosen: set[str], states: dict) -> set[str]:
    def beside(at: int, gone: set[str]) -> list[str]:
        return [stretch[n] for n in (at - 1, at + 1) if 0 <= n < len(stretch) and stretch[n] not in gone]

    return {
        seat_id
        for at, seat_id in enumerate(stretch)
        if seat_id not in chosen
        and seat_id not in states
        and beside(at, set(states))
        and not beside(at, {*chosen, *states})
    }


def distance(room: AuditoriumMap, seats: Sequence[PlacedSeat]) -> float:
    x, y = room.focus
    return sum((seat.x + 0.5 - x) ** 2 + (seat.y + 0.5 - y) ** 2 for seat in seats)


class TestBest:
    @given(occupied_rooms(), sizes)
    def test_a_party_sits_together_near_the_best_view_and_leaves_no_single_seat_if_possible(self, occupied_room, size):
        room, states = occupied_room
        released = is_released(room, states)
        open_to_all = {
            seat.seat_id
            for run in room.runs
            for seat in run.seats
            if seat.seat_id not in states and (released or seat.category not in RESERVED)
        }
        choice = best_available(room, states, Party(size))
        if choice is None:
            assert len(open_to_all) < size
            return
        assert len(choice.seats) == len(set(choice.seats)) == size
        assert set(choice.seats) <= open_to_all
        possible = [seats for seats in windows(room, size) if {seat.seat_id for seat in seats} <= open_to_all]
        assert choice.is_together == bool(possible)
        assert sorted(room.groups_of(choice.seats)) == sorted(choice.groups)

        def cost(seats: Sequence[PlacedSeat]) -> tuple[int, bool, float]:
            penalty = room.single_seats_after([seat.seat_id for seat in seats], states).penalty
            return penalty, len({seat.category for seat in seats}) > 1, distance(room, seats)

        if possible:
            best = min(map(cost, possible))
            mine = cost([room.seat(seat_id) for seat_id in choice.seats])
            assert mine[:2] == best[:2]
            assert mine[2] == pytest.approx(best[2])
            assert choice.penalty == best[0]

    @given(occupied_rooms(), st.integers(1, 3), st.integers(0, 3 * COMPANIONS))
    def test_wheelchairs_get_places_with_companions_beside_them(self, occupied_room, wheelchairs, companions):
        assume(companions <= COMPANIONS * wheelchairs)
        room, states = occupied_room
        party = Party(wheelchairs + companions, wheelchairs=wheelchairs)
        choice = best_available(room, states, party)
        free = [seat for run in room.runs for seat in run.seats if seat.seat_id not in states]
        places = [seat for seat in free if seat.category == WHEELCHAIR]
        if choice is None:
            assert len(places) < wheelchairs or companions
            return
        categories = [room.seat(seat_id).category for seat_id in choice.seats]
        assert not {*choice.seats} & states.keys()
        assert len({*choice.seats}) == party.size
        assert categories.count(WHEELCHAIR) == wheelchairs or is_released(room, states)
        possible = [
            seats
            for seats in windows(room, party.size)
            if not {seat.seat_id for seat in seats} & states.keys()
            and [seat.category for seat in seats].count(WHEELCHAIR) == wheelchairs
        ]
        assert not possible or choice.is_together

    @given(
        occupied_rooms(),
        sizes,
        st.sampled_from(["standard", "vip", "love_seat"]),
        st.sampled_from([None, "stalls", "circle"]),
    )
    def test_a_wish_is_fulfilled(self, occupied_room, size, category, area):
        room, states = occupied_room
        choice = best_available(room, states, Party(size, frozenset({category}), area))
        fitting = [
            seat
            for run in room.runs
            for seat in run.seats
            if seat.seat_id not in states and seat.category == category and area in (None, seat.area)
        ]
        if choice and not is_released(room, states):
            assert {*choice.seats} <= {seat.seat_id for seat in fitting}
        elif choice is None:
            assert len(fitting) < size

    @given(occupied_rooms(), sizes, st.integers(0, 30))
    def test_the_next_best_sit_together_as_well(self, occupied_room, size, nth):
        room, states = occupied_room
        first, other = (best_available(room, states, Party(size), nth=n) for n in (0, nth))
        assert (first is None) == (other is None)
        if first and other:
            assert first.is_together == other.is_together
            assert first.penalty == other.penalty or not first.is_together

    def test_the_middle_row_two_thirds_back_comes_first(self):
        room = auditorium(*["ssssssssss"] * 4)
        assert best(room, {}, Party(2)).seats == ["C5", "C6"]
        assert best(room, {}, Party(4)).seats == ["C4", "C5", "C6", "C7"]
        assert best(room, taken("C5 C6"), Party(2)).seats == ["D5", "D6"]
        near = best(room, {}, Party(2, near="A1"))
        assert near.seats == ["A1", "A2"]

    def test_it_prefers_other_seats_to_a_choice_that_leaves_a_single_seat(self):
        room = auditorium("ssss", "ssss", focus=Point(x=2, y=2))
        assert best(room, {}, Party(3)).penalty == PENALTY_AT_END, "nothing better"
        assert best(room, taken("B1"), Party(3)).seats == ["B2", "B3", "B4"]

    def test_a_love_seat_is_not_split(self):
        room = auditorium("llll", "ssss", focus=Point(x=2, y=0.5))
        assert best(room, {}, Party(2)).seats in (["A1", "A2"], ["A3", "A4"])
        assert best(room, {}, Party(1)).seats[0].startswith("B")

    def test_a_split_party_sits_in_large_groups_near_each_other(self):
        room = auditorium("ssss..ss", "..ssss")
        choice = best(room, taken("A1 B1"), Party(5))
        assert not choice.is_together
        assert sorted(map(len, choice.groups)) == [2, 3]
        split = best(auditorium("sss.ss"), {}, Party(4))
        assert sorted(map(len, split.groups)) == [2, 2], "two and two is better than three and one"

    def test_reserved_seats_come_last(self):
        room = auditorium("sswc")
        assert best_available(room, {}, Party(3)) is None
        assert best_available(room, taken("A1 A2", state="held"), Party(1)) is None, "the holds may expire"
        assert best(room, taken("A1 A2"), Party(2)).seats == ["A3", "A4"]
        assert best(room, {}, Party(2, wheelchairs=1)).seats == ["A3", "A4"]
        assert len(best(room, {}, Party(4, wheelchairs=1)).seats) == 4

    def test_two_wheelchairs_that_cannot_be_together_have_a_companion_each(self):
        choice = best(auditorium("wcs", "ss", "wcs"), {}, Party(4, wheelchairs=2))
        assert choice.groups == [["A1", "A2"], ["C1", "C2"]]

    def test_companions_without_a_seat_beside_the_wheelchair_sit_near(self):
        choice = best(auditorium("wc.ss", "ssss"), {}, Party(4, wheelchairs=1))
        assert choice.groups[0] == ["A1", "A2"]
        assert len(choice.seats) == 4


class TestSingleSeatsAfter:
    @given(occupied_rooms(), st.data())
    def test_they_are_exactly_the_seats_that_lose_their_last_neighbor(self, occupied_room, data):
        room, states = occupied_room
        free = [seat_id for seat_id in ids(room) if seat_id not in states]
        assume(free)
        chosen = set(data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=6)))
        single = room.single_seats_after(chosen, states)
        assert {*single.between, *single.at_end} == single_after(room, chosen, states)
        assert len(single.between) + len(single.at_end) == len({*single.between, *single.at_end})
        assert not {*single.relies_on} & ({*states} | chosen)

    @given(occupied_rooms(), st.data())
    def test_as_long_as_what_it_relies_on_stays_free_nobody_else_is_left_alone(self, occupied_room, data):
        """`relies_on` is in the write's filter; others can take any other seat between the read and the write."""
        room, states = occupied_room
        free = [seat_id for seat_id in ids(room) if seat_id not in states]
        assume(free)
        chosen = set(data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=4)))
        before = room.single_seats_after(chosen, states)
        others = [seat_id for seat_id in free if seat_id not in chosen and seat_id not in before.relies_on]
        took = data.draw(st.lists(st.sampled_from(others), max_size=4)) if others else []
        meanwhile = states | dict.fromkeys(took, "held")
        after = room.single_seats_after(chosen, meanwhile)
        assert {*after.between, *after.at_end} <= {*before.between, *before.at_end}

    def test_the_penalty_depends_on_their_position(self):
        room = auditorium("ssssss", "llss")
        assert room.single_seats_after(["A2"], {}).penalty == PENALTY_AT_END
        assert room.single_seats_after(["A3"], taken("A1")).penalty == PENALTY_BETWEEN
        assert room.single_seats_after(["A2", "A4"], {}).between == ["A3"]
        assert room.single_seats_after(["B1"], {}).between == ["B2"], "nobody shares a love seat with a stranger"
        assert room.single_seats_after(["B2", "B1"], {}).penalty == 0
        assert room.single_seats_after(["A1"], {}).relies_on == ["A3"]


class TestOrphanRule:
    @given(occupied_rooms(), st.data(), st.sampled_from(["strict", "lenient"]))
    def test_the_seats_that_a_refusal_suggests_are_accepted(self, occupied_room, data, rule):
        room, states = occupied_room
        free = [seat_id for seat_id in ids(room) if seat_id not in states]
        assume(free)
        chosen = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=4, unique=True))
        problem = single_seat_problem(room, rule, chosen, states)
        if problem is None:
            return
        instead = problem.members["instead"]
        assert len(instead) == len(chosen)
        assert not {*instead} & states.keys()
        assert single_seat_problem(room, rule, instead, states) is None
        assert {*problem.members["seats"]} <= single_after(room, set(chosen), states)

    @given(occupied_rooms(), sizes, st.sampled_from(["strict", "lenient", "off"]))
    def test_the_best_seats_are_never_refused(self, occupied_room, size, rule):
        room, states = occupied_room
        choice = best_available(room, states, Party(size))
        if choice and choice.is_together:
            assert single_seat_problem(room, rule, choice.seats, states) is None
            assert companion_seat_problem(room, choice.seats, states) is None

    @pytest.mark.parametrize(
        ("rule", "seats", "refused"),
        [
            ("strict", ["A2", "A3"], ["A1"]),
            ("strict", ["A1", "A2"], None),
            ("strict", ["A2", "A4"], ["A3", "A1"]),
            ("lenient", ["A2", "A3"], None),
            ("lenient", ["A2", "A4"], ["A3"]),
            ("off", ["A2", "A4"], None),
        ],
    )
    def test_strict_minds_every_single_seat_lenient_those_between_others(self, rule, seats, refused):
        problem = single_seat_problem(auditorium("ssssss", "ssss"), rule, seats, {})
        assert (problem and problem.members["seats"]) == refused

    def test_a_party_without_a_better_choice_is_not_refused(self):
        assert single_seat_problem(auditorium("sss"), "strict", ["A1", "A2"], {}) is None
        assert single_seat_problem(auditorium("sss", "ss"), "strict", ["A1", "A2"], {}) is not None
        assert single_seat_problem(auditorium("sss", "vv"), "strict", ["A1", "A2"], {}) is None, (
            "other seats cost something else"
        )
        assert single_seat_problem(auditorium("sss", "ss"), "strict", ["A1", "A2"], taken("B1")) is None
        beside_a_wheelchair = ["A1", "A2", "A3", "A4"]
        assert single_seat_problem(auditorium("wcsss", "ssss"), "strict", beside_a_wheelchair, {}) is None
        assert single_seat_problem(auditorium("sssss", "ssss"), "strict", beside_a_wheelchair, {}) is not None
        assert single_seat_problem(auditorium("ssss"), "strict", [], {}) is None


class TestCompanionSeats:
    def test_a_companion_seat_needs_a_wheelchair_space(self):
        room = auditorium("sswcc")
        problem = companion_seat_problem(room, ["A4"], {})
        assert problem is not None
        assert problem.members == {"seats": ["A4"]}
        assert companion_seat_problem(room, ["A3", "A4"], {}) is None
        assert companion_seat_problem(room, ["A1", "A2"], {}) is None
        assert companion_seat_problem(room, ["A4"], taken("A1 A2", state="held")) is not None
        assert companion_seat_problem(room, ["A4"], taken("A1 A2")) is None, "nothing else is left"
