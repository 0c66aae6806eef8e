"""Links to a booking over HTTP: access by link, and lookup."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from booking import signing, store
from chassis.clock import now
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.booking import BookingCancelled, BookingConfirmed, BookingLinkRequested, BookingRescheduled
from contracts.catalog import ShowtimeCancelled
from contracts.identity import UserDeleted
from structlog.testing import capture_logs

from . import examples
from .conftest import LINK_KEY, problem, raw_bookings, sealed_codes

EMAIL = "ada@example.org"


def decrypted_key(event: Any) -> str:
    """The key in an event, which the notifier mails."""
    return Cipher(LINK_KEY).decrypt(event.sealed_link)


async def open_link(customer: Any, key: str, **headers: str) -> httpx.Response:
    """Get the booking with only the link's key."""
    return await customer.client.get(f"/api/bookings/{customer.id}", headers={"X-Booking-Key": key} | headers)


async def look_up(client: httpx.AsyncClient, reference: Any, email: Any = EMAIL) -> httpx.Response:
    return await client.post("/api/bookings/lookup", json={"reference": reference, "email": email})


# ---- access by link


async def test_the_link_in_a_guests_mails_shows_the_booking_with_its_tickets(guest, bus):
    await guest.buy_tickets()
    confirmed = bus.events(BookingConfirmed, guest.is_mine)[0]
    answer = await open_link(guest, decrypted_key(confirmed))
    assert (answer.status_code, answer.json()) == (200, await guest.get_booking())
    assert [ticket["qr"] for ticket in answer.json()["tickets"]] == sealed_codes(confirmed)

    starts_at = now() + timedelta(days=60)
    await bus.publish(examples.rescheduled(guest.showtime_id, starts_at))
    moved = await bus.wait_for(BookingRescheduled, guest.is_mine)
    assert decrypted_key(moved) != decrypted_key(confirmed), "its key is valid for longer"
    await bus.publish(ShowtimeCancelled(showtime_id=guest.showtime_id, reason="technical"))
    cancelled = await bus.wait_for(BookingCancelled, guest.is_mine)
    for event in (confirmed, moved, cancelled):
        seen = (await open_link(guest, decrypted_key(event))).json()
        assert (seen["state"], seen["tickets"]) == ("refunding", [])


async def test_customers_with_an_account_get_no_link(customer, bus):
    await customer.buy_tickets()
    assert bus.events(BookingConfirmed, customer.is_mine)[0].sealed_link is None


async def test_a_link_is_read_only(guest, client, state):
    await guest.place_order()
    header = {"X-Booking-Key": state.signer.link_key(guest.id, now() + timedelta(days=1))}
    seen = await client.get(f"/api/bookings/{guest.id}", headers=header)
    assert (seen.status_code, seen.json()["order"]) == (200, None)
    for method, path in [
        ("POST", f"/api/bookings/{guest.id}/cancel"),
        ("GET", f"/api/tickets/{guest.id}-F7"),
        ("GET", "/api/bookings"),
    ]:
        assert problem(await client.request(method, path, headers=header)) == (401, "unauthenticated")
    body = {"claim": guest.claim}
    assert problem(await client.post("/api/bookings/quote", json=body, headers=header)) == (401, "unauthenticated")
    assert (await guest.get_booking())["state"] == "awaiting_payment"


async def test_an_invalid_link_does_not_reveal_whether_a_booking_exists(guest, customer, client, state):
    await guest.buy_tickets()
    ticket = (await guest.get_booking())["tickets"][0]["qr"]
    later = now() + timedelta(days=1)
    wrong = [
        state.signer.link_key("another", later),
        state.signer.link_key(guest.id, now() - timedelta(seconds=1)),
        state.signer.link_key(guest.id, later)[:-3],
        ticket,
        "rubbish",
        "x" * 30_000,
    ]
    for key in wrong:
        void = await open_link(guest, key)
        assert problem(void) == (404, "booking_link_void")
        nothing = await client.get("/api/bookings/nothing", headers={"X-Booking-Key": key})
        assert nothing.json() | {"correlation_id": ""} == void.json() | {"correlation_id": ""}
    good_for_nothing = {"X-Booking-Key": state.signer.link_key("nothing", later)}
    assert problem(await client.get("/api/bookings/nothing", headers=good_for_nothing)) == (404, "booking_link_void")
    assert problem(await open_link(guest, "rubbish", **customer.headers)) == (404, "booking_link_void")


async def test_an_invalid_link_does_not_lock_out_the_owner_or_staff(guest, staff):
    await guest.buy_tickets()
    for headers in (guest.headers, staff("bookings:read")):
        assert (await open_link(guest, "an old link", **headers)).status_code == 200


async def test_a_key_does_not_pass_as_a_secret_or_a_token(guest, client, state):
    await guest.buy_tickets()
    key = state.signer.link_key(guest.id, now() + timedelta(days=1))
    path = f"/api/bookings/{guest.id}"
    assert problem(await client.get(path, headers={"X-Hold-Secret": key})) == (404, "booking_unknown")
    assert problem(await client.get(path, headers={"Authorization": f"Bearer {key}"})) == (401, "token_invalid")


