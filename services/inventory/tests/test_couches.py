"""Couches that are sold only whole, and areas with rows of the same name."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from chassis.ids import new_id
from chassis.testing.bus import Bus
from chassis.testing.serve import replica_of
from chassis.testing.signer import Signer
from contracts.catalog import PlacedSeat, Point, SeatLayoutPublished
from contracts.errors import RejectedEvent
from contracts.inventory import SeatsSold
from hypothesis import given
from hypothesis import strategies as st
from inventory.model import AuditoriumMap, CouchDivided, Party, available_seats, best_available, check_couches

from .conftest import NewShowtime, ShowtimeClient, claim_of
from .test_api import problem

KINDS = {"s": "standard", "v": "vip", "l": "love_seat"}
HALL = {"Stalls": ["ss.ss", "LLLL"], "Circle": ["sVVs", "LLLLLL"]}
"""Rows A, B of two areas. Capital letters are halves of couches, from the left."""


def seats_of(areas: dict[str, list[str]]) -> list[PlacedSeat]:
    """The seats of rows A, B, … of each area, as catalog publishes them: with ids that differ from the names."""
    found: list[PlacedSeat] = []
    y = 0
    for code, (area, rows) in zip("AXY", areas.items(), strict=False):
        for row, cells in zip("ABCDEFGH", rows, strict=False):
            prefix = f"{code}{row}" if code != "A" else row
            number, halves = 0, list[str]()
            for x, cell in enumerate(cells):
                if cell == ".":
                    continue
                number += 1
                pair = None
                if cell.isupper():
                    halves.append(cell)
                    pair = f"{prefix}{number + (1 if len(halves) % 2 else -1)}"
                names = {"seat_id": f"{prefix}{number}", "area": area, "row": row, "number": number, "pair": pair}
                found.append(PlacedSeat.model_validate(names | {"category": KINDS[cell.lower()], "x": x, "y": y}))
            y += 1
    return found


def auditorium(*rows: str) -> AuditoriumMap:
    return AuditoriumMap.from_layout(seats_of({"Stalls": list(rows)}), None)


groups = st.sampled_from(["s", "ss", "sss", "v", "ll", "LL", "LLLL", "VV", "LLVV", "."])
rows = st.lists(groups, min_size=1, max_size=5).map("".join).filter(lambda row: row.strip("."))
rooms = st.lists(rows, min_size=1, max_size=4).map(lambda drawn: auditorium(*drawn))


@st.composite
def occupied_rooms(draw: st.DrawFn) -> tuple[AuditoriumMap, dict]:
    """An auditorium and its taken seats; couches are taken whole."""
    room = draw(rooms)
    ids = [seat_id for run in room.runs for seat_id in run.ids]
    taken = draw(st.sets(st.sampled_from(ids)))
    return room, dict.fromkeys([*taken, *(room.pairs[seat] for seat in taken if seat in room.pairs)], "sold")


class TestBest:
    @given(occupied_rooms(), st.integers(1, 10))
    def test_a_party_gets_seats_whenever_there_are_any_and_never_half_a_couch(self, occupied, size):
        room, states = occupied
        free = [seat_id for run in room.runs for seat_id in run.ids if seat_id not in states]
        on_couches = sum(seat_id in room.pairs for seat_id in free)
        fits = size - min(on_couches, size // 2 * 2) <= len(free) - on_couches
        choice = best_available(room, states, Party(size))
        assert (choice is not None) == fits
        if choice:
            assert len(set(choice.seats)) == size
            assert not states.keys() & set(choice.seats)
            check_couches(choice.seats, room)

    def test_a_party_that_fits_together_stays_together(self):
        choice = best_available(auditorium("sLLs.LLLL"), {}, Party(3))
        assert choice is not None
        assert choice.groups in ([["A1", "A2", "A3"]], [["A2", "A3", "A4"]])

    def test_a_person_who_needs_a_seat_gets_it_before_a_couple_does(self):
        room = AuditoriumMap.from_layout(seats_of({"Stalls": ["ss", "LL"]}), Point(x=1, y=0.5))
        choice = best_available(room, {}, Party(3))
        assert choice is not None, "the two seats nearest to the screen would leave half a couch for the third"
        assert {"B1", "B2"} < set(choice.seats)

    def test_one_person_has_no_couch(self):
        room = auditorium("LLLL")
        assert best_available(room, {}, Party(1)) is None
        assert available_seats(room, {}, Party(1)) == []
        assert len(available_seats(room, {}, Party(2))) == 4

    def test_a_couch_leaves_no_single_seat_beside_it(self):
        assert auditorium("sLLs").single_seats_after(["A2", "A3"], {}).penalty == 0
        assert auditorium("ssLL").single_seats_after(["A1"], {}).at_end == ["A2"]


@pytest.mark.parametrize(
    ("chosen", "missing"), [("B1", ["B2"]), ("B2 B3 A1", ["B1", "B4"]), ("B1 B2", []), ("XB4 XB3", []), ("A1", [])]
)
def test_the_missing_halves_are_named(chosen: str, missing: Sequence[str]):
    room = AuditoriumMap.from_layout(seats_of(HALL), None)
    if not missing:
        return check_couches(chosen.split(), room)
    with pytest.raises(CouchDivided) as refused:
        check_couches(chosen.split(), room)
    assert refused.value.members == {"seats": missing}
    assert f"Stalls {missing[-1]}" in refused.value.detail
    return None


@pytest.fixture(scope="module")
async def hall_id(bus: Bus, new_showtime: NewShowtime) -> str:
    layout_id = new_id()
    await bus.publish(
        SeatLayoutPublished(layout_id=layout_id, auditorium_id="hall-3", columns=6, rows=4, seats=seats_of(HALL))
    )
    return layout_id


@pytest.fixture
async def hall(new_showtime: NewShowtime, hall_id: str) -> ShowtimeClient:
    """A showtime in a hall with two areas and couches."""
    return await new_showtime(layout_id=hall_id)


@pytest.fixture
def staff(signer: Signer) -> dict[str, str]:
    """The headers of staff who may block seats."""
    return signer.headers("staff", ["seats:block"])


def names(body: dict) -> list[str]:
    return [f"{seat['area']} {seat['row']}{seat['number']}" for seat in body["seats"]]


class TestRequests:
    async def test_rows_of_the_same_name_are_two_rows(self, hall: ShowtimeClient):
        held = await hall.held("XA1", "A2", "A1")
        assert names(held.body) == ["Stalls A1", "Stalls A2", "Circle A1"], "in the order of the hall"
        assert [seat.area for seat in claim_of(held.body).seats] == ["Stalls", "Stalls", "Circle"]
        refused = problem(await hall.hold("XA1"), 409, "seats_taken")
        assert refused["detail"] == "Already taken: Circle A1."
        assert (await hall.hold("XA4")).status_code == 201

    async def test_half_a_couch_is_refused_everywhere(self, hall: ShowtimeClient, staff: dict[str, str]):
        half = problem(await hall.hold("B1", "A1"), 422, "couch_divided")
        assert (half["seats"], half["detail"]) == (["B2"], "Not without the other half of the couch: Stalls B2.")
        held = await hall.held("A1", "B1", "B2")
        assert problem(await held.change(drop=["B1"]), 422, "couch_divided")["seats"] == ["B1"]
        assert problem(await held.change(add=["XB1"]), 422, "couch_divided")["seats"] == ["XB2"]
        assert problem(await held.change(add=["XA2"], drop=["B2"]), 422, "couch_divided")["seats"] == ["B2", "XA3"]
        blocks = f"/api/showtimes/{hall.showtime_id}/blocks"
        block = await hall.client.post(blocks, json={"seats": ["B3"], "reason": "broken"}, headers=staff)
        assert problem(block, 422, "couch_divided")["seats"] == ["B4"]
        assert await hall.taken() == dict.fromkeys(["A1", "B1", "B2"], "held")

    async def test_a_whole_couch_is_held_changed_blocked_and_released(
        self, hall: ShowtimeClient, staff: dict[str, str]
    ):
        held = await hall.held("B1", "B2")
        assert [seat.pair for seat in claim_of(held.body).seats] == ["B2", "B1"], "booking learns about the couch"
        assert names((await held.change(add=["XA2", "XA3"], drop=["B1", "B2"])).json()) == ["Circle A2", "Circle A3"]
        blocks = f"/api/showtimes/{hall.showtime_id}/blocks"
        block = await hall.client.post(blocks, json={"seats": ["B1", "B2"], "reason": "broken"}, headers=staff)
        assert block.status_code == 201
        assert (await held.release()).status_code == 204
        await hall.client.delete(f"{blocks}/{block.json()['block_id']}", headers=staff)
        assert await hall.taken() == {}

    async def test_the_best_seats_are_whole_couches(self, hall: ShowtimeClient):
        assert names((await hall.best(2, area="Circle", category="vip")).json()) == ["Circle A2", "Circle A3"]
        assert (await hall.best(4, category="love_seat")).json()["together"] is True
        assert problem(await hall.best(1, category="love_seat"), 409, "not_enough_seats")["free"] == 0

    async def test_half_a_couch_is_never_sold(self, hall: ShowtimeClient):
        """A payment for half a couch can come only from a fault: it becomes a dead letter and raises an alert."""
        from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        half = SeatsSold(hold_id=new_id(), showtime_id=hall.showtime_id, seats=["B1"], amount=1250, currency="EUR")
        with pytest.raises(RejectedEvent, match="Stalls B2"):
            await store.sell_seats(replica, half)
        assert await hall.taken() == {}


@pytest.fixture
async def other(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A second replica of inventory."""
    async with replica_of("inventory", LOG_LEVEL="WARNING") as (_, replica):
        yield replica


