"""Bookings over HTTP: access, lists, cancellation and tickets."""

import asyncio
from datetime import datetime
from typing import Any

import jwt
import pytest
from booking import store
from booking.model import State
from chassis.ids import new_id
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.payment import PaymentCancelled

from .conftest import problem, raw_bookings, sealed_codes

# ---- access


@pytest.mark.parametrize("act", ["get", "check_out", "cancel"])
async def test_other_people_cannot_see_or_change_a_booking(client, customer, guest, signer, act):
    await customer.add_showtime()
    if act != "check_out":
        assert (await customer.check_out()).status_code == 201

    async def attempt(headers: dict[str, str]) -> Any:
        if act == "get":
            return await client.get(f"/api/bookings/{customer.id}", headers=headers)
        if act == "cancel":
            return await client.post(f"/api/bookings/{customer.id}/cancel", headers=headers)
        return await client.post("/api/bookings", json=customer.order(), headers=headers)

    assert problem(await attempt({})) == (401, "unauthenticated")
    assert problem(await attempt({"Authorization": "Bearer nonsense"})) == (401, "token_invalid")
    assert problem(await attempt(signer.headers("somebody-else"))) == (404, "booking_unknown")
    assert problem(await attempt(guest.headers)) == (404, "booking_unknown")
    booking = await store.find(customer.id)
    assert booking is None if act == "check_out" else booking and booking.state is State.AWAITING_PAYMENT


async def test_staff_sees_bookings_but_does_not_check_them_out(client, customer, staff):
    await customer.place_order()
    headers = staff("bookings:read")
    assert (await client.get(f"/api/bookings/{customer.id}", headers=headers)).json()["id"] == customer.id
    assert problem(await client.post("/api/bookings", json=customer.order(), headers=headers))[0] == 404


async def test_unknown_bookings_are_404_and_malformed_ids_422(client, customer):
    unknown = await client.get(f"/api/bookings/{new_id()}", headers=customer.headers)
    assert problem(unknown) == (404, "booking_unknown")
    assert problem(await client.get(f"/api/bookings/{'x' * 65}", headers=customer.headers))[0] == 422
    assert problem(await client.get(f"/api/bookings/{customer.id}", headers=customer.headers))[0] == 404, "only held"
    assert problem(await client.post(f"/api/bookings/{new_id()}/cancel", headers=customer.headers))[0] == 404


# ---- lists


async def test_people_list_their_own_bookings_page_by_page(client, customer, bus, signer):
    await customer.place_order()
    ids = [customer.id]
    for _ in range(3):
        customer.new_hold()
        ids.append(customer.id)
        assert (await customer.check_out()).status_code == 201
    lapsed = await raw_bookings().find_one({"_id": ids[0]})
    assert lapsed is not None
    never_ordered = {
        "_id": new_id(),
        "state": "expired",
        "reference": None,
        "lines": [],
        "amount": None,
        "due_at": None,
    }
    await raw_bookings().insert_one(lapsed | never_ordered)

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
    booking = await customer.place_order()
    await guest.place_order()
    headers = staff("bookings:read")

    async def found(**params: str) -> list[str]:
        answer = await client.get("/api/bookings", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    one = booking["reference"]
    for typed in (one.lower(), f"{one[:4]} {one[4:]}", f" #{'-'.join(one)}.", f"{one[:4]}\u2013{one[4:]}\u200b\n"):
        assert await found(reference=typed) == [customer.id], typed
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
        {"reference": "a/b"},
        {"reference": " - "},
        {"reference": "CDFGHJKM" + " " * 100},
        {"email": "x"},
        {"showtime_id": "$ne"},
        {"owner": "u1"},
    ],
)
async def test_invalid_list_parameters_are_refused(client, customer, params):
    assert problem(await client.get("/api/bookings", params=params, headers=customer.headers))[0] == 422


async def test_a_list_requires_an_account(client, guest):
    assert problem(await client.get("/api/bookings", headers=guest.headers)) == (401, "unauthenticated")


# ---- cancel


async def cancel(customer: Any, headers: dict[str, str] | None = None) -> Any:
    return await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=headers or customer.headers)


async def test_a_booking_that_awaits_payment_closes_first(guest, bus):
    await guest.place_order()
    answers = [await cancel(guest), await cancel(guest)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "closing")] * 2
    assert (await bus.wait_for(PaymentCancelRequested, guest.is_mine)).reason == "cancelled"
    assert bus.events(BookingCancelled, guest.is_mine) == []


