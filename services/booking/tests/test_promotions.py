"""Promotions over HTTP: staff's changes, quotes and checkouts with codes, limits, and what becomes of the uses."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from booking import jobs, store
from booking.model import Booking
from booking.store import documents, promotion_uses
from booking.store.promotions import MAX_UNKNOWN_CODES
from cachetools import TTLCache
from chassis.clock import now
from chassis.testing import replica_of, until
from contracts.booking import BookingConfirmed, BookingPaid, PaymentRequested
from contracts.payment import PaymentCancelled

from . import examples
from .conftest import Customer, Staff, problem, raw_bookings
from .examples import TOTAL

_codes = (f"CODE{number}" for number in itertools.count(1))
TEN_PERCENT = {"kind": "percentage", "percent": 10}
Add = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def add(client: httpx.AsyncClient, staff: Staff) -> Add:
    """Add a promotion with a code of its own."""

    async def added(**facts: Any) -> dict[str, Any]:
        body = {"name": "Test", "discount": TEN_PERCENT, "code": next(_codes)} | facts
        answer = await client.post("/api/promotions", json=body, headers=staff("promotions:write"))
        assert answer.status_code == 201, answer.text
        return answer.json()

    return added


async def settled(booking_id: str) -> Booking:
    """Run the job; returns the booking after it. Another replica of the job may have been faster."""
    await jobs.settle_uses()

    async def is_settled() -> bool:
        booking = await store.find(booking_id)
        return booking is not None and not booking.has_open_uses

    await until(is_settled)
    booking = await store.find(booking_id)
    assert booking
    return booking


async def states_of(customer: Customer) -> list[str]:
    """The states of the uses of the customer's booking."""
    booking = await settled(customer.id)
    stored = await documents.promotion_uses.get(booking.uses_id)
    assert stored
    assert sorted(stored.slots) == sorted(slot for use in stored.uses for slot in use.slots)
    return [use.state for use in stored.uses]


def reason(answer: httpx.Response) -> str:
    assert problem(answer) == (422, "promotion_refused")
    return answer.json()["reason"]


# ---- staff


async def test_staff_add_change_and_end_promotions(client, staff, add, customer):
    headers, made = staff("promotions:write"), await add(name="Matinee")
    path = f"/api/promotions/{made['id']}"
    assert (made["version"], made["is_active"], made["conditions"]["movie_ids"]) == (1, True, [])
    content = {name: made[name] for name in ("name", "code", "discount")}
    changed = await client.put(path, json=content | {"version": 1, "max_uses": 5}, headers=headers)
    assert (changed.json()["version"], changed.json()["max_uses"]) == (2, 5)
    stale = await client.put(path, json=content | {"version": 1}, headers=headers)
    assert problem(stale) == (409, "promotion_changed")
    again = await client.post("/api/promotions", json=content | {"code": f" {made['code'].lower()}"}, headers=headers)
    assert problem(again) == (409, "promotion_code_taken")
    other = await add()
    taken = await client.put(f"/api/promotions/{other['id']}", json=content | {"version": 1}, headers=headers)
    assert problem(taken) == (409, "promotion_code_taken")
    listed = (await client.get("/api/promotions", params={"limit": 1}, headers=headers)).json()
    assert listed["items"][0]["id"] == other["id"]
    page = await client.get("/api/promotions", params={"cursor": listed["next_cursor"]}, headers=headers)
    assert page.json()["items"][0]["id"] == made["id"]
    for _ in range(2):
        assert (await client.delete(path, headers=headers)).status_code == 204
    found = (await client.get(path, headers=headers)).json()
    assert (found["is_active"], found["uses"]) == (False, {"reserved": 0, "taken": 0, "released": 0})
    await customer.add_showtime()
    assert reason(await customer.get_quote(promotion_codes=[made["code"]])) == "unknown"
    await add(code=made["code"])


