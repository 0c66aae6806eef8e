"""The best available seats and the rules for choices through the endpoints, one request at a time and many."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from chassis.clock import now
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer

from .conftest import OLD_ID, Booking, NewShowtime, ShowtimeClient, claim_of, wait_for_broadcast
from .test_api import problem


@pytest.fixture
async def small(new_showtime: NewShowtime) -> ShowtimeClient:
    """A showtime with four rows of four seats, with a wheelchair space and love seats."""
    return await new_showtime(in_the_lounge=True)


@pytest.fixture
def both_read_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that makes the next two readers of the seats wait for each other after the read."""
    from inventory.store import best, holds  # noqa: PLC0415 - its settings come from inventory_env

    together, read, looks = asyncio.Barrier(2), holds.seat_map_of, count()

    async def seat_map_of(showtime_id: str) -> dict[str, Any]:
        found = await read(showtime_id)
        if next(looks) < 2:
            await together.wait()
        return found

    def arm() -> None:
        monkeypatch.setattr(holds, "seat_map_of", seat_map_of)
        monkeypatch.setattr(best, "seat_map_of", seat_map_of)

    return arm


def names(body: dict[str, Any]) -> list[str]:
    return [seat["seat_id"] for seat in body["seats"]]


class TestBest:
    async def test_picks_and_holds_in_one_call(self, showtime: ShowtimeClient, bus: Bus):
        answer = await showtime.best(2)
        body = answer.json()
        assert answer.status_code == 201
        assert (names(body), body["groups"], body["together"]) == (["D4", "D5"], [["D4", "D5"]], True)
        assert await showtime.taken() == dict.fromkeys(names(body), "held")
        await wait_for_broadcast(bus, showtime, **dict.fromkeys(names(body), "held"))
        assert [seat.seat_id for seat in claim_of(body).seats] == names(body)
        mine = await showtime.client.get(f"/api/holds/{body['hold_id']}", headers={"X-Hold-Secret": body["secret"]})
        assert names(mine.json()) == names(body)

    async def test_wishes_are_fulfilled(self, showtime: ShowtimeClient, small: ShowtimeClient):
        vip = (await showtime.best(3, category="vip")).json()
        assert {seat["category"] for seat in vip["seats"]} == {"vip"}
        assert names((await showtime.best(2, near="A1")).json()) == ["A1", "A2"]
        assert (await showtime.best(2, area="Stalls")).status_code == 201
        with_friend = (await small.best(2, wheelchairs=1)).json()
        assert names(with_friend) == ["C1", "C2"]

    async def test_says_when_a_party_is_not_together(self, small: ShowtimeClient):
        body = (await small.best(6)).json()
        assert body["together"] is False
        assert sorted(map(len, body["groups"])) == [2, 4]
        assert sorted(seat for group in body["groups"] for seat in group) == sorted(names(body))

    async def test_never_gives_what_is_taken_and_says_how_many_are_left(self, small: ShowtimeClient):
        assert (await small.best(10)).status_code == 201
        body = problem(await small.best(10), 409, "not_enough_seats")
        assert body["free"] == 4
        assert (await small.best(4)).status_code == 201
        assert problem(await small.best(1), 409, "not_enough_seats")["free"] == 0, (
            "wheelchair and companion places are reserved"
        )
        assert (await small.best(2, wheelchairs=1)).status_code == 201

    async def test_reserved_places_are_open_to_all_when_nothing_else_can_be_sold(self, small: ShowtimeClient, bus: Bus):
        holds = [(await small.best(size)).json() for size in (7, 7)]
        problem(await small.best(1), 409, "not_enough_seats")
        for hold in holds:
            paid = Booking(bus, small, hold["hold_id"], *names(hold))
            await paid.pay()
            await paid.sold()
        assert names((await small.best(2)).json()) == ["C1", "C2"]

    @pytest.mark.parametrize(
        "wishes, status, code",
        [
            ({"party_size": 0}, 422, "invalid_request"),
            ({"party_size": 11}, 422, "invalid_request"),
            ({"party_size": "two"}, 422, "invalid_request"),
            ({"category": "$ne"}, 422, "invalid_request"),
            ({"category": "balcony"}, 422, "no_such_seats"),
            ({"area": "x" * 41}, 422, "invalid_request"),
            ({"area": "Circle"}, 422, "no_such_seats"),
            ({"near": "Z99"}, 422, "seats_unknown"),
            ({"near": "row C"}, 422, "invalid_request"),
            ({"wheelchairs": 3}, 422, "invalid_request"),
            ({"wheelchairs": 1, "category": "vip"}, 422, "invalid_request"),
            ({"wheelchairs": 1, "party_size": 5}, 422, "too_many_companions"),
            ({"wheelchairs": 1}, 409, "not_enough_seats"),
            ({"seats": ["A1"]}, 422, "invalid_request"),
        ],
    )
    async def test_impossible_wishes_are_refused(
        self, showtime: ShowtimeClient, wishes: dict[str, Any], status: int, code: str
    ):
        answer = await showtime.client.post(
            f"/api/showtimes/{showtime.showtime_id}/holds/best",
            json={"party_size": 2, **wishes},
            headers=showtime.headers,
        )
        problem(answer, status, code)
        assert await showtime.taken() == {}

    async def test_no_showtime_and_no_sale(self, showtime: ShowtimeClient, new_showtime: NewShowtime):
        problem(await ShowtimeClient(showtime.client, OLD_ID).best(2), 404, "showtime_unknown")
        later = await new_showtime(sales_open_at=now() + timedelta(hours=1))
        assert problem(await later.best(2), 409, "sales_closed")["reason"] == "not_open"
        problem(await showtime.best(1, headers={"X-Hold-Secret": "short"}), 422, "secret_too_short")

    async def test_a_crowd_gets_all_seats_two_by_two_and_nobody_is_sent_away_too_early(self, showtime: ShowtimeClient):
        answers = await asyncio.gather(*(showtime.best(2) for _ in range(40)))
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {201: 25, 409: 15}
        seats = [seat for answer in answers if answer.status_code == 201 for seat in names(answer.json())]
        assert len(seats) == len(set(seats)) == 50
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"not_enough_seats"}

    async def test_without_the_guard_the_crowd_shares_seats(
        self, showtime: ShowtimeClient, monkeypatch: pytest.MonkeyPatch
    ):
        from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

        monkeypatch.setattr(guards, "seats_are_free", lambda *_: {})
        answers = await asyncio.gather(*(showtime.best(2) for _ in range(10)))
        seats = [seat for answer in answers if answer.status_code == 201 for seat in names(answer.json())]
        assert len(seats) > len(set(seats))