async def test_a_paid_booking_is_not_cancelled(customer, bus):
    await customer.buy_tickets()
    answer = await cancel(customer)
    assert problem(answer) == (409, "not_cancellable")
    assert "quote_id" in answer.json()["detail"]


async def test_a_cancelled_booking_is_not_checked_out_again(customer, bus):
    await customer.place_order()
    await cancel(customer)
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("cancelled")
    again = await customer.check_out()
    assert (again.status_code, again.json()["state"], again.json()["order"]) == (201, "cancelled", None)
    assert len(bus.events(PaymentRequested, customer.is_mine)) == 1


async def test_staff_cancels_with_the_permission_to_write(customer, bus, staff):
    await customer.place_order()
    assert problem(await cancel(customer, staff("bookings:read"))) == (403, "forbidden")
    answer = await cancel(customer, staff("bookings:read", "bookings:write"))
    assert (answer.json()["state"], answer.json()["ending"]) == ("closing", "by_staff")


async def test_only_staff_cancels_a_confirmed_booking_of_free_tickets(customer, bus, staff):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.check_out(tickets=free)).status_code == 201
    await bus.publish(customer.sold(amount=0, currency=None))
    await customer.wait_for_state("confirmed")
    ticket_id = (await customer.get_booking())["tickets"][0]["ticket_id"]
    assert problem(await cancel(customer)) == (409, "not_cancellable")
    answer = await cancel(customer, staff("bookings:read", "bookings:write"))
    assert (answer.json()["state"], answer.json()["ending"]) == ("refunded", "by_staff")
    cancelled = await bus.wait_for(BookingCancelled, customer.is_mine)
    assert (cancelled.reason, cancelled.refund_amount, cancelled.seats) == ("by_staff", 0, ["F7", "F8"])
    assert not bus.events(RefundRequested, customer.is_mine)
    shown = await customer.client.get(f"/api/tickets/{ticket_id}", headers=customer.headers)
    assert problem(shown) == (404, "ticket_unknown"), "although its QR text still verifies"


async def test_concurrent_cancels_and_checkouts_keep_one_history(customer, bus):
    await customer.add_showtime()
    answers = await asyncio.gather(*(act(customer) for _ in range(5) for act in (cancel, lambda c: c.check_out())))
    assert {answer.status_code for answer in answers} <= {200, 201, 404}
    await bus.wait_for(PaymentRequested, customer.is_mine)
    states = [passage["state"] for passage in (await customer.get_booking())["history"]]
    assert states in (["awaiting_payment"], ["awaiting_payment", "closing"])
    if len(states) == 2:
        await bus.wait_for(PaymentCancelRequested, customer.is_mine)
    assert len(bus.events(PaymentRequested, customer.is_mine)) == 1


# ---- tickets


async def test_a_door_checks_a_ticket_with_the_public_key_alone(client, customer):
    booking = await customer.buy_tickets()
    tickets = (await customer.get_booking())["tickets"]
    answer = await client.get("/api/tickets/keys")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    assert "d" not in answer.json()["keys"][0], "the private half is not published"

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


async def test_the_database_and_the_events_contain_no_ticket_code(customer, bus):
    await customer.buy_tickets()
    codes = [ticket["qr"] for ticket in (await customer.get_booking())["tickets"]]
    confirmed = bus.events(BookingConfirmed, customer.is_mine)[0]
    assert sealed_codes(confirmed) == codes
    stored = await raw_bookings().find_one({"_id": customer.id})
    for place in (str(stored), confirmed.model_dump_json()):
        assert not [code for code in codes if code in place or code.rpartition(".")[2] in place]


async def test_a_ticket_is_visible_like_its_booking(client, customer, guest, staff):
    await customer.place_order()
    address = f"/api/tickets/{customer.id}-F7"
    assert problem(await client.get(address, headers=customer.headers)) == (404, "ticket_unknown"), "not sold yet"
    await customer.bus.publish(customer.sold())
    await customer.wait_for_state(State.CONFIRMED)

    ticket = (await client.get(address, headers=customer.headers)).json()
    assert (ticket["ticket"]["seat"]["seat_id"], ticket["screening"]["movie_title"]) == ("F7", "Metropolis")
    assert (await client.get(address, headers=staff("bookings:read"))).status_code == 200
    assert problem(await client.get(address)) == (401, "unauthenticated")
    for wrong in (f"{customer.id}-F9", customer.id, "nonsense", "-F7"):
        assert problem(await client.get(f"/api/tickets/{wrong}", headers=customer.headers))[0] == 404
    assert problem(await client.get(address, headers=guest.headers)) == (404, "ticket_unknown")
