"""Bookings stored by the release before 2026-12: `held` ones are removed, the others continue."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from booking import migrations, store
from chassis.clock import now
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRefunded,
    PaymentCancelRequested,
    RefundRequested,
)
from contracts.payment import PaymentCancelled, PaymentRefunded

from .conftest import ORDERS, Customer, raw_bookings
from .examples import TOTAL, screening


def old_document(customer: Customer, state: str, **changes: Any) -> dict[str, Any]:
    """A booking in this state as the old release stored it."""
    opened_at = now() - timedelta(minutes=2)
    seats = [seat.model_dump() for seat in customer.hold.seats]
    amounts = dict(zip(("F7", "F8"), (1250, 1800), strict=True))
    shown = screening(now() + timedelta(hours=3), customer.showtime_id).model_dump()
    passages = [("held", "inventory.seats_held.v1"), ("awaiting_payment", "Checkout"), (state, "something")]
    return {
        "_id": customer.id,
        "version": 3,
        "outbox": [],
        "state": state,
        "holder": customer.holder.model_dump(),
        "showtime_id": customer.showtime_id,
        "seats": seats,
        "revision": 2,
        "opened_at": opened_at,
        "expires_at": opened_at + timedelta(minutes=8),
        "due_at": now() + timedelta(minutes=10),
        "lines": [{"seat": seat, "ticket_type": "adult", "amount": amounts[seat["seat_id"]]} for seat in seats],
        "amount": TOTAL,
        "currency": "EUR",
        "email": "ada@example.org",
        "name": "Ada",
        "locale": "en",
        "reference": store.new_reference(),
        "screening": shown,
        "payment_deadline_at": now() + timedelta(minutes=10),
        "moves": 0,
        "replaces": None,
        "payment_failure": None,
        "ending": None,
        "refund_amount": None,
        "refunded_amount": 0,
        "tickets": [],
        "history": [{"state": passed, "event": event, "at": opened_at} for passed, event in passages],
    } | changes


def held_document(customer: Customer) -> dict[str, Any]:
    nothing = ("amount", "currency", "email", "name", "reference", "screening", "payment_deadline_at")
    document = old_document(customer, "held", lines=[], due_at=customer.hold.expires_at + timedelta(seconds=30))
    return document | dict.fromkeys(nothing) | {"history": document["history"][:1]}


async def stored(document: dict[str, Any]) -> None:
    await raw_bookings().insert_one(document)


async def test_held_bookings_are_removed_and_checked_out_with_their_claims(customer, guest):
    await customer.add_showtime()
    await stored(held_document(customer))
    await stored(old_document(guest, "awaiting_payment"))

    for removed in (1, 0):
        assert await migrations.remove_held_bookings(raw_bookings().database) == removed
    assert await store.find(customer.id) is None
    assert await store.find(guest.id) is not None
    assert (await customer.check_out()).json()["state"] == "awaiting_payment"


async def test_an_old_booking_is_paid_and_confirmed(customer, bus):
    await stored(old_document(customer, "awaiting_payment"))
    booking = await customer.get_booking()
    assert booking["history"][0]["state"] == "held"
    assert ORDERS.read(booking["order"]).amount == TOTAL
    await bus.publish(customer.sold())
    confirmed = await bus.wait_for(BookingConfirmed, customer.is_mine)
    assert [ticket.amount for ticket in confirmed.tickets] == [1250, 1800]
    listed = (await customer.client.get("/api/bookings", headers=customer.headers)).json()["items"]
    assert [each["id"] for each in listed] == [customer.id]


async def test_an_old_booking_is_closed_after_its_deadline(customer, bus):
    await stored(old_document(customer, "awaiting_payment", due_at=now()))
    assert (await bus.wait_for(PaymentCancelRequested, customer.is_mine)).reason == "deadline"
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("expired")


@pytest.mark.parametrize("sale", [{}, {"amount": 0, "currency": None}, {"amount": None, "currency": None}])
async def test_an_old_booking_that_was_paid_is_confirmed(customer, bus, sale):
    await stored(old_document(customer, "confirming"))
    await bus.publish(customer.sold(**sale))
    assert (await bus.wait_for(BookingConfirmed, customer.is_mine)).amount == TOTAL


async def test_an_old_closing_booking_ends(customer, bus):
    await stored(old_document(customer, "closing", ending="by_customer"))
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).reason == "by_customer"


async def test_an_old_refund_continues(customer, bus):
    await stored(old_document(customer, "refunding", ending="seats_lost", refund_amount=TOTAL, due_at=now()))
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    facts = {"booking_id": customer.id, "refund_id": request.refund_id, "requested": True, "currency": "EUR"}
    await bus.publish(PaymentRefunded(**facts, amount=TOTAL, refunded=TOTAL, captured=TOTAL))
    assert (await bus.wait_for(BookingRefunded, customer.is_mine)).amount == TOTAL


async def test_old_tickets_stay_valid(customer, client, state):
    """The texts of old tickets contain the time of issue."""
    claims = {"tid": f"{customer.id}-F7", "ref": "CDFGHJKM", "sid": customer.showtime_id, "seat": "F7"}
    expires_at = int(now().timestamp()) + 3600
    text = state.signer.sign(claims | {"iat": int(now().timestamp()), "exp": expires_at})
    document = old_document(customer, "confirmed", due_at=None)
    line = document["lines"][0]
    ticket = {"ticket_id": claims["tid"], "seat": line["seat"], "ticket_type": "adult", "amount": 1250, "qr": text}
    await stored(document | {"tickets": [ticket]})
    shown = await client.get(f"/api/tickets/{claims['tid']}", headers=customer.headers)
    assert shown.json()["ticket"]["qr"] == text
    keys = jwt.PyJWKSet.from_dict((await client.get("/api/tickets/keys")).json())
    key = keys[jwt.get_unverified_header(text)["kid"]].key
    assert jwt.decode(text, key, algorithms=["EdDSA"])["tid"] == claims["tid"]

    for removed in (1, 0):
        assert await migrations.remove_ticket_codes(raw_bookings().database) == removed
    assert text.split(".")[1] not in str(await raw_bookings().find_one({"_id": customer.id}))
    shown = await client.get(f"/api/tickets/{claims['tid']}", headers=customer.headers)
    signed = jwt.decode(shown.json()["ticket"]["qr"], key, algorithms=["EdDSA"])
    assert signed == claims | {"ref": document["reference"], "exp": expires_at}
