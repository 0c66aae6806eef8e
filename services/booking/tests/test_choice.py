"""The customer's choice after the cinema has moved the showtime: keep the tickets, or get everything back."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from booking import store
from booking.store import documents
from chassis.clock import now
from chassis.testing import until
from contracts.booking import BookingRescheduled, BookingTicketsCancelled, RefundRequested

from . import examples
from .conftest import Customer, Staff, problem, raw_bookings
from .test_house_changes import next_mark


async def moved(customer: Customer, starts_at: datetime) -> dict[str, Any]:
    """Move the showtime and return the booking."""
    await customer.bus.publish(examples.rescheduled(customer.showtime_id, starts_at))

    async def is_moved() -> dict[str, Any]:
        booking = await customer.get_booking()
        return booking if datetime.fromisoformat(booking["screening"]["starts_at"]) == starts_at else {}

    return await until(is_moved)


async def choose(customer: Customer, choice: str, starts_at: Any, headers: dict[str, str] | None = None) -> Any:
    body = {"choice": choice, "starts_at": starts_at if isinstance(starts_at, str) else starts_at.isoformat()}
    path = f"/api/bookings/{customer.id}/choice"
    return await customer.client.post(path, json=body, headers=customer.headers if headers is None else headers)


async def test_a_large_move_lets_the_customer_choose(customer: Customer, bus: Any):
    await customer.buy_tickets()
    start = datetime.fromisoformat((await customer.get_booking())["screening"]["starts_at"])
    assert (await customer.get_booking())["choice"] is None
    assert problem(await choose(customer, "keep", start)) == (409, "choice_closed")
    assert (await moved(customer, start + timedelta(minutes=15)))["choice"] is None, "15 minutes are a small move"
    small = await bus.wait_for(BookingRescheduled, customer.is_mine)
    assert small.choice_until is None

    later = start + timedelta(minutes=16)
    choice = (await moved(customer, later))["choice"]
    assert choice["is_kept"] is False
    assert choice["refund"] == examples.TOTAL
    assert [datetime.fromisoformat(choice[name]) for name in ("previous_starts_at", "starts_at")] == [start, later]
    large = await bus.wait_for(BookingRescheduled, lambda event: customer.is_mine(event) and event.moves == 2)
    assert large.choice_until == later

    for _ in range(2):
        kept = await choose(customer, "keep", later)
        assert (kept.status_code, kept.json()["choice"]["is_kept"], kept.json()["state"]) == (200, True, "confirmed")
    version = (await store.find(customer.id)).version  # pyright: ignore[reportOptionalMemberAccess]
    await choose(customer, "keep", later)
    assert (await store.find(customer.id)).version == version, "a repeat writes nothing"  # pyright: ignore[reportOptionalMemberAccess]

    again = later + timedelta(hours=1)
    assert (await moved(customer, again))["choice"]["is_kept"] is False
    for stale in ("keep", "refund"):
        assert problem(await choose(customer, stale, later)) == (409, "choice_closed"), "made for another start"
    back = await moved(customer, start)
    assert back["choice"] is None
    assert back["state"] == "confirmed"


async def test_the_full_refund_ignores_the_policy(customer: Customer, bus: Any):
    await customer.buy_tickets()
    soon = next_mark(0) + timedelta(minutes=10)  # after the policy's last tier
    strict = {"refund_policy": {"tiers": [], "fee": 500}}
    await raw_bookings().update_one({"_id": customer.id}, {"$set": strict})
    await moved(customer, soon)
    answers = await asyncio.gather(*(choose(customer, "refund", soon) for _ in range(4)))
    assert {(answer.status_code, answer.json()["state"]) for answer in answers} == {(200, "refunding")}
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    assert request.amount == examples.TOTAL
    told = await bus.wait_for(BookingTicketsCancelled, customer.is_mine)
    assert (told.reason, told.refund_amount, told.remaining) == ("by_customer", examples.TOTAL, [])
    assert {each.refund_id for each in bus.events(RefundRequested, customer.is_mine)} == {request.refund_id}
    assert problem(await choose(customer, "keep", soon)) == (409, "choice_closed")
    assert (await choose(customer, "refund", soon)).json()["state"] == "refunding", "a repeat"


async def test_the_choice_ends_with_the_start(customer: Customer):
    await customer.buy_tickets()
    begun = now().replace(microsecond=0) - timedelta(minutes=1)
    assert (await moved(customer, begun))["choice"] is None
    for choice in ("keep", "refund"):
        assert problem(await choose(customer, choice, begun)) == (409, "choice_closed")


async def test_only_the_customer_chooses(customer: Customer, guest: Customer, staff: Staff):
    await customer.buy_tickets()
    later = next_mark(30)
    await moved(customer, later)
    assert problem(await choose(customer, "keep", later, {})) == (401, "unauthenticated")
    assert problem(await choose(customer, "refund", later, guest.headers)) == (404, "booking_unknown")
    headers = staff("bookings:read", "bookings:write", "bookings:refund")
    assert problem(await choose(customer, "refund", later, headers)) == (403, "forbidden")
    for wrong in ("0001-01-01T00:00:00+14:00", "soon"):
        assert (await choose(customer, "refund", wrong)).status_code == 422
    assert (await choose(customer, "exchange", later)).status_code == 422
    assert (await customer.get_booking())["state"] == "confirmed"


@pytest.mark.parametrize("guard", ["the version", "no guard"])
async def test_a_move_during_the_choice(customer: Customer, state: Any, guard: str, monkeypatch: pytest.MonkeyPatch):
    """The showtime is moved back between the decision and the write: without the guard, the money is gone."""
    await customer.buy_tickets()
    start = datetime.fromisoformat((await customer.get_booking())["screening"]["starts_at"])
    later = start + timedelta(hours=1)
    await moved(customer, later)
    update = documents.bookings.update
    moves_back = [start]

    async def slow(where: dict[str, Any], change: Any, **options: Any) -> bool:
        if moves_back and where["_id"] == customer.id:
            await customer.bus.publish(examples.rescheduled(customer.showtime_id, moves_back.pop()))

            async def is_back() -> bool:
                booking = await store.find(customer.id)
                return booking is not None and booking.choice_until is None

            await until(is_back)
            if guard == "no guard":
                where = {"_id": where["_id"]}
        return await update(where, change, **options)

    monkeypatch.setattr(documents.bookings, "update", slow)
    answer = await choose(customer, "refund", later)
    if guard == "no guard":
        assert answer.json()["state"] == "refunding"
    else:
        assert problem(answer) == (409, "choice_closed")
        assert (await customer.get_booking())["state"] == "confirmed"