class TestSingleSeats:
    async def test_a_choice_that_leaves_one_alone_is_refused_with_one_that_would_do(self, new_showtime: NewShowtime):
        strict = await new_showtime(orphan_rule="strict")
        assert (await strict.client.get(f"/api/showtimes/{strict.showtime_id}/seats")).json()["orphan_rule"] == "strict"
        body = problem(await strict.hold("A2", "A3"), 409, "single_seat_left")
        assert body["seats"] == ["A1"]
        assert (await strict.hold(*body["instead"])).status_code == 201
        assert (await strict.hold("A1", "A2")).status_code == 201

    async def test_lenient_minds_seats_between_others_and_off_minds_none(
        self, new_showtime: NewShowtime, showtime: ShowtimeClient
    ):
        lenient = await new_showtime(orphan_rule="lenient")
        assert (await lenient.hold("A2", "A3")).status_code == 201
        assert problem(await lenient.hold("A5"), 409, "single_seat_left")["seats"] == ["A4"]
        assert (await showtime.hold("A2", "A4")).status_code == 201
        assert (await showtime.client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).json()[
            "orphan_rule"
        ] == "off"

    async def test_a_changed_hold_counts_as_a_whole(self, new_showtime: NewShowtime):
        strict = await new_showtime(orphan_rule="strict")
        held = await strict.held("A1", "A2", "A3")
        answer = await held.change(drop=["A2"])
        assert problem(answer, 409, "single_seat_left")["seats"] == ["A2"]
        assert problem(await held.change(add=["A5"]), 409, "single_seat_left")["seats"] == ["A4"]
        assert (await held.change(add=["A4", "A5"], drop=["A1", "A2"])).status_code == 200
        assert sorted(await strict.taken()) == ["A3", "A4", "A5"]
        assert (await held.release()).status_code == 204

    async def test_a_party_without_a_better_choice_is_not_refused(self, new_showtime: NewShowtime):
        strict = await new_showtime(in_the_lounge=True, orphan_rule="strict")
        assert (await strict.hold("A1", "A2")).status_code == 201
        assert problem(await strict.hold("A3"), 409, "single_seat_left")["instead"] in (["B1"], ["B4"])
        assert (await strict.hold("B1", "B2", "B3", "B4")).status_code == 201
        assert (await strict.hold("A3")).status_code == 201, "every other choice leaves a single seat, too"

    async def test_a_companion_seat_is_reserved(self, small: ShowtimeClient):
        assert problem(await small.hold("C2", "C3"), 409, "seats_kept")["seats"] == ["C2"]
        held = await small.held("C1", "C2")
        assert problem(await held.change(drop=["C1"]), 409, "seats_kept")["seats"] == ["C2"]

    async def test_two_who_choose_at_once_never_leave_one_alone_together(
        self, new_showtime: NewShowtime, both_read_first: Callable[[], None]
    ):
        """Each choice is valid on its own: A1 and A2 leave A3 and more free, A4 and A5 leave A1 to A3 free."""
        strict = await new_showtime(orphan_rule="strict")
        both_read_first()
        answers = await asyncio.gather(*(strict.hold(*seats) for seats in (["A1", "A2"], ["A4", "A5"])))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        lost = next(answer for answer in answers if answer.status_code == 409)
        assert problem(lost, 409, "single_seat_left")["seats"] == ["A3"]

    async def test_nor_do_two_who_change_their_holds(
        self, new_showtime: NewShowtime, both_read_first: Callable[[], None]
    ):
        strict = await new_showtime(orphan_rule="strict")
        first, second = await strict.held("A1"), await strict.held("A5")
        both_read_first()
        answers = await asyncio.gather(first.change(add=["A2"]), second.change(add=["A4"]))
        assert sorted(answer.status_code for answer in answers) == [200, 409]

    async def test_nor_do_two_who_get_the_best_seats(
        self, showtime: ShowtimeClient, both_read_first: Callable[[], None]
    ):
        """Near A1 the best seats are A1 and A2, near A5 A4 and A5. Together they would leave A3 as a single seat."""
        both_read_first()
        answers = await asyncio.gather(showtime.best(2, near="A1"), showtime.best(2, near="A5"))
        assert [answer.status_code for answer in answers] == [201, 201]
        assert not {"A1", "A2", "A4", "A5"} <= {*await showtime.taken()}

    async def test_without_the_guard_two_choices_leave_a_single_seat(
        self, new_showtime: NewShowtime, both_read_first: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ):
        from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

        guard = guards.seats_are_free
        monkeypatch.setattr(guards, "seats_are_free", lambda seats, *rest: guard(seats[:2], *rest))
        strict = await new_showtime(orphan_rule="strict")
        both_read_first()
        answers = await asyncio.gather(*(strict.hold(*seats) for seats in (["A1", "A2"], ["A4", "A5"])))
        assert [answer.status_code for answer in answers] == [201, 201]

    async def test_a_person_and_a_guest_are_treated_alike(self, new_showtime: NewShowtime, signer: Signer):
        strict = await new_showtime(orphan_rule="strict")
        for headers in ({}, signer.headers("anna")):
            problem(await strict.hold("A2", "A3", headers=headers), 409, "single_seat_left")