COUCHES = [["B1", "B2"], ["B3", "B4"], ["XA2", "XA3"]]


async def owners_of_couches(hall: ShowtimeClient) -> list[set[str | None]]:
    """For each couch, who has its halves."""
    from inventory.store import read  # noqa: PLC0415 - its settings come from inventory_env

    taken = (await read(hall.showtime_id)).taken
    return [{taken[half].by if half in taken else None for half in couch} for couch in COUCHES]


async def test_without_the_check_strangers_share_a_couch(hall: ShowtimeClient, monkeypatch: pytest.MonkeyPatch):
    from inventory.store import holds  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(holds, "check_couches", lambda *_: None)
    answers = await asyncio.gather(*(hall.hold(half) for half in ("B1", "B2")))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len((await owners_of_couches(hall))[0]) == 2


async def test_people_who_want_halves_and_couches_at_once_never_share_one(hall: ShowtimeClient, other):
    """Twelve people hold and change halves and whole couches through two replicas."""

    async def wander(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - a dice, not a secret
        there = ShowtimeClient(other, hall.showtime_id) if seed % 2 else hall
        couch = dice.choice(COUCHES)
        answer = await there.hold(*dice.choice([couch, couch, couch[:1]]))
        assert answer.status_code in {201, 409, 422}, answer.text
        if answer.status_code != 201:
            return
        secret = {"X-Hold-Secret": answer.json()["secret"]}
        for _ in range(4):
            add = dice.choice(COUCHES)
            drop = [seat["seat_id"] for seat in answer.json()["seats"]]
            change = {"add": add[: dice.choice([1, 2, 2])], "drop": [seat for seat in drop if seat not in add]}
            changed = await there.client.patch(f"/api/holds/{answer.json()['hold_id']}", json=change, headers=secret)
            assert changed.status_code in {200, 409, 422, 503}, changed.text
            assert all(len(owners) == 1 for owners in await owners_of_couches(hall))
            answer = changed if changed.status_code == 200 else answer

    await asyncio.gather(*map(wander, range(12)))
    owners = await owners_of_couches(hall)
    assert all(len(each) == 1 for each in owners)
    assert any(each != {None} for each in owners), "somebody got a couch"
