"""Who owns a booking and where its mails go: guests who sign in, corrected addresses, tickets mailed again."""

import asyncio
from copy import copy
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from booking import saga, store
from booking.model import State
from booking.store import documents
from chassis.clock import now
from chassis.security.secrets import Cipher, new_secret
from chassis.testing import replica_of, until
from contracts.booking import (
    BookingAdopted,
    BookingConfirmed,
    BookingDataExported,
    BookingEmailChanged,
    BookingLinksRequested,
    BookingTicketsRequested,
)
from contracts.identity import ExportRequested, UserDeleted
from contracts.notifier import MailFailed
from contracts.types import Holder

from . import examples
from .conftest import LINK_KEY, ORDERS, Customer, problem, raw_bookings
from .test_cancellation import cancel, quote
from .test_lookup import decrypted_key, look_up


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> Any:
    async with replica_of("booking") as (_, http):
        yield http


@pytest.fixture
def person(guest: Customer, customer: Customer) -> Customer:
    """The guest after signing in: the browser sends the token and still the secret."""
    signed_in = copy(guest)
    signed_in.headers, signed_in.holder = guest.headers | customer.headers, customer.holder
    return signed_in


async def adopt(somebody: Customer, **headers: str) -> httpx.Response:
    return await somebody.client.post(f"/api/bookings/{somebody.id}/adopt", headers=somebody.headers | headers)


async def is_owned_by(somebody: Customer) -> bool:
    return (await store.find(somebody.id)).holder == somebody.holder  # pyright: ignore[reportOptionalMemberAccess]


async def mine(somebody: Customer) -> list[str]:
    return [
        booking["id"]
        for booking in (await somebody.client.get("/api/bookings", headers=somebody.headers)).json()["items"]
    ]


# ---- a guest signs in


async def test_signing_in_takes_the_bookings_along_at_any_step(guest: Customer, person: Customer, bus: Any):
    await guest.place_order()
    taken = await adopt(person)
    assert taken.status_code == 200
    order = ORDERS.read(taken.json()["order"])
    assert (order.holder, order.was_guests) == (person.holder, True)
    assert await mine(person) == [guest.id]
    assert (await adopt(person)).json()["id"] == guest.id, "a repetition changes nothing"
    assert not bus.events(BookingAdopted, guest.is_mine), "its payment is not decided yet"
    await bus.publish(guest.sold())
    confirmed = await bus.wait_for(BookingConfirmed, guest.is_mine)
    assert (confirmed.holder, confirmed.sealed_link) == (person.holder, None)
    adopted = await bus.wait_for(BookingAdopted, guest.is_mine)
    assert (adopted.user_id, adopted.has_tickets) == (person.holder.user_id, True)


async def test_a_paid_booking_is_announced_at_once(guest: Customer, person: Customer, bus: Any):
    await guest.buy_tickets()
    assert (await adopt(person)).status_code == 200
    adopted = await bus.wait_for(BookingAdopted, guest.is_mine)
    assert (adopted.user_id, adopted.showtime_id, adopted.has_tickets) == (
        person.holder.user_id,
        guest.showtime_id,
        True,
    )


async def test_the_secret_decides_who_takes_a_booking(guest: Customer, person: Customer, signer: Any):
    await guest.place_order()
    stranger = signer.headers("stranger")
    path = f"/api/bookings/{guest.id}/adopt"
    assert problem(await guest.client.post(path)) == (401, "unauthenticated")
    assert problem(await guest.client.post(path, headers=guest.headers)) == (401, "unauthenticated")
    for headers in (stranger, stranger | {"X-Hold-Secret": new_secret()}):
        assert problem(await guest.client.post(path, headers=headers)) == (404, "booking_unknown")
    assert problem(await guest.client.post("/api/bookings/none/adopt", headers=person.headers)) == (
        404,
        "booking_unknown",
    )
    assert (await adopt(person)).status_code == 200
    late = await guest.client.post(path, headers=guest.headers | stranger)
    assert problem(late) == (404, "booking_unknown"), "the secret opens it no more"
    assert await is_owned_by(person)


