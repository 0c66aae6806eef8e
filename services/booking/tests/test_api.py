"""Bookings over HTTP: who may, what is asked, what is answered."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from booking import store
from booking.model import State
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.booking import BookingCancelled, BookingPaid, PaymentCancelRequested, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.inventory import HoldChanged, SeatsReleased

from .examples import F7, F8, TOTAL


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


# ---- quote


async def test_a_quote_is_all_in_and_changes_nothing(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    answer = await customer.asks()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    body = answer.json()
    assert (body["hold_id"], body["amount"], body["currency"]) == (customer.id, TOTAL, "EUR")
    assert (body["fee"], body["tax"]) == (None, None), "catalog did not say"
    assert [option["ticket_type"] for option in body["seats"][0]["options"]] == ["adult", "child"]
    chosen = [{"seat_id": "F7", "ticket_type": "child"}, {"seat_id": "F8"}]
    assert (await customer.asks(tickets=chosen)).json()["amount"] == 1800
    assert (await customer.looks())["state"] == "held"
    assert bus.events(PaymentRequested, customer.mine) == []


async def test_a_quote_waits_for_what_is_on_its_way(guest, bus):
    await guest.finds_showtime()
    quote = asyncio.create_task(guest.asks())
    await asyncio.sleep(0.2)
    await guest.holds(F7)
    assert (await quote).json()["amount"] == 1250
    tickets = [{"seat_id": "F7"}, {"seat_id": "F8"}]
    quote = asyncio.create_task(guest.asks(tickets=tickets))
    await asyncio.sleep(0.2)
    change = {
        "revision": 1,
        "seats": [F7, F8],
        "added": ["F8"],
        "dropped": [],
        "expires_at": now() + timedelta(hours=1),
    }
    await bus.say(HoldChanged(hold_id=guest.id, showtime_id=guest.showtime_id, **change))
    assert (await quote).json()["amount"] == TOTAL


async def test_a_quote_that_cannot_be_given(customer, guest, client, signer, staff):
    assert problem(await customer.asks()) == (404, "booking_unknown")
    await customer.holds()
    assert problem(await customer.asks()) == (503, "showtime_not_ready")
    await customer.finds_showtime()
    for headers, expected in [
        ({}, (401, "unauthenticated")),
        (guest.headers, (404, "booking_unknown")),
        (signer.headers("eve"), (404, "booking_unknown")),
        (staff("bookings:read"), (404, "booking_unknown")),
    ]:
        answer = await client.post("/api/bookings/quote", json={"hold_id": customer.id}, headers=headers)
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
        assert problem(await customer.asks(tickets=tickets)) == expected
    assert (await customer.checks_out()).status_code == 201
    assert problem(await customer.asks()) == (409, "already_checked_out")


async def test_a_quote_for_a_hold_that_is_over(customer):
    await customer.finds_showtime()
    await customer.holds(seconds=0)
    assert problem(await customer.asks()) == (409, "hold_expired")


# ---- checkout


async def test_a_checkout_fixes_the_price_and_asks_for_payment(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    answer = await customer.checks_out(locale="de")
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
    request = await bus.heard(PaymentRequested, customer.mine)
    assert (request.amount, request.reference, request.email) == (TOTAL, booking["reference"], "ada@example.org")
    assert request.holder == customer.holder


async def test_a_free_booking_asks_for_no_payment(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.checks_out(tickets=free)).json()["state"] == "confirming"
    await bus.heard(BookingPaid, customer.mine)
    assert bus.events(PaymentRequested, customer.mine) == []


async def test_a_checkout_waits_for_the_hold_that_is_on_its_way(customer):
    await customer.finds_showtime()
    checkout = asyncio.create_task(customer.checks_out())
    await asyncio.sleep(0.2)
    await customer.holds()
    assert (await checkout).status_code == 201


async def test_a_checkout_waits_for_the_change_of_the_hold_that_is_on_its_way(customer, bus):
    await customer.finds_showtime()
    await customer.holds(F7)
    await customer.sees("held")
    checkout = asyncio.create_task(customer.checks_out())
    await asyncio.sleep(0.2)
    await bus.say(
        HoldChanged(
            hold_id=customer.id,
            showtime_id=customer.showtime_id,
            revision=1,
            seats=[F7, F8],
            added=["F8"],
            dropped=[],
            expires_at=now() + timedelta(minutes=8),
        )
    )
    assert (await checkout).json()["amount"] == TOTAL


async def test_a_guest_checks_out_with_the_secret_of_the_hold(guest):
    await guest.has_ordered()
    assert (await guest.looks())["state"] == "awaiting_payment"


async def test_the_same_order_again_gets_the_same_answer_and_asks_once(customer, bus):
    first = await customer.has_ordered()
    again = await customer.checks_out()
    assert (again.status_code, again.json()) == (201, first)
    other = await customer.checks_out(email="eve@example.org")
    assert problem(other) == (409, "already_checked_out")
    assert len(bus.events(PaymentRequested, customer.mine)) == 1


async def test_checkouts_at_the_same_time_make_one_order(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    answers = await asyncio.gather(*(customer.checks_out(name=f"Ada {n % 2}") for n in range(12)))
    won = {answer.json()["reference"] for answer in answers if answer.status_code == 201}
    assert len(won) == 1
    assert {problem(answer)[1] for answer in answers if answer.status_code != 201} == {"already_checked_out"}
    await bus.heard(PaymentRequested, customer.mine)
    assert len(bus.events(PaymentRequested, customer.mine)) == 1


async def test_an_idempotency_key_replays_the_checkout(customer):
    await customer.finds_showtime()
    await customer.holds()
    customer.headers = customer.headers | {"Idempotency-Key": new_id()}
    first, again = await customer.checks_out(), await customer.checks_out()
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert first.json() == again.json()
    assert problem(await customer.checks_out(name="Eve")) == (422, "idempotency_key_reused")


async def test_a_lapsed_hold_cannot_be_checked_out(customer):
    await customer.finds_showtime()
    await customer.holds(seconds=-1)
    assert problem(await customer.checks_out()) == (409, "hold_expired")


async def test_a_released_hold_cannot_be_checked_out(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    await bus.say(
        SeatsReleased(hold_id=customer.id, showtime_id=customer.showtime_id, seats=["F7", "F8"], reason="released")
    )
    await customer.sees("expired")
    assert problem(await customer.checks_out()) == (409, "hold_expired")


async def test_a_cancelled_or_past_showtime_is_not_sold(customer, guest, bus):
    await customer.finds_showtime()
    await bus.say(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    await until(lambda: store.Showtime.find_one({"_id": customer.showtime_id, "is_cancelled": True}))
    await customer.holds()
    assert problem(await customer.checks_out()) == (409, "showtime_closed")

    await guest.finds_showtime(starts_at=now() - timedelta(hours=3))
    await guest.holds()
    assert problem(await guest.checks_out()) == (409, "showtime_closed")


async def test_a_showtime_whose_prices_have_not_arrived_is_a_matter_of_trying_again(customer):
    await customer.holds()
    answer = await customer.checks_out()
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
async def test_tickets_that_do_not_fit_are_refused_by_name(customer, tickets, code, seats):
    await customer.finds_showtime()
    await customer.holds()
    answer = await customer.checks_out(tickets=[{"seat_id": s, "ticket_type": t} for s, t in tickets])
    assert problem(answer) == (422, code)
    assert answer.json()["seats"] == seats
    assert (await customer.looks())["state"] == "held"


@pytest.mark.parametrize(
    "change",
    [
        {"hold_id": None},
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
        {"name": "x" * 101},
        {"name": "Ada\r\nBcc: eve@example.org"},
        {"name": "Ada\x00"},
        {"locale": "klingon"},
        {"amount": 1},
    ],
)
async def test_a_malformed_order_is_refused(customer, change):
    answer = await customer.checks_out(**change)
    assert problem(answer) == (422, "invalid_request")
    assert answer.json()["errors"]


async def test_other_bodies_than_an_order_are_refused(customer):
    async def post(content: bytes) -> Any:
        headers = customer.headers | {"Content-Type": "application/json"}
        return await customer.client.post("/api/bookings", content=content, headers=headers)

    assert problem(await post(b"")) == (422, "invalid_request")
    assert problem(await post(b"{")) == (422, "invalid_request")
    assert problem(await post(b"[]")) == (422, "invalid_request")
    assert problem(await post(b'{"email": "\xff\xfe"}'))[0] in {400, 422}
    huge = json.dumps(customer.order(name="x" * 2_000_000)).encode()
    assert problem(await post(huge)) == (413, "too_large")


# ---- secrecy


@pytest.mark.parametrize("act", ["get", "check_out", "cancel"])
async def test_a_booking_is_nobody_elses(client, customer, guest, signer, act):
    await customer.finds_showtime()
    await customer.holds()
    await customer.sees("held")

    async def tries(headers: dict[str, str]) -> Any:
        if act == "get":
            return await client.get(f"/api/bookings/{customer.id}", headers=headers)
        if act == "cancel":
            return await client.post(f"/api/bookings/{customer.id}/cancel", headers=headers)
        return await client.post("/api/bookings", json=customer.order(), headers=headers)

    assert problem(await tries({})) == (401, "unauthenticated")
    assert problem(await tries({"Authorization": "Bearer nonsense"})) == (401, "token_invalid")
    assert problem(await tries(signer.headers("somebody-else"))) == (404, "booking_unknown")
    assert problem(await tries(guest.headers)) == (404, "booking_unknown")
    assert (await customer.looks())["state"] == "held"


async def test_staff_sees_bookings_but_does_not_check_them_out(client, customer, staff):
    await customer.finds_showtime()
    await customer.holds()
    headers = staff("bookings:read")
    assert (await client.get(f"/api/bookings/{customer.id}", headers=headers)).json()["id"] == customer.id
    assert problem(await client.post("/api/bookings", json=customer.order(), headers=headers))[0] == 404


async def test_what_is_not_there_is_unknown_and_what_is_no_id_is_refused(client, customer):
    unknown = await client.get(f"/api/bookings/{new_id()}", headers=customer.headers)
    assert problem(unknown) == (404, "booking_unknown")
    assert problem(await client.get(f"/api/bookings/{'x' * 65}", headers=customer.headers))[0] == 422
    assert problem(await customer.checks_out()) == (404, "booking_unknown")
    assert problem(await client.post(f"/api/bookings/{new_id()}/cancel", headers=customer.headers))[0] == 404


# ---- lists


async def test_people_list_their_own_bookings_page_by_page(client, customer, bus, signer):
    await customer.has_ordered()
    ids = [customer.id]
    for _ in range(4):
        customer.id = new_id()
        ids.append(customer.id)
        await customer.holds()
        await customer.sees("held")
    lapsed = SeatsReleased(hold_id=ids[2], showtime_id=customer.showtime_id, seats=["F7", "F8"], reason="lapsed")
    await bus.say(lapsed)
    customer.id = ids.pop(2)
    await customer.sees("expired")

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/api/bookings", params={"limit": 2} | cursor, headers=customer.headers)).json()
        assert len(page["items"]) <= 2
        seen += [booking["id"] for booking in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sorted(ids, reverse=True)
    assert (await client.get("/api/bookings", headers=signer.headers("nobody"))).json()["items"] == []


async def test_staff_finds_bookings_and_customers_do_not(client, customer, guest, staff):
    booking = await customer.has_ordered()
    await guest.has_ordered()
    headers = staff("bookings:read")

    async def found(**params: str) -> list[str]:
        answer = await client.get("/api/bookings", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    assert await found(reference=booking["reference"].lower()) == [customer.id]
    assert await found(showtime_id=customer.showtime_id) == [customer.id]
    assert {customer.id, guest.id} <= set(await found(email="Ada@Example.org"))
    assert await found(showtime_id=customer.showtime_id, email="eve@example.org") == []
    assert await found(reference="NOSUCH") == []
    refused = await client.get("/api/bookings", params={"email": "ada@example.org"}, headers=customer.headers)
    assert problem(refused) == (403, "forbidden")


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "nonsense"},
        {"cursor": "WzFd"},
        {"reference": "a b"},
        {"email": "x"},
        {"showtime_id": "$ne"},
        {"owner": "u1"},
    ],
)
async def test_a_list_refuses_what_it_does_not_understand(client, customer, params):
    assert problem(await client.get("/api/bookings", params=params, headers=customer.headers))[0] == 422


async def test_a_list_takes_an_account(client, guest):
    assert problem(await client.get("/api/bookings", headers=guest.headers)) == (401, "unauthenticated")


# ---- cancel


async def cancels(customer: Any, headers: dict[str, str] | None = None) -> Any:
    return await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=headers or customer.headers)


async def test_a_held_booking_is_cancelled_at_once(customer, bus):
    await customer.holds()
    answers = [await cancels(customer), await cancels(customer)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "cancelled")] * 2
    assert (await bus.heard(BookingCancelled, customer.mine)).reason == "by_customer"
    assert len(bus.events(BookingCancelled, customer.mine)) == 1
    assert problem(await customer.checks_out()) == (409, "hold_expired")


async def test_a_booking_that_awaits_payment_closes_first(guest, bus):
    await guest.has_ordered()
    answers = [await cancels(guest), await cancels(guest)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "closing")] * 2
    assert (await bus.heard(PaymentCancelRequested, guest.mine)).reason == "cancelled"
    assert bus.events(BookingCancelled, guest.mine) == []


async def test_a_paid_booking_is_not_cancelled(customer, bus):
    await customer.has_paid()
    assert problem(await cancels(customer)) == (409, "not_cancellable")
    await bus.say(customer.sold())
    await customer.sees("confirmed")
    answer = await cancels(customer)
    assert problem(answer) == (409, "not_cancellable")
    assert "paid and confirmed" in answer.json()["detail"]


async def test_staff_cancels_with_the_permission_to_write(customer, bus, staff):
    await customer.holds()
    assert problem(await cancels(customer, staff("bookings:read"))) == (403, "forbidden")
    assert (await cancels(customer, staff("bookings:read", "bookings:write"))).json()["state"] == "cancelled"
    assert (await bus.heard(BookingCancelled, customer.mine)).reason == "by_staff"


async def test_cancel_and_checkout_at_the_same_time_leave_one_story(customer, bus):
    await customer.finds_showtime()
    await customer.holds()
    await customer.sees("held")
    answers = await asyncio.gather(*(act(customer) for _ in range(5) for act in (cancels, lambda c: c.checks_out())))
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    booking = await customer.looks()
    states = [passage["state"] for passage in booking["history"]]
    assert states in (["held", "cancelled"], ["held", "awaiting_payment", "closing"])
    checked_out = len(states) == 3
    await bus.heard(PaymentCancelRequested if checked_out else BookingCancelled, customer.mine)
    assert len(bus.events(PaymentRequested, customer.mine)) == int(checked_out)


# ---- tickets


async def test_a_door_checks_a_ticket_with_the_public_key_alone(client, customer):
    booking = await customer.has_tickets()
    tickets = (await customer.looks())["tickets"]
    answer = await client.get("/api/tickets/keys")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    assert "d" not in answer.json()["keys"][0], "the private half stays at home"

    text = tickets[0]["qr"]
    key = keys[jwt.get_unverified_header(text)["kid"]].key
    claims = jwt.decode(text, key, algorithms=["EdDSA"])
    assert claims["tid"] == tickets[0]["ticket_id"] == f"{customer.id}-F7"
    assert (claims["sid"], claims["seat"], claims["ref"]) == (customer.showtime_id, "F7", booking["reference"])
    assert claims["exp"] > datetime.fromisoformat(booking["screening"]["ends_at"]).timestamp()
    assert len(text) < 400, "a QR code of this length is still easy to read"

    head, body, signature = text.split(".")
    other_body = tickets[1]["qr"].split(".")[1]
    for forged in (f"{head}.{other_body}.{signature}", f"{head}.{body}.{signature[:-8]}AAAAAAAA", f"{head}.{body}."):
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(forged, key, algorithms=["EdDSA"])


async def test_a_ticket_is_shown_to_those_who_may_see_its_booking(client, customer, guest, staff):
    await customer.has_paid()
    address = f"/api/tickets/{customer.id}-F7"
    assert problem(await client.get(address, headers=customer.headers)) == (404, "ticket_unknown"), "not sold yet"
    await customer.bus.say(customer.sold())
    await customer.sees(State.CONFIRMED)

    ticket = (await client.get(address, headers=customer.headers)).json()
    assert (ticket["ticket"]["seat"]["seat_id"], ticket["screening"]["movie_title"]) == ("F7", "Metropolis")
    assert (await client.get(address, headers=staff("bookings:read"))).status_code == 200
    assert problem(await client.get(address)) == (401, "unauthenticated")
    for wrong in (f"{customer.id}-F9", customer.id, "nonsense", "-F7"):
        assert problem(await client.get(f"/api/tickets/{wrong}", headers=customer.headers))[0] == 404
    assert problem(await client.get(address, headers=guest.headers)) == (404, "ticket_unknown")