async def test_invalid_promotions_are_refused(client, staff):
    valid = {"name": "Test", "discount": TEN_PERCENT}
    for changes in (
        {"discount": {"kind": "percentage", "percent": 0}},
        {"discount": {"kind": "percentage", "percent": 101}},
        {"discount": {"kind": "percentage", "percent": "10"}},
        {"discount": {"kind": "fixed_amount", "amount": 0, "currency": "EUR"}},
        {"discount": {"kind": "fixed_amount", "amount": 5, "currency": "XXX"}},
        {"discount": {"kind": "fixed_price", "amount": 605, "currency": "KWD"}},
        {"discount": {"kind": "n_for_m", "tickets": 2, "pay": 2}},
        {"discount": {"kind": "gift"}},
        {"discount": TEN_PERCENT | {"amount": 1}},
        {"conditions": {"weekdays": ["friday"]}},
        {"conditions": {"starts_from": "25:00"}},
        {"conditions": {"movie_id": "m1"}},
        {"valid_from": "2027-01-02T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
        {"valid_from": "0001-01-01T00:00:00+14:00"},
        {"max_uses": 0},
        {"max_uses": 100_001},
        {"max_uses_per_person": 1.5},
        {"code": "A"},
        {"code": "ÄÖÜ"},
        {"code": "A" * 41},
        {"name": ""},
        {"name": "a\u202eb"},
        {"is_active": False},
    ):
        answer = await client.post("/api/promotions", json=valid | changes, headers=staff("promotions:write"))
        assert problem(answer) == (422, "invalid_request"), changes


async def test_promotions_are_for_staff_at_their_theaters(client, staff, signer, add):
    body = {"name": "Test", "discount": TEN_PERCENT}
    for headers, expected in (
        ({}, (401, "unauthenticated")),
        (signer.headers("ada"), (403, "forbidden")),
        (staff("bookings:write"), (403, "forbidden")),
        (staff("promotions:write", theaters=["t1"]), (403, "forbidden")),
    ):
        assert problem(await client.post("/api/promotions", json=body, headers=headers)) == expected
    everywhere, here, elsewhere = [
        await add(conditions={"theater_ids": theaters}) for theaters in ([], ["t1"], ["t1", "t2"])
    ]
    bound = staff("promotions:write", theaters=["t1"])
    listed = (await client.get("/api/promotions", params={"limit": 100}, headers=bound)).json()["items"]
    ids = {each["id"] for each in listed}
    assert here["id"] in ids
    assert ids.isdisjoint({everywhere["id"], elsewhere["id"]})
    for hidden in (everywhere, elsewhere):
        path = f"/api/promotions/{hidden['id']}"
        assert problem(await client.get(path, headers=bound)) == (404, "promotion_unknown")
        assert problem(await client.delete(path, headers=bound)) == (404, "promotion_unknown")
    path, own = f"/api/promotions/{here['id']}", {"code": here["code"], "conditions": {"theater_ids": ["t1"]}}
    assert (await client.put(path, json=body | own | {"version": 1}, headers=bound)).status_code == 200
    wider = {"conditions": {"theater_ids": ["t1", "t2"]}, "version": 2}
    assert problem(await client.put(path, json=body | wider, headers=bound)) == (403, "forbidden")


# ---- quote and checkout


async def test_a_code_lowers_the_quote_and_the_booking(customer: Customer, add: Add, bus: Any):
    await customer.add_showtime()
    code = (await add(name="Ten off"))["code"]
    quote = (await customer.get_quote(promotion_codes=[code.lower(), code])).json()
    assert (quote["price"], quote["discount"], quote["amount"]) == (TOTAL, 305, TOTAL - 305)
    assert quote["promotions"] == [{"name": "Ten off", "code": code, "amount": 305}]
    assert [seat["discount"] for seat in quote["seats"]] == [125, 180]
    assert [seat["chosen"]["amount"] for seat in quote["seats"]] == [1250, 1800], "before the discount"
    answer = await customer.check_out(promotion_codes=[code])
    booking = answer.json()
    assert (booking["amount"], booking["promotions"]) == (TOTAL - 305, quote["promotions"])
    assert [(line["amount"], line["discount"]) for line in booking["lines"]] == [(1125, 125), (1620, 180)]
    request = await bus.wait_for(PaymentRequested, customer.is_mine)
    assert request.amount == TOTAL - 305
    assert (await customer.check_out(promotion_codes=[code])).json() == booking
    assert problem(await customer.check_out()) == (409, "already_checked_out")
    assert await states_of(customer) == ["reserved", "reserved"]
    await bus.publish(customer.sold(amount=TOTAL - 305))
    assert (await bus.wait_for(BookingConfirmed, customer.is_mine)).amount == TOTAL - 305
    assert await states_of(customer) == ["taken", "taken"]


async def test_a_sold_booking_keeps_its_discount(customer: Customer, add: Add, client: Any, staff: Staff):
    await customer.add_showtime()
    made = await add()
    booking = (await customer.check_out(promotion_codes=[made["code"]])).json()
    assert (await client.delete(f"/api/promotions/{made['id']}", headers=staff("promotions:write"))).is_success
    assert (await customer.get_booking())["lines"] == booking["lines"]
    assert (await customer.check_out(promotion_codes=[made["code"]])).json() == booking
    customer.new_hold()
    assert reason(await customer.check_out(promotion_codes=[made["code"]])) == "unknown"


async def test_a_booking_that_costs_nothing_is_free(customer: Customer, add: Add, bus: Any):
    await customer.add_showtime()
    code = (await add(discount={"kind": "percentage", "percent": 99}))["code"]
    booking = (await customer.check_out(promotion_codes=[code])).json()
    assert (booking["state"], booking["amount"], booking["order"]) == ("confirming", 0, None)
    await bus.wait_for(BookingPaid, customer.is_mine)


async def test_automatic_promotions_need_no_code_and_no_read(customer: Customer, add: Add, reads: Any, bus: Any):
    film = f"film of {customer.showtime_id}".replace(" ", "-")
    event = examples.scheduled(customer.showtime_id, now() + timedelta(hours=3))
    await bus.publish(event.model_copy(update={"movie_id": film}))
    await until(lambda: store.find_showtime(customer.showtime_id))
    await add(code=None, name="This film", conditions={"movie_ids": [film]})
    quote = (await customer.get_quote()).json()
    assert quote["promotions"] == [{"name": "This film", "code": None, "amount": 305}]
    assert (await customer.check_out()).json()["amount"] == TOTAL - 305


async def test_a_plain_checkout_does_not_read_promotions(customer: Customer, state: Any, monkeypatch: Any):
    await customer.add_showtime()
    await state.promotions.automatic()

    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("promotions were read")

    for collection in (documents.promotions, documents.promotion_uses):
        for name in ("find", "get", "rows", "insert", "update"):
            monkeypatch.setattr(collection, name, read)
    monkeypatch.setattr(state.promotions, "_automatic", {"all": await state.promotions.automatic()})
    assert (await customer.check_out()).json()["amount"] == TOTAL


@pytest.mark.parametrize("codes", ["TEN", [1], ["A"] * 6, ["A B!"], [None], ["x" * 200]])
async def test_codes_that_are_none_are_refused(customer: Customer, codes: Any):
    await customer.add_showtime()
    for answer in (await customer.get_quote(promotion_codes=codes), await customer.check_out(promotion_codes=codes)):
        assert problem(answer) == (422, "invalid_request")


async def test_codes_do_not_apply_to_an_exchange(customer: Customer):
    replaces = {"booking_id": "b1", "quote_id": "q1"}
    answer = await customer.check_out(promotion_codes=["TEN"], replaces=replaces)
    assert problem(answer) == (422, "invalid_request")
    assert "codes do not apply to an exchange" in answer.json()["detail"]


async def test_guessing_codes_is_limited(customer: Customer, add: Add):
    await customer.add_showtime()
    code = (await add())["code"]
    attempts = documents.CodeAttempts.get_pymongo_collection()
    await attempts.delete_many({})
    for _ in range(MAX_UNKNOWN_CODES + 1):
        assert (await customer.get_quote(promotion_codes=[code])).is_success, "known codes do not count"
    guesses = [customer.get_quote(promotion_codes=[f"GUESS{number}"]) for number in range(MAX_UNKNOWN_CODES + 5)]
    answers = [problem(answer) for answer in await asyncio.gather(*guesses)]
    assert answers.count((422, "promotion_refused")) == MAX_UNKNOWN_CODES
    assert answers.count((429, "too_many_codes")) == 5
    late = await customer.check_out(promotion_codes=[code])
    assert problem(late) == (429, "too_many_codes")
    assert int(late.headers["retry-after"]) > 0
    await attempts.delete_many({})


# ---- limits and uses


async def test_a_person_uses_a_code_only_so_often(customer: Customer, guest: Customer, add: Add):
    code = (await add(max_uses_per_person=3))["code"]
    for each in (customer, guest):
        await each.add_showtime()
    assert (await customer.check_out(promotion_codes=[code])).json()["amount"] == TOTAL - 305
    customer.new_hold()
    one_left = (await customer.check_out(promotion_codes=[code])).json()
    assert [line["discount"] for line in one_left["lines"]] == [0, 180], "the dearer ticket"
    customer.new_hold()
    assert reason(await customer.get_quote(promotion_codes=[code])) == "used_by_you"
    assert reason(await customer.check_out(promotion_codes=[code])) == "used_by_you"
    same_mailbox = await guest.check_out(promotion_codes=[code], email="ADA+1@example.org")
    assert reason(same_mailbox) == "used_by_you"
    assert (await guest.check_out(promotion_codes=[code], email="eve@example.org")).status_code == 201


async def test_a_used_up_promotion_is_not_searched_for_each_request(
    customer: Customer, guest: Customer, add: Add, monkeypatch: Any
):
    """Its uses may be a hundred thousand, and everybody can ask for a price with its code."""
    monkeypatch.setattr(promotion_uses, "BUCKET", 1)
    monkeypatch.setattr(promotion_uses, "_used_up", TTLCache[Any, bool](10, 600))  # also for a slow machine
    searches: list[Any] = []
    rows = promotion_uses.promotion_uses.rows

    def counted(*args: Any, **more: Any) -> Any:
        searches.append(args)
        return rows(*args, **more)

    code = (await add(max_uses=2))["code"]
    for each in (customer, guest):
        await each.add_showtime()
    assert (await customer.check_out(promotion_codes=[code])).status_code == 201
    monkeypatch.setattr(promotion_uses.promotion_uses, "rows", counted)
    for _ in range(3):
        assert reason(await guest.get_quote(promotion_codes=[code])) == "used_up"
    assert len(searches) == 2, "one search of two buckets"


async def test_only_the_first_uses_at_each_showtime(customer: Customer, guest: Customer, add: Add):
    code = (await add(conditions={"first_uses": 2}))["code"]
    for each in (customer, guest):
        await each.add_showtime()
    assert (await customer.check_out(promotion_codes=[code])).status_code == 201
    customer.new_hold()
    assert reason(await customer.check_out(promotion_codes=[code])) == "showtime_used_up"
    assert (await guest.check_out(promotion_codes=[code])).status_code == 201, "another showtime"


async def test_an_unpaid_booking_releases_its_uses_and_a_late_payment_takes_them_again(
    customer: Customer, guest: Customer, add: Add, bus: Any
):
    code = (await add(max_uses=2))["code"]
    for each in (customer, guest):
        await each.add_showtime()
    assert (await customer.check_out(promotion_codes=[code])).status_code == 201
    assert reason(await guest.check_out(promotion_codes=[code])) == "used_up"
    await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=customer.headers)
    assert await states_of(customer) == ["reserved", "reserved"], "a payment may still arrive"
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("cancelled")
    assert await states_of(customer) == ["released", "released"]
    assert (await guest.check_out(promotion_codes=[code])).status_code == 201
    assert await states_of(guest) == ["reserved", "reserved"]
    # Beyond the limit: the discount was promised.
    await raw_bookings().update_one({"_id": customer.id}, {"$set": {"state": "confirmed", "has_open_uses": True}})
    assert await states_of(customer) == ["taken", "taken"]
    stored = await documents.promotion_uses.get((await settled(customer.id)).uses_id)
    assert stored
    assert stored.slots == []