@pytest.mark.parametrize("guard", ["the version", "no guard"])
async def test_two_people_cannot_both_take_one(
    person: Customer, replica: httpx.AsyncClient, signer: Any, guard: str, monkeypatch: pytest.MonkeyPatch
):
    """Both have read the guest's booking when the first one takes it."""
    guest = copy(person)
    guest.headers = {"X-Hold-Secret": person.headers["X-Hold-Secret"]}
    await guest.place_order()
    second = copy(person)
    second.headers = person.headers | signer.headers("somebody-else")
    get = documents.bookings.get

    async def get_and_lose(booking_id: str) -> Any:
        booking = await get(booking_id)
        monkeypatch.setattr(documents.bookings, "get", get)
        first = copy(person)
        first.client = replica
        assert (await adopt(first)).status_code == 200
        return booking

    if guard == "no guard":
        update = documents.bookings.update

        async def unguarded(where: dict[str, Any], *change: Any, **events: Any) -> bool:
            return await update({"_id": where["_id"]}, *change, **events)

        monkeypatch.setattr(documents.bookings, "update", unguarded)
    monkeypatch.setattr(documents.bookings, "get", get_and_lose)
    answer = await adopt(second)
    assert answer.status_code == (200 if guard == "no guard" else 404)
    assert await is_owned_by(person) == (guard != "no guard")


async def test_taking_along_and_checkout_and_sale_at_once_on_two_replicas(
    guest: Customer, person: Customer, replica: httpx.AsyncClient, bus: Any
):
    """The claim was issued to the guest. Whatever comes first, the account gets one confirmed booking."""
    await guest.add_showtime()
    there = copy(person)
    there.client = replica
    answers = await asyncio.gather(
        guest.check_out(), adopt(there), person.check_out(), adopt(person), there.check_out()
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 404}
    assert any(answer.status_code == 201 for answer in answers)
    await asyncio.gather(bus.publish(guest.sold()), *(adopt(each) for each in (person, there) * 3))
    booking = await person.wait_for_state("confirmed")
    await adopt(person)
    assert await is_owned_by(person)
    assert await mine(person) == [booking["id"]]
    assert len(booking["tickets"]) == 2


async def test_who_has_signed_in_owns_what_a_guests_claim_is_ordered_with(guest: Customer, person: Customer):
    await guest.add_showtime()
    assert ORDERS.read((await person.check_out()).json()["order"]).holder == person.holder
    assert problem(await guest.check_out()) == (404, "booking_unknown")


async def test_taken_bookings_are_exported_and_erased(guest: Customer, person: Customer, bus: Any):
    await guest.buy_tickets()
    await adopt(person)
    user_id = person.holder.user_id or ""
    await bus.publish(ExportRequested(export_id=f"export-{guest.id}", user_id=user_id))
    exported = await bus.wait_for(BookingDataExported, lambda event: event.export_id == f"export-{guest.id}")
    assert [item["id"] for item in exported.items] == [guest.id]
    await bus.publish(UserDeleted(user_id=user_id))

    async def erased() -> bool:
        return (await store.find(guest.id)).email is None  # pyright: ignore[reportOptionalMemberAccess]

    await until(erased)


# ---- the address


async def correct(somebody: Customer, email: str, headers: dict[str, str] | None = None) -> httpx.Response:
    path = f"/api/bookings/{somebody.id}/email"
    return await somebody.client.put(
        path, json={"email": email}, headers=somebody.headers if headers is None else headers
    )


async def send(somebody: Customer, headers: dict[str, str] | None = None) -> httpx.Response:
    path = f"/api/bookings/{somebody.id}/send-tickets"
    return await somebody.client.post(path, headers=somebody.headers if headers is None else headers)


async def test_an_address_is_corrected_before_paying(guest: Customer, bus: Any):
    booking = await guest.place_order()
    answer = await correct(guest, "Right@example.org")
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["email"], changed["state"]) == ("right@example.org", "awaiting_payment")
    assert changed["payment_deadline_at"] == booking["payment_deadline_at"]
    assert ORDERS.read(changed["order"]).email == "right@example.org"
    told = await bus.wait_for(BookingEmailChanged, guest.is_mine)
    assert (told.email, told.new_email, told.was_mailed) == ("ada@example.org", "right@example.org", False)
    await bus.publish(guest.sold())
    assert (await bus.wait_for(BookingConfirmed, guest.is_mine)).email == "right@example.org"


