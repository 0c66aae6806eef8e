"""Many buyers, few seats, several replicas. One test disables the guard to show the race; another runs with it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.serve import replica_of
from contracts.inventory import SaleRejected, SeatsSold

from .conftest import Booking, HoldClient, ShowtimeClient, claim_of

CLIENTS = 40
SEATS = [f"A{n}" for n in range(1, 7)]


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A second replica of inventory: another process on the same database and queue."""
    async with replica_of("inventory", LOG_LEVEL="WARNING") as (_, other):
        yield other


async def everybody_buys(bus: Bus, showtimes: list[ShowtimeClient]) -> Counter[str]:
    """Let each client request two random seats and pay for its hold; return how often each seat was sold."""
    dice = random.Random(7)  # noqa: S311 - a dice, not a secret
    wanted = [dice.sample(SEATS, 2) for _ in range(CLIENTS)]
    answers = await asyncio.gather(*(showtimes[n % len(showtimes)].hold(*seats) for n, seats in enumerate(wanted)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.json()["seats"] for answer in answers)
    won = [answer.json() for answer in answers if answer.status_code == 201]
    for hold in won:
        paid = Booking(bus, showtimes[0], hold["hold_id"], *(seat["seat_id"] for seat in hold["seats"]))
        await paid.pay()
        await paid.pay()
    ids = {hold["hold_id"] for hold in won}

    async def are_settled() -> bool:
        sold = bus.events(SeatsSold, lambda e: e.hold_id in ids)
        return ids == {e.hold_id for e in [*sold, *bus.events(SaleRejected, lambda e: e.hold_id in ids)]}

    await until(are_settled)
    return Counter(seat for sale in bus.events(SeatsSold, lambda e: e.hold_id in ids) for seat in sale.seats)


async def test_without_its_guard_seats_are_sold_twice(
    showtime: ShowtimeClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
):
    from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(guards, "seats_are_free", lambda *_: {})
    # The sale has its own guard: without only the first one, two people hold a seat but only one of them gets it.
    monkeypatch.setattr(guards, "seats_belong_to", lambda *_: {})
    sold = await everybody_buys(bus, [showtime])
    assert set(sold) == set(SEATS)
    assert min(sold.values()) > 1


async def test_with_its_guard_none_is(showtime: ShowtimeClient, bus: Bus, replica: httpx.AsyncClient):
    sold = await everybody_buys(bus, [showtime, ShowtimeClient(replica, showtime.showtime_id)])
    assert sold
    assert set(sold.values()) == {1}
    assert await showtime.taken() == dict.fromkeys(sold, "sold")


async def test_a_hold_on_one_replica_is_a_hold_on_all(showtime: ShowtimeClient, replica: httpx.AsyncClient):
    held = await showtime.held("A1")
    there = ShowtimeClient(replica, showtime.showtime_id)
    assert (await there.hold("A1")).json()["seats"] == ["A1"]
    same = HoldClient(replica, held.body, held.headers)
    assert claim_of((await same.get()).json()) == claim_of(held.body)
    assert (await same.release()).status_code == 204
    assert await showtime.taken() == {}


async def test_holders_who_change_and_release_at_once_never_share_a_seat(
    showtime: ShowtimeClient, replica: httpx.AsyncClient
):
    """Eight holders change their seats among twelve through both replicas; the taken seats always match the holds."""
    places = [f"B{n}" for n in range(1, 11)] + ["C1", "C2"]
    holders = [
        await (showtime if n % 2 else ShowtimeClient(replica, showtime.showtime_id)).held(places[n]) for n in range(8)
    ]

    async def wander(held: HoldClient, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - a dice, not a secret
        for _ in range(15):
            seats = [seat["seat_id"] for seat in (await held.get()).json()["seats"]]
            answer = await held.change(add=[dice.choice(places)], drop=seats[:1] if len(seats) > 1 else [])
            assert answer.status_code in {200, 409, 422, 503}, answer.text

    await asyncio.gather(*(wander(held, seed) for seed, held in enumerate(holders)))
    shown = [(await held.get()).json()["seats"] for held in holders]
    owned = Counter(seat["seat_id"] for seats in shown for seat in seats)
    assert set(owned.values()) == {1}
    assert await showtime.taken() == dict.fromkeys(owned, "held")


async def test_one_key_on_two_replicas_holds_once(showtime: ShowtimeClient, replica: httpx.AsyncClient):
    key, there = {"Idempotency-Key": new_id()}, ShowtimeClient(replica, showtime.showtime_id)
    answers = await asyncio.gather(*(each.hold("A1", headers=key) for each in (showtime, there)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await showtime.taken() == {"A1": "held"}

    async def is_replayed() -> bool:
        return (await there.hold("A1", headers=key)).headers.get("Idempotent-Replayed") == "true"

    await until(is_replayed)


async def test_each_refusal_names_the_requested_seats(showtime: ShowtimeClient):
    assert (await showtime.hold("A1", "A2", "A3")).status_code == 201
    wishes = [["A1"], ["A2", "A4"], ["A3", "A1"], ["A5"], ["A2"]]
    answers = await asyncio.gather(*(showtime.hold(*seats) for seats in wishes))
    assert [answer.json().get("seats") if answer.status_code == 409 else None for answer in answers] == [
        ["A1"], ["A2"], ["A1", "A3"], None, ["A2"],
    ]  # fmt: skip