async def test_a_cancelled_ticket_gives_its_use_to_others(customer: Customer, guest: Customer, add: Add, bus: Any):
    code = (await add(max_uses=2))["code"]
    for each in (customer, guest):
        await each.add_showtime()
    assert (await customer.check_out(promotion_codes=[code])).status_code == 201
    await bus.publish(customer.sold(amount=TOTAL - 305))
    await bus.wait_for(BookingConfirmed, customer.is_mine)
    path = f"/api/bookings/{customer.id}"
    quote = await customer.client.post(
        f"{path}/cancellation-quote", json={"ticket_ids": [f"{customer.id}-F8"]}, headers=customer.headers
    )
    [ticket] = quote.json()["tickets"]
    assert (ticket["paid"], ticket["discount"], quote.json()["total"]) == (1620, 180, 1620)
    body = {"quote_id": quote.json()["quote_id"]}
    cancelled = await customer.client.post(f"{path}/cancel", json=body, headers=customer.headers)
    assert cancelled.status_code == 200, cancelled.text
    assert await states_of(customer) == ["released", "taken"]
    one = (await guest.check_out(promotion_codes=[code])).json()
    assert [line["discount"] for line in one["lines"]] == [0, 180]


async def test_uses_without_a_booking_are_released(customer: Customer, add: Add, state: Any, monkeypatch: Any):
    """The process dies between the two writes. The same checkout takes its uses over; otherwise a job releases them."""
    await customer.add_showtime()
    made = await add(max_uses=2)
    create = state.manager.create

    async def die(_: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(state.manager, "create", die)
    assert (await customer.check_out(promotion_codes=[made["code"]])).status_code == 500
    assert await store.count_uses(made["id"]) == {"reserved": 2, "taken": 0, "released": 0}
    await store.release_orphans(100)
    assert (await store.count_uses(made["id"]))["reserved"] == 2, "the checkout may still be under way"
    collection = documents.PromotionUses.get_pymongo_collection()
    where = {"booking_id": customer.id}
    await collection.update_one(where, {"$set": {"reserved_at": now() - promotion_uses.ORPHANED_AFTER}})
    await jobs.settle_uses()
    await until(lambda: collection.find_one(where | {"is_reserved": False}))
    assert await store.count_uses(made["id"]) == {"reserved": 0, "taken": 0, "released": 2}
    monkeypatch.setattr(state.manager, "create", create)
    assert (await customer.check_out(promotion_codes=[made["code"]])).status_code == 201
    assert await states_of(customer) == ["reserved", "reserved"]
    assert await store.count_uses(made["id"]) == {"reserved": 2, "taken": 0, "released": 0}


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with replica_of("booking") as (_, http):
        yield http


@pytest.mark.parametrize("guard", ["unique slots", "no guard"])
async def test_two_people_with_the_last_use(
    *, customer: Customer, guest: Customer, replica: httpx.AsyncClient, add: Add, guard: str, monkeypatch: Any
):
    """Both replicas read before either writes. Without the unique slots, both get the discount."""
    made = await add(max_uses=1)
    for each in (customer, guest):
        await each.add_showtime()
    both_have_read = asyncio.Barrier(2)
    read, rounds = store.allowances_of, itertools.count()

    async def read_together(*facts: Any) -> Any:
        found = await read(*facts)
        if next(rounds) < 2:
            await both_have_read.wait()
        return found

    monkeypatch.setattr(store, "allowances_of", read_together)
    if guard == "no guard":
        document = promotion_uses._document

        def without_slots(*facts: Any) -> Any:
            return document(*facts).model_copy(update={"slots": []})

        monkeypatch.setattr(promotion_uses, "_document", without_slots)
    # The barrier is in this process, so both requests run here; `replica` checks what the other one sees afterwards.
    answers = await asyncio.gather(*(each.check_out(promotion_codes=[made["code"]]) for each in (customer, guest)))
    won = [answer.json()["promotions"][0]["amount"] for answer in answers if answer.status_code == 201]
    uses = await store.count_uses(made["id"])
    if guard == "no guard":
        assert (len(won), uses["reserved"]) == (2, 2)
        return
    assert (len(won), uses["reserved"]) == (1, 1)
    lost = next(answer for answer in answers if answer.status_code != 201)
    assert reason(lost) == "used_up"
    customer.client = replica
    customer.new_hold()
    assert reason(await customer.get_quote(promotion_codes=[made["code"]])) == "used_up"


async def test_many_people_and_few_uses_on_two_replicas(
    customer: Customer, client: httpx.AsyncClient, replica: httpx.AsyncClient, add: Add
):
    made = await add(max_uses=5, discount={"kind": "fixed_amount", "amount": 100, "currency": "EUR"})
    await customer.add_showtime()
    attempts: list[Awaitable[httpx.Response]] = []
    for number in range(12):
        customer.new_hold()
        order = customer.order(promotion_codes=[made["code"]])
        http = (client, replica)[number % 2]
        attempts.append(http.post("/api/bookings", json=order, headers=customer.headers))
    answers = await asyncio.gather(*attempts)
    won = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer not in won:
            assert problem(answer) in {(422, "promotion_refused"), (503, "booking_busy")}
    uses = await store.count_uses(made["id"])
    assert len(won) == uses["reserved"] <= 5
    assert len(won) >= 1