async def test_an_address_is_corrected_after_paying_and_the_tickets_go_there(guest: Customer, bus: Any):
    await guest.buy_tickets()
    before = bus.events(BookingConfirmed, guest.is_mine)[0]
    await bus.publish(MailFailed(booking_id=guest.id, kind="confirmation", failed_at=now(), queued_at=now()))

    async def has_failed() -> bool:
        return (await guest.get_booking())["failed_mail"] is not None

    await until(has_failed)
    changed = (await correct(guest, "right@example.org")).json()
    assert (changed["email"], changed["failed_mail"]) == ("right@example.org", None)
    assert [(each["kind"], each["by"]) for each in changed["mailings"]] == [("email_changed", "customer")]
    told = await bus.wait_for(BookingEmailChanged, guest.is_mine)
    assert (told.email, told.was_mailed) == ("ada@example.org", True)
    sent = await bus.wait_for(BookingTicketsRequested, guest.is_mine)
    sealed = {"sealed_link": sent.sealed_link, "sealed_codes": sent.sealed_codes}
    assert dict(sent) == dict(before) | sealed | {"email": "right@example.org", "mailing_id": told.mailing_id}
    codes = [Cipher(LINK_KEY).decrypt(event.sealed_codes or "") for event in (before, sent)]
    assert codes[0] == codes[1]
    assert decrypted_key(sent)
    # The mail to the former address may fail days later.
    for kind, queued_at in (("confirmation", now() - timedelta(days=1)), ("email_changed", now())):
        await bus.publish(MailFailed(booking_id=guest.id, kind=kind, failed_at=now(), queued_at=queued_at))
    await bus.publish(MailFailed(booking_id=guest.id, kind="tickets_again", failed_at=now(), queued_at=now()))

    async def failed_again() -> bool:
        failed = (await guest.get_booking())["failed_mail"]
        assert failed in {None, "tickets_again"}
        return failed is not None

    await until(failed_again)
    again = (await correct(guest, "right@example.org")).json()
    assert len(again["mailings"]) == 1, "the same address again changes nothing"


async def test_who_may_correct_an_address(guest: Customer, customer: Customer, state: Any, staff: Any):
    await guest.buy_tickets()
    await customer.buy_tickets()
    for each in (guest, customer):
        link = {"X-Booking-Key": state.signer.link_key(each.id, now() + timedelta(days=1))}
        assert problem(await correct(each, "a@example.org", {})) == (401, "unauthenticated")
        assert problem(await correct(each, "a@example.org", {"X-Booking-Key": "rubbish"})) == (404, "booking_link_void")
        assert problem(await correct(each, "a@example.org", {"X-Hold-Secret": new_secret()})) == (
            404,
            "booking_unknown",
        )
        assert problem(await correct(each, "a@example.org", staff("bookings:read"))) == (403, "forbidden")
        elsewhere = staff("bookings:write", theaters=["t2"])
        assert problem(await correct(each, "a@example.org", elsewhere)) == (404, "booking_unknown")
        assert (await send(each, link)).status_code == 200
        assert (await correct(each, "staff@example.org", staff("bookings:write", theaters=["t1"]))).status_code == 200
        by_link = await correct(each, "link@example.org", link)
        if each is guest:
            assert by_link.json()["email"] == "link@example.org"
        else:
            assert problem(by_link) == (403, "sign_in_to_change")
    stored = (await store.find(guest.id)).mailings  # pyright: ignore[reportOptionalMemberAccess]
    assert [(each.by, each.staff_id) for each in stored] == [("link", None), ("staff", "staff-1"), ("link", None)]


@pytest.mark.parametrize(
    "email", ["ada", "käthe@example.org", "a@b\nBcc: c@d.example", {"$ne": ""}, f"{'a' * 300}@x.example", None]
)
async def test_an_address_that_cannot_be_mailed_is_refused(guest: Customer, email: Any):
    answer = await guest.client.put(f"/api/bookings/{guest.id}/email", json={"email": email}, headers=guest.headers)
    assert problem(answer) == (422, "invalid_request")