async def test_a_link_to_an_erased_persons_booking_is_refused(customer, bus, state):
    await customer.buy_tickets()
    key = state.signer.link_key(customer.id, now() + timedelta(days=1))
    reference = (await customer.get_booking())["reference"]
    assert (await open_link(customer, key)).status_code == 200
    await bus.publish(UserDeleted(user_id=customer.holder.user_id))

    async def void() -> bool:
        return (await open_link(customer, key)).status_code == 404

    await until(void)
    assert (await look_up(customer.client, reference)).status_code == 202
    assert await store.find_for_lookup(reference, EMAIL) is None


# ---- lookup


async def test_reference_and_address_request_a_link(guest, customer, client, bus):
    for somebody in (guest, customer):
        await somebody.buy_tickets()
        booking = await somebody.get_booking()
        typed = booking["reference"].lower()
        answer = await look_up(client, f" {typed[:4]}-{typed[4:]} ", EMAIL.upper())
        assert answer.status_code == 202
        request = await bus.wait_for(BookingLinkRequested, somebody.is_mine)
        assert (request.reference, request.email, request.name, request.locale) == (
            booking["reference"],
            EMAIL,
            "Ada",
            "en",
        )
        assert (request.holder, request.screening.model_dump(mode="json")) == (somebody.holder, booking["screening"])
        assert request.expires_at == request.screening.ends_at + signing.LINK_LIFETIME
        assert (await open_link(somebody, decrypted_key(request))).json() == booking


async def test_a_lookup_does_not_reveal_whether_a_booking_matches(guest, client, bus):
    await guest.buy_tickets()
    reference = (await guest.get_booking())["reference"]
    answers = [
        await look_up(client, reference, "eve@example.org"),
        await look_up(client, "CDFGHJKM", EMAIL),
        await look_up(client, reference),
        await look_up(client, reference),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    await bus.wait_for(BookingLinkRequested, guest.is_mine)
    assert len(bus.events(BookingLinkRequested, guest.is_mine)) == 1, "only a matching lookup is mailed"
    stored = await store.Lookup.get_pymongo_collection().find({}).to_list()
    assert len(stored) >= 3, "lookups without a match are stored too"
    assert not any(word in str(each["_id"]) for each in stored for word in (reference, "@"))


async def test_repeated_lookups_send_one_mail_in_ten_minutes(guest, client, bus):
    await guest.buy_tickets()
    reference = (await guest.get_booking())["reference"]
    answers = await asyncio.gather(*(look_up(client, reference) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    await bus.wait_for(BookingLinkRequested, guest.is_mine)
    ten_minutes_ago = {"$set": {"asked_at": now() - store.LOOKUP_PAUSE}}
    await store.Lookup.get_pymongo_collection().update_many({}, ten_minutes_ago)
    await asyncio.gather(*(look_up(client, reference) for _ in range(20)))

    async def two() -> bool:
        return len({event.link_id for event in bus.events(BookingLinkRequested, guest.is_mine)}) >= 2

    await until(two)
    assert len({event.link_id for event in bus.events(BookingLinkRequested, guest.is_mine)}) == 2


async def test_an_unpaid_booking_has_no_link(guest, client):
    booking = await guest.place_order()
    assert (await look_up(client, booking["reference"])).status_code == 202
    assert await store.find_for_lookup(booking["reference"], EMAIL) is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "email"),
        ({"reference": "CDFGHJKM"}, "email"),
        ({"reference": "", "email": EMAIL}, "reference"),
        ({"reference": "C" * 17, "email": EMAIL}, "reference"),
        ({"reference": "CDFG HJKM!", "email": EMAIL}, "reference"),
        ({"reference": {"$ne": ""}, "email": EMAIL}, "reference"),
        ({"reference": "CDFGHJKM", "email": {"$ne": ""}}, "email"),
        ({"reference": "CDFGHJKM", "email": "ada"}, "email"),
        ({"reference": "CDFGHJKM", "email": f"{'a' * 300}@example.org"}, "email"),
        ({"reference": "CDFGHJKM", "email": "ada@example.org\nBcc: eve@example.org"}, "email"),
        ({"reference": "CDFGHJKM", "email": EMAIL, "user_id": "u1"}, "user_id"),
    ],
)
async def test_invalid_fields_are_named(client, body, place):
    answer = await client.post("/api/bookings/lookup", json=body)
    assert problem(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"][-1] == place


async def test_invalid_json_is_refused(client):
    for text in ("", "{", "[]", "null", '"CDFGHJKM"'):
        answer = await client.post("/api/bookings/lookup", content=text, headers={"Content-Type": "application/json"})
        assert problem(answer) == (422, "invalid_request"), text


async def test_logs_and_documents_contain_no_key_or_address(guest, client, bus):
    with capture_logs() as logs:
        await guest.buy_tickets()
        await look_up(client, (await guest.get_booking())["reference"])
        request = await bus.wait_for(BookingLinkRequested, guest.is_mine)
        await open_link(guest, decrypted_key(request))
        await open_link(guest, "rubbish-that-nobody-logs")
    logged = json.dumps(logs, default=str)
    for word in (decrypted_key(request), "rubbish-that-nobody-logs", EMAIL):
        assert word not in logged
    stored = str(await raw_bookings().find_one({"_id": guest.id}))
    assert decrypted_key(request) not in stored


async def test_a_lookup_uses_an_index(client):
    where = {"reference": {"$eq": "CDFGHJKM", "$type": "string"}, "email": EMAIL, "state": {"$ne": "awaiting_payment"}}
    plan = await raw_bookings().find(where).explain()
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
