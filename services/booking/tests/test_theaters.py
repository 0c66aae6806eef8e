"""Staff who are limited to theaters act only on bookings there."""

from datetime import timedelta
from typing import Any

import pytest
from booking import store
from chassis.clock import now
from chassis.testing import until

from . import examples
from .conftest import Customer, Reads, Staff, problem, raw_bookings

HERE, ELSEWHERE = ("t0", "t1"), ("t0", "t2")
PERMISSIONS = ("bookings:read", "bookings:write")


async def test_staff_of_another_theater_find_nothing(customer: Customer, staff: Staff):
    booking = await customer.buy_tickets()
    here, elsewhere = (staff(*PERMISSIONS, theaters=theaters) for theaters in (HERE, ELSEWHERE))

    async def answer(method: str, path: str, headers: dict[str, str], **params: str) -> Any:
        return await customer.client.request(method, path, headers=headers, params=params)

    for method, path, missing in [
        ("GET", "/api/bookings/{}", "nothing"),
        ("POST", "/api/bookings/{}/cancel", "nothing"),
        ("GET", "/api/tickets/{}-F7", "nothing"),
    ]:
        refused = await answer(method, path.format(customer.id), elsewhere)
        unknown = await answer(method, path.format(missing), elsewhere)
        assert problem(refused) == problem(unknown)
        assert refused.json() | {"correlation_id": ""} == unknown.json() | {"correlation_id": ""}
        assert problem(refused)[0] == 404
        assert (await answer(method, path.format(customer.id), here)).status_code in {200, 409}
    for filters in (
        {"showtime_id": customer.showtime_id},
        {"reference": booking["reference"]},
        {"reference": booking["reference"], "email": "ada@example.org"},
    ):
        assert (await answer("GET", "/api/bookings", elsewhere, **filters)).json()["items"] == []
        assert len((await answer("GET", "/api/bookings", here, **filters)).json()["items"]) == 1


async def test_staff_see_their_own_bookings_at_every_theater(customer: Customer, signer: Any):
    await customer.place_order()
    mine = signer.headers(customer.holder.user_id, ["bookings:read"], theaters=["t2"])
    listed = await customer.client.get("/api/bookings", headers=mine)
    assert [each["id"] for each in listed.json()["items"]] == [customer.id]
    assert (await customer.client.get(f"/api/bookings/{customer.id}", headers=mine)).status_code == 200


async def test_a_booking_without_its_theater_is_for_staff_of_all_theaters(
    customer: Customer, guest: Customer, staff: Staff, state: Any
):
    """Bookings and showtimes from before 2026-12 get their theater when catalog publishes the showtime again."""
    guest.showtime_id = customer.showtime_id
    await customer.place_order()
    stored = store.Showtime.get_pymongo_collection()
    forget = {"$unset": {"theater_id": ""}}
    await stored.update_one({"_id": customer.showtime_id}, forget)
    await raw_bookings().update_one({"_id": customer.id}, forget)

    async def status(booking_id: str, *theaters: str) -> int:
        headers = staff("bookings:read", theaters=theaters)
        return (await customer.client.get(f"/api/bookings/{booking_id}", headers=headers)).status_code

    assert [await status(customer.id, *theaters) for theaters in ((), HERE, ELSEWHERE)] == [200, 404, 404]
    await customer.bus.publish(examples.scheduled(customer.showtime_id, now() + timedelta(hours=3)))
    await until(lambda: stored.find_one({"_id": customer.showtime_id, "theater_id": "t1"}))
    await until(lambda: raw_bookings().find_one({"_id": customer.id, "theater_id": "t1"}))
    assert [await status(customer.id, *theaters) for theaters in ((), HERE, ELSEWHERE)] == [200, 200, 404]

    guest.new_hold()
    await guest.check_out()
    await raw_bookings().update_one({"_id": guest.id}, forget)  # as if another replica had used its stale offer
    await state.showtimes.cascade(customer.showtime_id)
    assert await status(guest.id, *HERE) == 200


@pytest.mark.parametrize("path", ["/api/bookings/{}", "/api/tickets/{}-F7"])
async def test_a_missing_booking_costs_as_much_as_a_foreign_one(
    customer: Customer, guest: Customer, staff: Staff, reads: Reads, path: str
):
    """And none for an anonymous caller."""
    await customer.buy_tickets()

    missing = f"missing-{customer.id}"

    async def read_by(headers: dict[str, str]) -> list[str]:
        reads.ids.clear()
        for booking_id in (customer.id, missing):
            answer = await customer.client.get(path.format(booking_id), headers=headers)
            assert answer.status_code in {401, 404}
        return [each for each in reads.ids if each in (customer.id, missing)]

    for headers in (guest.headers, staff("bookings:read", theaters=ELSEWHERE)):
        assert await read_by(headers) == [customer.id, missing]
    assert await read_by({}) == []
