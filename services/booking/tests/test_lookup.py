"""Links to a booking over HTTP: who gets one, and what it opens."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from booking import links, store
from chassis.clock import now
from chassis.secrets import Seal
from chassis.testing import until
from contracts.booking import BookingCancelled, BookingConfirmed, BookingLinkRequested, BookingRescheduled
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.identity import UserDeleted
from structlog.testing import capture_logs

from .conftest import LINK_KEY, problem

EMAIL = "ada@example.org"


def unsealed(event: Any) -> str:
    """The key that the notifier mails."""
    return Seal(LINK_KEY).open(event.sealed_link)


async def opens(customer: Any, key: str, **headers: str) -> httpx.Response:
    """Somebody who has nothing but the link."""
    return await customer.client.get(f"/api/bookings/{customer.id}", headers={"X-Booking-Key": key} | headers)


async def looks_up(client: httpx.AsyncClient, reference: Any, email: Any = EMAIL) -> httpx.Response:
    return await client.post("/api/bookings/lookup", json={"reference": reference, "email": email})


# ---- what a link opens


async def test_the_link_in_a_guests_mails_shows_the_booking_with_its_tickets(guest, bus):
    await guest.has_tickets()
    confirmed = bus.events(BookingConfirmed, guest.mine)[0]
    answer = await opens(guest, unsealed(confirmed))
    assert (answer.status_code, answer.json()) == (200, await guest.looks())
    assert [ticket["qr"] for ticket in answer.json()["tickets"]] == [ticket.qr for ticket in confirmed.tickets]

    starts_at = now() + timedelta(days=60)
    times = {"ends_at": starts_at + timedelta(hours=2), "sales_open_at": now(), "sales_close_at": starts_at}
    await bus.say(ShowtimeRescheduled(showtime_id=guest.showtime_id, starts_at=starts_at, **times))
    moved = await bus.heard(BookingRescheduled, guest.mine)
    assert unsealed(moved) != unsealed(confirmed), "it opens for longer"
    await bus.say(ShowtimeCancelled(showtime_id=guest.showtime_id, reason="technical"))
    cancelled = await bus.heard(BookingCancelled, guest.mine)
    for event in (confirmed, moved, cancelled):
        seen = (await opens(guest, unsealed(event))).json()
        assert (seen["state"], seen["tickets"]) == ("refunding", [])


async def test_who_has_an_account_signs_in(customer, bus):
    await customer.has_tickets()
    assert bus.events(BookingConfirmed, customer.mine)[0].sealed_link is None


async def test_a_link_only_shows(guest, client):
    await guest.has_ordered()
    header = {"X-Booking-Key": links.key_of(guest.id, now() + timedelta(days=1))}
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
    assert (await guest.looks())["state"] == "awaiting_payment"


async def test_what_does_not_open_it_says_the_same_whether_there_is_a_booking(guest, customer, client):
    await guest.has_tickets()
    ticket = (await guest.looks())["tickets"][0]["qr"]
    later = now() + timedelta(days=1)
    wrong = [
        links.key_of("another", later),
        links.key_of(guest.id, now() - timedelta(seconds=1)),
        links.key_of(guest.id, later)[:-3],
        ticket,
        "rubbish",
        "x" * 30_000,
    ]
    for key in wrong:
        void = await opens(guest, key)
        assert problem(void) == (404, "booking_link_void")
        nothing = await client.get("/api/bookings/nothing", headers={"X-Booking-Key": key})
        assert nothing.json() | {"correlation_id": ""} == void.json() | {"correlation_id": ""}
    good_for_nothing = {"X-Booking-Key": links.key_of("nothing", later)}
    assert problem(await client.get("/api/bookings/nothing", headers=good_for_nothing)) == (404, "booking_link_void")
    assert problem(await opens(guest, "rubbish", **customer.headers)) == (404, "booking_link_void")


async def test_whoever_may_see_it_anyway_does_with_an_old_link_too(guest, staff):
    await guest.has_tickets()
    for headers in (guest.headers, staff("bookings:read")):
        assert (await opens(guest, "an old link", **headers)).status_code == 200


async def test_a_key_opens_nothing_as_a_secret_or_a_token(guest, client):
    await guest.has_tickets()
    key = links.key_of(guest.id, now() + timedelta(days=1))
    path = f"/api/bookings/{guest.id}"
    assert problem(await client.get(path, headers={"X-Hold-Secret": key})) == (404, "booking_unknown")
    assert problem(await client.get(path, headers={"Authorization": f"Bearer {key}"})) == (401, "token_invalid")


async def test_who_is_gone_is_shown_to_nobody(customer, bus):
    await customer.has_tickets()
    key = links.key_of(customer.id, now() + timedelta(days=1))
    reference = (await customer.looks())["reference"]
    assert (await opens(customer, key)).status_code == 200
    await bus.say(UserDeleted(user_id=customer.holder.user_id))

    async def void() -> bool:
        return (await opens(customer, key)).status_code == 404

    await until(void)
    assert (await looks_up(customer.client, reference)).status_code == 202
    assert await store.find_lost(reference, EMAIL) is None


# ---- asking for one


async def test_reference_and_address_have_the_link_mailed(guest, customer, client, bus):
    for somebody in (guest, customer):
        await somebody.has_tickets()
        booking = await somebody.looks()
        answer = await looks_up(client, f" {booking['reference'].lower()} ", EMAIL.upper())
        assert answer.status_code == 202
        wish = await bus.heard(BookingLinkRequested, somebody.mine)
        assert (wish.reference, wish.email, wish.name, wish.locale) == (booking["reference"], EMAIL, "Ada", "en")
        assert (wish.holder, wish.screening.model_dump(mode="json")) == (somebody.holder, booking["screening"])
        assert wish.expires_at == wish.screening.ends_at + links.OPENS_FOR
        assert (await opens(somebody, unsealed(wish))).json() == booking


async def test_nobody_learns_whether_it_fits(guest, client, bus):
    await guest.has_tickets()
    reference = (await guest.looks())["reference"]
    answers = [
        await looks_up(client, reference, "eve@example.org"),
        await looks_up(client, "CDFGHJKM", EMAIL),
        await looks_up(client, reference),
        await looks_up(client, reference),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    await bus.heard(BookingLinkRequested, guest.mine)
    assert len(bus.events(BookingLinkRequested, guest.mine)) == 1, "only the one that fits is mailed"
    kept = await store.Lookup.get_pymongo_collection().find({}).to_list()
    assert len(kept) >= 3, "what does not fit is counted too"
    assert not any(word in str(each["_id"]) for each in kept for word in (reference, "@"))


async def test_however_often_it_is_asked_for_one_mail_goes_out_in_ten_minutes(guest, client, bus):
    await guest.has_tickets()
    reference = (await guest.looks())["reference"]
    answers = await asyncio.gather(*(looks_up(client, reference) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    await bus.heard(BookingLinkRequested, guest.mine)
    ten_minutes_ago = {"$set": {"asked_at": now() - store.LOOKUP_PAUSE}}
    await store.Lookup.collection().update_many({}, ten_minutes_ago)
    await asyncio.gather(*(looks_up(client, reference) for _ in range(20)))

    async def two() -> bool:
        return len({event.link_id for event in bus.events(BookingLinkRequested, guest.mine)}) >= 2

    await until(two)
    assert len({event.link_id for event in bus.events(BookingLinkRequested, guest.mine)}) == 2


async def test_what_is_not_paid_yet_has_no_link(guest, client):
    booking = await guest.has_ordered()
    assert (await looks_up(client, booking["reference"])).status_code == 202
    assert await store.find_lost(booking["reference"], EMAIL) is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "reference"),
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
async def test_bad_input_is_named(client, body, place):
    answer = await client.post("/api/bookings/lookup", json=body)
    assert problem(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"][-1] == place


async def test_what_is_no_json_is_named_too(client):
    for text in ("", "{", "[]", "null", '"CDFGHJKM"'):
        answer = await client.post("/api/bookings/lookup", content=text, headers={"Content-Type": "application/json"})
        assert problem(answer) == (422, "invalid_request"), text


async def test_no_log_and_no_document_tells_a_key_or_an_address(guest, client, bus):
    with capture_logs() as logs:
        await guest.has_tickets()
        await looks_up(client, (await guest.looks())["reference"])
        wish = await bus.heard(BookingLinkRequested, guest.mine)
        await opens(guest, unsealed(wish))
        await opens(guest, "rubbish-that-nobody-logs")
    told = json.dumps(logs, default=str)
    for word in (unsealed(wish), "rubbish-that-nobody-logs", EMAIL):
        assert word not in told
    kept = str(await store.Booking.collection().find_one({"_id": guest.id}))
    assert unsealed(wish) not in kept


async def test_a_lost_booking_is_found_by_an_index(client):
    where = {"reference": {"$eq": "CDFGHJKM", "$type": "string"}, "email": EMAIL, "state": {"$ne": "awaiting_payment"}}
    plan = await store.Booking.collection().find(where).explain()
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