async def test_tickets_are_sent_again_but_not_all_the_time(guest: Customer, bus: Any, staff: Any):
    assert problem(await send(guest)) == (404, "booking_unknown")
    await guest.place_order()
    assert problem(await send(guest)) == (409, "no_tickets")
    await bus.publish(guest.sold())
    await guest.wait_for_state("confirmed")
    answers = await asyncio.gather(*(send(guest) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert problem(refused) == (429, "mailed_recently")
    assert 0 < refused.json()["retry_after"] <= 120
    await bus.wait_for(BookingTicketsRequested, guest.is_mine)
    assert len({event.mailing_id for event in bus.events(BookingTicketsRequested, guest.is_mine)}) == 1
    past = {"kind": "tickets_sent", "by": "customer", "at": now() - timedelta(hours=1), "id": "m"}
    await raw_bookings().update_one({"_id": guest.id}, {"$set": {"mailings": [past] * 10}})
    for limited in (await send(guest), await correct(guest, "b@example.org")):
        assert problem(limited) == (429, "mailed_recently")
    assert (await send(guest, staff("bookings:write"))).status_code == 200


async def test_an_ended_bookings_address_stays(guest: Customer):
    await guest.place_order()
    await raw_bookings().update_one(
        {"_id": guest.id}, {"$set": {"state": "expired", "due_at": None}, "$inc": {"version": 1}}
    )
    assert problem(await correct(guest, "b@example.org")) == (409, "address_fixed")


# ---- all upcoming bookings of an address


async def test_an_address_alone_requests_links_to_its_upcoming_bookings(guest: Customer, customer: Customer, bus: Any):
    email = f"{guest.id}@example.org"
    for each, starts_in in ((guest, 5), (customer, 3)):
        await each.add_showtime(now() + timedelta(hours=starts_in))
        await each.check_out(email=email)
        await bus.publish(each.sold())
        await each.wait_for_state("confirmed")
    past, unpaid = (copy(guest) for _ in range(2))
    for each in (past, unpaid):
        each.new_hold()
        assert (await each.check_out(email=email)).status_code == 201
    over = {"state": "confirmed", "screening.ends_at": now() - timedelta(minutes=1), "due_at": None}
    await raw_bookings().update_one({"_id": past.id}, {"$set": over})

    async def ask(address: str) -> httpx.Response:
        return await guest.client.post("/api/bookings/lookup", json={"email": address})

    answers = [
        await ask(email.upper()),
        await ask(email),
        await ask(f"no-{email}"),
        await look_up(guest.client, "CDFGHJKM"),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}

    def is_ours(event: BookingLinksRequested) -> bool:
        return event.email == email

    request = await bus.wait_for(BookingLinksRequested, is_ours)
    assert [each.booking_id for each in request.bookings] == [customer.id, guest.id], "the next one first"
    assert request.user_id == customer.holder.user_id
    for each, linked in zip((customer, guest), request.bookings, strict=True):
        opened = await each.client.get(f"/api/bookings/{each.id}", headers={"X-Booking-Key": decrypted_key(linked)})
        assert opened.json()["reference"] == linked.reference
    assert len({event.request_id for event in bus.events(BookingLinksRequested, is_ours)}) == 1
    plan = (
        await raw_bookings()
        .find({"email": {"$eq": email, "$type": "string"}, "state": "confirmed", "screening.ends_at": {"$gt": now()}})
        .sort("_id", -1)
        .explain()
    )
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])


# ---- one code for the party


async def test_one_code_stands_for_the_party(guest: Customer, client: httpx.AsyncClient, bus: Any):
    placed = await guest.place_order()
    assert placed["party_qr"] is None
    await bus.publish(guest.sold())
    booking = await guest.wait_for_state("confirmed")
    [key] = [
        each
        for each in (await client.get("/api/tickets/keys")).json()["keys"]
        if each["kid"] == jwt.get_unverified_header(booking["party_qr"])["kid"]
    ]
    claims = jwt.decode(booking["party_qr"], jwt.PyJWK(key), algorithms=["EdDSA"])
    assert claims.pop("exp") > now().timestamp()
    assert claims == {"bid": guest.id, "ref": booking["reference"], "sid": guest.showtime_id}
    as_link = await client.get(f"/api/bookings/{guest.id}", headers={"X-Booking-Key": booking["party_qr"]})
    assert problem(as_link) == (404, "booking_link_void")
    ended = {"$set": {"state": "refunding"}, "$inc": {"version": 1}}
    await raw_bookings().update_one({"_id": guest.id}, ended)
    assert (await guest.get_booking())["party_qr"] is None


async def test_only_valid_tickets_are_mailed_again_and_in_the_code(guest: Customer, bus: Any):
    await guest.buy_tickets()
    assert (await guest.get_booking())["party_qr"] is not None
    assert (await cancel(guest, await quote(guest, "F7"))).status_code == 200
    assert (await guest.get_booking())["party_qr"] is None, "one ticket is left"
    assert (await send(guest)).status_code == 200
    sent = await bus.wait_for(BookingTicketsRequested, guest.is_mine)
    assert [ticket.seat.seat_id for ticket in sent.tickets] == ["F8"]


def test_an_owner_who_is_erased_is_not_announced():
    booking = examples.in_state(State.CONFIRMED, holder=Holder(user_id="erased-b1"), was_guests=True)
    assert booking
    assert saga.adoption(booking)
    assert not saga.adoption(booking.model_copy(update={"email": None}))
