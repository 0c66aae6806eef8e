"""Quote and checkout over HTTP: access, validation, prices and repeated requests."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from booking import store
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.booking import BookingConfirmed, BookingPaid, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.claims import HoldClaim, PaymentOrder
from pydantic import SecretStr

from .conftest import CLAIMS, KEYS, ORDERS, problem
from .examples import F7, TOTAL

# ---- quote


async def test_a_quote_is_all_in_and_changes_nothing(customer, bus):
    await customer.add_showtime()
    answer = await customer.get_quote()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    body = answer.json()
    assert (body["hold_id"], body["amount"], body["currency"]) == (customer.id, TOTAL, "EUR")
    assert (body["fee"], body["tax"]) == (None, None), "catalog sent neither"
    assert [option["ticket_type"] for option in body["seats"][0]["options"]] == ["adult", "child"]
    chosen = [{"seat_id": "F7", "ticket_type": "child"}, {"seat_id": "F8"}]
    assert (await customer.get_quote(tickets=chosen)).json()["amount"] == 1800
    assert bus.events(PaymentRequested, customer.is_mine) == []
    unknown = await customer.client.get(f"/api/bookings/{customer.id}", headers=customer.headers)
    assert problem(unknown) == (404, "booking_unknown")


async def test_invalid_quotes_are_refused(customer, guest, client, signer, staff):
    assert problem(await customer.get_quote()) == (503, "showtime_not_ready")
    await customer.add_showtime()
    for headers, expected in [
        ({}, (401, "unauthenticated")),
        (guest.headers, (404, "booking_unknown")),
        (signer.headers("eve"), (404, "booking_unknown")),
        (staff("bookings:read"), (404, "booking_unknown")),
    ]:
        answer = await client.post("/api/bookings/quote", json={"claim": customer.claim}, headers=headers)
        assert problem(answer) == expected
    one, two = {"seat_id": "F7", "ticket_type": "adult"}, {"seat_id": "F8", "ticket_type": "senior"}
    for tickets, expected in [
        ([one], (422, "tickets_do_not_match")),
        ([one, one], (422, "tickets_do_not_match")),
        ([one, {"seat_id": "F9"}], (422, "tickets_do_not_match")),
        ([one, two], (422, "price_unknown")),
        ([one, {"seat_id": "f8"}], (422, "invalid_request")),
        ([one | {"amount": 1}], (422, "invalid_request")),
        ([one] * 11, (422, "invalid_request")),
        ("all", (422, "invalid_request")),
    ]:
        assert problem(await customer.get_quote(tickets=tickets)) == expected
    assert (await customer.check_out()).status_code == 201
    assert problem(await customer.get_quote()) == (409, "already_checked_out")


async def test_an_expired_hold_is_not_quoted(customer):
    await customer.add_showtime()
    customer.new_hold(seconds=0)
    assert problem(await customer.get_quote()) == (409, "hold_expired")


# ---- checkout


async def test_a_checkout_fixes_the_price_and_asks_for_payment(customer, bus):
    await customer.add_showtime()
    answer = await customer.check_out(locale="de")
    booking = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/bookings/{customer.id}"
    assert (booking["state"], booking["amount"], booking["currency"]) == ("awaiting_payment", TOTAL, "EUR")
    assert [(line["ticket_type"], line["amount"]) for line in booking["lines"]] == [("adult", 1250), ("adult", 1800)]
    assert len(booking["reference"]) == 8
    assert booking["tickets"] == []
    assert (
        timedelta(seconds=590)
        < datetime.fromisoformat(booking["payment_deadline_at"]) - now()
        <= timedelta(seconds=600)
    )
    request = await bus.wait_for(PaymentRequested, customer.is_mine)
    assert (request.amount, request.reference, request.email) == (TOTAL, booking["reference"], "ada@example.org")
    assert request.holder == customer.holder


async def test_a_free_booking_asks_for_no_payment(customer, bus):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    booking = (await customer.check_out(tickets=free)).json()
    assert (booking["state"], booking["order"]) == ("confirming", None)
    await bus.wait_for(BookingPaid, customer.is_mine)
    assert bus.events(PaymentRequested, customer.is_mine) == []
    assert (await customer.get_booking())["state"] == "confirming"
    await bus.publish(customer.sold(amount=0, currency=None))
    assert (await bus.wait_for(BookingConfirmed, customer.is_mine)).amount == 0


async def test_the_checkout_returns_the_signed_payment_order(customer):
    booking = await customer.place_order()
    order = ORDERS.read(booking["order"])
    assert order == PaymentOrder(
        booking_id=customer.id,
        reference=booking["reference"],
        holder=customer.holder,
        email="ada@example.org",
        showtime_id=customer.showtime_id,
        seats=["F7", "F8"],
        amount=TOTAL,
        currency="EUR",
        payment_deadline_at=datetime.fromisoformat(booking["payment_deadline_at"]),
    )
    assert ORDERS.read((await customer.get_booking())["order"]) == order
    listed = (await customer.client.get("/api/bookings", headers=customer.headers)).json()["items"]
    assert [each["order"] for each in listed] == [None]


async def test_an_order_is_for_the_holder_and_only_while_it_can_be_paid(customer, staff):
    await customer.place_order()
    headers = staff("bookings:read", "bookings:write")
    path = f"/api/bookings/{customer.id}"
    assert (await customer.client.get(path, headers=headers)).json()["order"] is None
    assert (await customer.client.post(f"{path}/cancel", headers=headers)).json()["order"] is None
    assert (await customer.get_booking())["order"] is None, "it is closing"


OTHER_KEY = CLAIMS.__class__(HoldClaim, HoldClaim.audience, SecretStr(KEYS["ORDER_KEY"]))
OTHER_AUDIENCE = CLAIMS.__class__(HoldClaim, PaymentOrder.audience, SecretStr(KEYS["CLAIM_KEY"]))


@pytest.mark.parametrize("route", ["/api/bookings", "/api/bookings/quote"])
async def test_a_hold_without_its_claim_is_refused(customer, route):
    await customer.add_showtime()
    order = customer.order() if route == "/api/bookings" else {}

    async def refusal(body: dict[str, Any], headers: Any = None) -> Any:
        return await customer.client.post(route, json=order | body, headers=headers or customer.headers)

    old = await refusal({"claim": None, "hold_id": customer.id})
    assert problem(old) == (422, "claim_required")
    assert "GET /api/holds/{id}" in old.json()["title"]
    for wrong in (
        "",
        "rubbish",
        "x" * 5000,
        customer.claim[:-3],
        OTHER_KEY.sign(customer.hold),
        OTHER_AUDIENCE.sign(customer.hold),
        ORDERS.sign(PaymentOrder.model_construct(booking_id=customer.id)),
    ):
        assert problem(await refusal({"claim": wrong})) == (422, "claim_invalid"), wrong
    assert problem(await refusal({"claim": {"$ne": ""}})) == (422, "invalid_request")
    assert (await refusal({"claim": customer.claim, "hold_id": customer.id})).is_success, "clients may still send both"


async def test_a_guest_checks_out_with_the_secret_of_the_hold(guest):
    await guest.place_order()
    assert (await guest.get_booking())["state"] == "awaiting_payment"


async def test_a_repeated_order_returns_the_same_booking_and_requests_one_payment(customer, bus):
    first = await customer.place_order()
    again = await customer.check_out()
    assert (again.status_code, again.json()) == (201, first)
    other = await customer.check_out(email="eve@example.org")
    assert problem(other) == (409, "already_checked_out")
    assert len(bus.events(PaymentRequested, customer.is_mine)) == 1


async def test_concurrent_checkouts_create_one_order(customer, bus):
    await customer.add_showtime()
    answers = await asyncio.gather(*(customer.check_out(name=f"Ada {n % 2}") for n in range(12)))
    won = {answer.json()["reference"] for answer in answers if answer.status_code == 201}
    assert len(won) == 1
    assert {problem(answer)[1] for answer in answers if answer.status_code != 201} == {"already_checked_out"}
    await bus.wait_for(PaymentRequested, customer.is_mine)
    assert len(bus.events(PaymentRequested, customer.is_mine)) == 1


async def test_an_idempotency_key_replays_the_checkout(customer):
    await customer.add_showtime()
    customer.headers = customer.headers | {"Idempotency-Key": new_id()}
    first, again = await customer.check_out(), await customer.check_out()
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert first.json() == again.json()
    assert problem(await customer.check_out(name="Eve")) == (422, "idempotency_key_reused")


async def test_a_lapsed_hold_cannot_be_checked_out(customer):
    await customer.add_showtime()
    customer.new_hold(seconds=-1)
    assert problem(await customer.check_out()) == (409, "hold_expired")


async def test_a_repeated_checkout_returns_the_booking_after_the_hold_or_showtime_ended(customer, bus):
    first = await customer.place_order()
    customer.new_hold(hold_id=customer.id, seconds=-1)
    again = await customer.check_out()
    assert (again.status_code, again.json()) == (201, first)
    assert problem(await customer.check_out(name="Eve")) == (409, "already_checked_out")

    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    await customer.wait_for_state("closing")
    again = await customer.check_out()
    assert (again.status_code, again.json()["id"], again.json()["order"]) == (201, customer.id, None)
    assert problem(await customer.check_out(name="Eve")) == (409, "already_checked_out")


async def test_a_newer_claim_of_a_booked_hold_creates_no_second_booking(customer, bus):
    await customer.place_order()
    customer.new_hold(F7, hold_id=customer.id, revision=1)
    one = [{"seat_id": "F7", "ticket_type": "adult"}]
    assert problem(await customer.check_out(tickets=one)) == (409, "already_checked_out")
    assert problem(await customer.get_quote()) == (409, "already_checked_out")
    assert [seat["seat_id"] for seat in (await customer.get_booking())["seats"]] == ["F7", "F8"]


async def test_a_cancelled_or_past_showtime_is_not_sold(customer, guest, bus):
    await customer.add_showtime()
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    await until(lambda: store.Showtime.find_one({"_id": customer.showtime_id, "is_cancelled": True}))
    assert problem(await customer.check_out()) == (409, "showtime_closed")

    await guest.add_showtime(starts_at=now() - timedelta(hours=3))
    assert problem(await guest.check_out()) == (409, "showtime_closed")


async def test_a_showtime_without_prices_is_refused_with_retry_after(customer):
    answer = await customer.check_out()
    assert problem(answer) == (503, "showtime_not_ready")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("tickets", "code", "seats"),
    [
        ([("F7", "adult")], "tickets_do_not_match", ["F8"]),
        ([("F7", "adult"), ("F8", "adult"), ("A1", "adult")], "tickets_do_not_match", ["A1"]),
        ([("F7", "adult"), ("F7", "adult")], "tickets_do_not_match", ["F7"]),
        ([("F7", "senior"), ("F8", "adult")], "price_unknown", ["F7"]),
    ],
)
async def test_tickets_that_do_not_match_are_refused_with_their_seats(customer, tickets, code, seats):
    await customer.add_showtime()
    answer = await customer.check_out(tickets=[{"seat_id": s, "ticket_type": t} for s, t in tickets])
    assert problem(answer) == (422, code)
    assert answer.json()["seats"] == seats
    assert await store.find(customer.id) is None


@pytest.mark.parametrize(
    "change",
    [
        {"hold_id": "../etc"},
        {"hold_id": {"$ne": ""}},
        {"hold_id": "x" * 65},
        {"tickets": []},
        {"tickets": [{"seat_id": f"A{n}", "ticket_type": "adult"} for n in range(1, 12)]},
        {"tickets": [{"seat_id": "F7; drop", "ticket_type": "adult"}]},
        {"tickets": [{"seat_id": "F7", "ticket_type": "adult", "amount": 1}]},
        {"email": "not an address"},
        {"email": f"{'a' * 250}@example.org"},
        {"email": "ada@example.org\r\nBcc: eve@example.org"},
        {"email": "käthe@example.org"},
        {"name": "x" * 101},
        {"name": "Ada\r\nBcc: eve@example.org"},
        {"name": "Ada\x00"},
        {"name": "Ada\u202e"},
        {"name": "A\u200bda"},
        {"locale": "klingon"},
        {"locale": "en-12"},
        {"amount": 1},
    ],
)
async def test_a_malformed_order_is_refused(customer, change):
    answer = await customer.check_out(**change)
    assert problem(answer) == (422, "invalid_request")
    assert answer.json()["errors"]


async def test_malformed_bodies_are_refused(customer):
    async def post(content: bytes) -> Any:
        headers = customer.headers | {"Content-Type": "application/json"}
        return await customer.client.post("/api/bookings", content=content, headers=headers)

    assert problem(await post(b"")) == (422, "invalid_request")
    assert problem(await post(b"{")) == (422, "invalid_request")
    assert problem(await post(b"[]")) == (422, "invalid_request")
    assert problem(await post(b'{"email": "\xff\xfe"}'))[0] in {400, 422}
    huge = json.dumps(customer.order(name="x" * 2_000_000)).encode()
    assert problem(await post(huge)) == (413, "too_large")
