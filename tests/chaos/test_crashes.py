"""Each service is killed in the middle of sales, and those that offer seats to the waitlist in the middle of offers."""

import asyncio
from collections import defaultdict
from typing import Any

import httpx
import pytest
from chassis.testing import until
from cinema import Cinema
from contracts.registry import SERVICES
from customer import Customer, Json, Refused
from invariants import at_rest, violations

from .conftest import stands
from .crowd import Crowd


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_is_killed_in_the_middle_of_sales_costs_nobody_a_seat_or_money(arena, service):
    """Customers cancel and exchange tickets, so the service is also killed in the middle of refunds and exchanges."""
    async with Crowd(arena, changes=True) as crowd:
        await crowd.grows(10)
        arena.platform.kill(service)
        await asyncio.sleep(1)
        await asyncio.to_thread(arena.platform.start, service)
        await crowd.grows(10)
    print(service, len(crowd.purchases), "purchases,", len(crowd.paid), "paid,", dict(crowd.failures))
    now = await stands(arena, crowd)
    assert any(refund["quote_id"] for booking in now.bookings.values() for refund in booking["refunds"])
    assert any(booking["exchanges"] for booking in now.bookings.values())


PARTIES = 8


@pytest.mark.parametrize("service", ["inventory", "notifier"])
async def test_a_service_that_is_killed_in_the_middle_of_offers_loses_none_and_makes_none_twice(
    arena: Cinema, service: str
):
    """Parties of one wait. Their seats become free one after the other while the service is down."""
    staff, guest = await arena.person("admin"), arena.guest()
    showtime_id, seats = await arena.seats(PARTIES)
    blocks, waitlist = (f"/api/showtimes/{showtime_id}/{name}" for name in ("blocks", "waitlist"))
    seat_map = await guest.call("GET", f"/api/showtimes/{showtime_id}/seats")
    free = {seat["seat_id"] for seat in seat_map["layout"]["seats"]} - seat_map["taken"].keys()
    for block in ([*free.difference(seats)], *([seat] for seat in seats)):
        await staff.call("POST", blocks, json={"seats": block, "reason": "sold out"})
    to_free = [each["block_id"] for each in (await staff.call("GET", blocks))["items"] if len(each["seats"]) == 1]
    emails = {f"waits-{service}-{n}@usher.example" for n in range(PARTIES)}
    wish = {"party": {"min": 1, "max": 1}}
    places = [await guest.call("POST", waitlist, json=wish | {"email": email}) for email in emails]

    async def is_free(block_id: str) -> bool:
        try:
            await staff.call("DELETE", f"{blocks}/{block_id}")
        except Refused as refused:  # the answer to the first attempt was lost
            return refused.status == 404
        except httpx.TransportError:
            return False
        return True

    async def free_all() -> None:
        for block_id in to_free[2:]:
            await until(lambda block_id=block_id: is_free(block_id))

    for block_id in to_free[:2]:
        await staff.call("DELETE", f"{blocks}/{block_id}")
    arena.platform.kill(service)
    freeing = asyncio.create_task(free_all())
    await asyncio.sleep(1)
    await asyncio.to_thread(arena.platform.start, service)
    await freeing

    async def offered() -> list[str]:
        items: list[Any] = (await staff.call("GET", f"{waitlist}/entries"))["items"]
        found = [seat["seat_id"] for item in items if item["offer"] for seat in item["offer"]["seats"]]
        return found if len(found) >= PARTIES else []

    assert sorted(await until(offered)) == sorted(seats)

    async def mailed() -> dict[str, set[str]]:
        """The ids of the mails with an offer by address; a copy of a mail has its id."""
        found = defaultdict[str, set[str]](set)
        for mail in (await arena.http.get(f"{arena.platform.env['MAILBOX_URL']}/email")).json():
            if (to := mail["to"][0]["address"]) in emails and mail["subject"].startswith("Seats for you"):
                found[to].add(mail["messageId"])
        return found if found.keys() == emails else {}

    assert {len(ids) for ids in (await until(mailed)).values()} == {1}
    for place in places:
        await guest.call("DELETE", waitlist, secret=place["secret"])
    assert violations(await at_rest(arena.platform.env, 120)) == []
    assert await arena.taken(showtime_id) == seat_map["taken"] | dict.fromkeys(free.difference(seats), "blocked")


BOOKINGS = 6


async def test_payment_that_is_killed_in_the_middle_of_refunds_to_gift_cards_and_cards_loses_nothing(arena: Cinema):
    """Each booking was paid with a gift card and a card. Two are cancelled just before payment is killed."""
    showtime_id, seats = await arena.seats(BOOKINGS)
    guests = [arena.guest() for _ in seats]
    codes = [await arena.gift_card(showtime_id, 1000) for _ in seats]

    async def buy(guest: Customer, seat: str, code: str) -> Json:
        hold = await guest.hold(showtime_id, [seat])
        await guest.check_out(hold, "mixed@usher.example")
        await guest.pay(await guest.create_intent(hold, code))
        await guest.settled(hold, "confirmed")
        return hold

    holds = [await buy(*each) for each in zip(guests, seats, codes, strict=True)]
    for guest, hold in zip(guests[:2], holds[:2], strict=True):
        await guest.cancel_tickets(hold)
    arena.platform.kill("payment")
    for guest, hold in zip(guests[2:], holds[2:], strict=True):
        await guest.cancel_tickets(hold)
    await asyncio.to_thread(arena.platform.start, "payment")
    for guest, hold in zip(guests, holds, strict=True):
        booking = await guest.settled(hold, "refunded")
        assert [tender["refunded"] for tender in booking["tenders"]] == [1000, booking["amount"] - 1000]
    now = await at_rest(arena.platform.env)
    assert violations(now) == []
    for code in codes:
        found = await arena.guest().call("POST", "/api/gift-cards/balance", json={"code": code})
        assert found["balance"] == 1000
