"""Two replicas of booking: each request and event may reach either of them."""

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from datetime import timedelta
from typing import Any

import httpx
import pytest
from booking import store
from booking.saga import effects
from booking.store import documents
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import replica_of, until
from contracts.booking import BookingRescheduled, PaymentRequested
from contracts.catalog import ShowtimeCancelled

from . import examples
from .conftest import Customer, problem, raw_bookings


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with replica_of("booking") as (_, http):
        yield http


@pytest.fixture
def other(customer: Customer, replica: httpx.AsyncClient) -> Customer:
    """The same customer at the other replica."""
    customer_there = copy(customer)
    customer_there.client = replica
    return customer_there


@pytest.fixture(params=["the booking's id", "no guard"])
def bookings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """With and without the guard against booking a hold twice; the value is the expected number of bookings."""
    if request.param == "the booking's id":
        return 1
    new_booking = effects.new_booking
    monkeypatch.setattr(effects, "new_booking", lambda *facts: new_booking(*facts).model_copy(update={"id": new_id()}))
    return 2


async def test_one_claim_on_two_replicas_at_once(customer: Customer, other: Customer, bookings: int):
    await customer.add_showtime()
    answers = await asyncio.gather(customer.check_out(), other.check_out())
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["reference"] for answer in answers}) == bookings
    is_mine = {"showtime_id": customer.showtime_id}
    assert await raw_bookings().count_documents(is_mine) == bookings


async def test_two_orders_for_one_hold_on_two_replicas(customer: Customer, other: Customer, bus: Any):
    await customer.add_showtime()
    attempt = [each.check_out(name=f"Ada {n}") for n in range(6) for each in (customer, other)]
    answers = await asyncio.gather(*attempt)
    won = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["reference"] for answer in won}) == 1
    assert len({answer.json()["name"] for answer in won}) == 1
    assert {problem(answer) for answer in answers if answer not in won} == {(409, "already_checked_out")}
    await bus.wait_for(PaymentRequested, customer.is_mine)
    assert len(bus.events(PaymentRequested, customer.is_mine)) == 1


async def test_the_next_request_may_reach_the_other_replica(customer: Customer, other: Customer):
    booking = await customer.place_order()
    assert await other.get_booking() == booking
    assert (await other.check_out()).json() == booking
    assert problem(await other.get_quote()) == (409, "already_checked_out")
    cancelled = await other.client.post(f"/api/bookings/{customer.id}/cancel", headers=other.headers)
    assert cancelled.json()["state"] == (await customer.get_booking())["state"] == "closing"


@pytest.mark.parametrize("guard", ["the version", "no guard"])
async def test_a_stale_cached_booking_is_not_written(
    customer: Customer, other: Customer, guard: str, monkeypatch: pytest.MonkeyPatch, state: Any
):
    """This replica has cached the booking at its checkout; the other one has cancelled it in the meantime."""
    await customer.place_order()
    await other.client.post(f"/api/bookings/{customer.id}/cancel", headers=other.headers)
    if guard == "no guard":
        update = documents.bookings.update

        async def unguarded(where: dict[str, Any], *change: Any, **events: Any) -> bool:
            return await update({"_id": where["_id"]}, *change, **events)

        monkeypatch.setattr(documents.bookings, "update", unguarded)
    await state.manager.advance(customer.id, customer.sold())
    states = [passage["state"] for passage in (await customer.get_booking())["history"]]
    lost = ["awaiting_payment", "confirmed"]
    assert states == (lost if guard == "no guard" else ["awaiting_payment", "closing", "confirmed"])


class Pair:
    """Two customers, one at each replica, of a showtime that both replicas cached before its change."""

    def __init__(self, one: Customer, two: Customer, replica: httpx.AsyncClient, sentinel: str) -> None:
        self.one, self.two, self.sentinel = one, two, sentinel
        two.client, two.showtime_id = replica, one.showtime_id

    async def consume(self, change: Any) -> None:
        """Wait until one of the replicas has consumed the change and updated the bookings once."""
        one, two = self.one, self.two
        for each in (one, two):
            each.new_hold()
            assert (await each.get_quote()).is_success
        await one.bus.publish(change)

        async def is_passed() -> bool:
            booking = await store.find(self.sentinel)
            assert booking and booking.screening
            return booking.state == "closing" or booking.moves == 1

        await until(is_passed)

    async def run_second_pass(self) -> None:
        """Make the second update due now and wait for its end."""
        due = {"$set": {"cascade_at": now() - timedelta(seconds=1)}}
        where = {"_id": self.one.showtime_id, "cascade_at": {"$gt": now()}}
        assert (await store.Showtime.get_pymongo_collection().update_one(where, due)).matched_count
        await until(lambda: store.Showtime.find_one({"_id": self.one.showtime_id, "cascade_at": None}))


@pytest.fixture
async def pair(customer: Customer, guest: Customer, replica: httpx.AsyncClient) -> Pair:
    await customer.place_order()
    return Pair(customer, guest, replica, sentinel=customer.id)


async def test_the_second_update_closes_a_checkout_with_a_stale_offer(pair: Pair):
    await pair.consume(ShowtimeCancelled(showtime_id=pair.one.showtime_id, reason="technical"))
    answers = {each: await each.check_out() for each in (pair.one, pair.two)}
    [stale] = [each for each, answer in answers.items() if answer.status_code == 201]
    [fresh] = [answer for each, answer in answers.items() if each is not stale]
    assert problem(fresh) == (409, "showtime_closed"), "the replica that consumed the event applies it at once"
    assert (await stale.get_booking())["state"] == "awaiting_payment", "only the second update finds it"
    await pair.run_second_pass()
    booking = await stale.get_booking()
    assert (booking["state"], booking["ending"]) == ("closing", "showtime_cancelled")


async def test_the_second_update_moves_a_checkout_with_a_stale_offer(pair: Pair, bus: Any):
    starts_at = now() + timedelta(days=2)
    await pair.consume(examples.rescheduled(pair.one.showtime_id, starts_at))

    async def starts() -> list[bool]:
        seen = [await each.get_booking() for each in (pair.one, pair.two)]
        return sorted(each["screening"]["starts_at"] == starts_at.isoformat().replace("+00:00", "Z") for each in seen)

    for each in (pair.one, pair.two):
        assert (await each.check_out()).status_code == 201
    assert await starts() == [False, True]
    for each in (pair.one, pair.two):
        await bus.publish(each.sold())
        await each.wait_for_state("confirmed")
    await pair.run_second_pass()
    assert await starts() == [True, True]
    [stale] = [each for each in (pair.one, pair.two) if (await store.find(each.id)).moves]  # pyright: ignore[reportOptionalMemberAccess]
    moved = await bus.wait_for(BookingRescheduled, stale.is_mine)
    assert (moved.screening.starts_at, moved.moves) == (starts_at, 1)
