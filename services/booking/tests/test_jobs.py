"""Periodic work: deadlines, repeated requests, gauges, and replicas that do the same work."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from booking import migrations, store
from booking.jobs import clear_measurements, measure, pass_deadlines
from booking.signing import SigningKey, new_pem
from booking.store import load_key, public_keys
from chassis.clock import now
from chassis.security.secrets import CannotDecrypt, Cipher
from chassis.testing import until
from contracts.booking import BookingExpired, BookingPaid, BookingRefundFailed, PaymentCancelRequested, RefundRequested
from contracts.inventory import SaleRejected
from contracts.payment import PaymentCancelled, PaymentRefundFailed
from prometheus_client import REGISTRY
from pymongo.asynchronous.collection import AsyncCollection

from .conftest import raw_bookings
from .examples import TOTAL

CIPHER = Cipher("a key of the tests")


async def make_due(customer: Any) -> None:
    """Make the booking due now."""
    due = {"due_at": now() - timedelta(seconds=1)}
    assert (await raw_bookings().update_one({"_id": customer.id}, {"$set": due})).matched_count


async def test_a_payment_is_cancelled_after_its_deadline(customer, bus, state):
    await customer.place_order()
    await make_due(customer)
    await asyncio.gather(*(pass_deadlines(state.manager) for _ in range(4)))
    assert (await bus.wait_for(PaymentCancelRequested, customer.is_mine)).reason == "deadline"
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("expired")
    await bus.wait_for(BookingExpired, customer.is_mine)
    assert len(bus.events(PaymentCancelRequested, customer.is_mine)) == 1, "concurrent replicas publish one request"


async def test_an_unanswered_request_is_repeated_unchanged(customer, bus, state):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    await customer.check_out(tickets=free)
    await bus.wait_for(BookingPaid, customer.is_mine)
    await make_due(customer)
    await pass_deadlines(state.manager)

    async def asked(kind: Any) -> bool:
        return len(bus.events(kind, customer.is_mine)) == 2

    await until(lambda: asked(BookingPaid))
    customer.new_hold()
    await customer.place_order()
    await bus.publish(SaleRejected(hold_id=customer.id, showtime_id=customer.showtime_id, lost=["F7"]))
    await bus.wait_for(RefundRequested, customer.is_mine)
    await make_due(customer)
    await pass_deadlines(state.manager)
    await pass_deadlines(state.manager)
    await until(lambda: asked(RefundRequested))
    first, again = bus.events(RefundRequested, customer.is_mine)
    assert first == again


async def test_a_broken_booking_does_not_delay_the_others(customer, bus, state):
    broken = {"_id": f"broken-{customer.id}", "state": "held", "due_at": now() - timedelta(days=1), "version": 1}
    await raw_bookings().insert_one(broken)
    try:
        await customer.place_order()
        await make_due(customer)
        await pass_deadlines(state.manager)
        await bus.wait_for(PaymentCancelRequested, customer.is_mine)
    finally:
        await raw_bookings().delete_one({"_id": broken["_id"]})


async def test_replicas_that_start_together_sign_with_one_key(own_key):
    loaded = await asyncio.gather(*(load_key("", CIPHER) for _ in range(8)))
    assert len({key.kid for key in loaded}) == 1
    assert loaded[0].jwk in await public_keys()


async def test_a_key_from_the_settings_is_used_and_the_old_one_stays_published(own_key):
    old = await load_key("", CIPHER)
    pem = new_pem()
    new = await load_key(pem, CIPHER)
    assert new.jwk == SigningKey(pem).jwk
    keys = await public_keys()
    assert old.jwk in keys
    assert new.jwk in keys
    stored = await store.TicketKey.get_pymongo_collection().find_one({"_id": new.kid})
    assert stored is not None
    assert "PRIVATE KEY" not in str(stored), "a private key from the settings is not stored"
    assert stored["sealed_pem"] is None


@pytest.fixture
async def own_key(client) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    """The collection of the keys, without the generated key of the running service."""
    keys = store.TicketKey.get_pymongo_collection()
    of_the_app = await keys.find_one_and_delete({"_id": "own"})
    assert of_the_app
    yield keys
    await keys.replace_one({"_id": "own"}, of_the_app, upsert=True)


async def test_the_generated_key_is_stored_encrypted_and_its_cipher_can_be_rotated(own_key):
    made = await load_key("", CIPHER)
    assert "PRIVATE KEY" not in str(await own_key.find_one({"_id": "own"}))
    with pytest.raises(CannotDecrypt):
        await load_key("", Cipher("another"))
    assert (await load_key("", Cipher("another, a key of the tests"))).kid == made.kid
    assert (await load_key("", Cipher("another"))).kid == made.kid


async def test_the_clear_key_of_the_previous_version_is_encrypted_then_removed(own_key):
    pem = new_pem()
    await own_key.insert_one({"_id": "own", "jwk": SigningKey(pem).jwk, "pem": pem})
    assert await migrations.remove_clear_ticket_key(own_key.database) == 0
    assert {key.kid for key in await asyncio.gather(*(load_key("", CIPHER) for _ in range(4)))} == {SigningKey(pem).kid}
    assert (await own_key.find_one({"_id": "own"}))["pem"] == pem, "the previous version still reads it"
    assert await migrations.remove_clear_ticket_key(own_key.database) == 1
    assert "PRIVATE KEY" not in str(await own_key.find_one({"_id": "own"}))
    assert (await load_key("", CIPHER)).kid == SigningKey(pem).kid


async def test_open_sagas_are_measured_by_state_and_age(customer):
    await measure()
    before = REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"})
    await customer.place_order()
    an_hour_ago = {"$set": {"history.$[].at": now() - timedelta(hours=1)}}
    await raw_bookings().update_one({"_id": customer.id}, an_hour_ago)
    await measure()
    assert REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"}) == (before or 0) + 1
    age = REGISTRY.get_sample_value("usher_booking_oldest_saga_seconds", {"state": "awaiting_payment"})
    assert age and 3600 <= age < 3700
    clear_measurements()
    assert REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"}) is None


async def test_refunds_of_a_part_are_listed_for_staff_and_measured(customer, bus, staff):
    """The booking stays confirmed, so no open saga shows them."""

    def measured(name: str, state: str) -> float:
        return REGISTRY.get_sample_value(f"usher_booking_{name}", {"state": state}) or 0

    async def listed(state: str, *theaters: str) -> list[Any]:
        found, cursor, headers = list[Any](), {}, staff("bookings:refund", theaters=theaters)
        while True:
            params = {"state": state, "limit": 1} | cursor
            answer = await customer.client.get("/api/bookings/refunds", headers=headers, params=params)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if not (after := answer.json()["next_cursor"]):
                return [each for each in found if each["booking_id"] == customer.id]
            cursor = {"cursor": after}

    await customer.buy_tickets()
    path = f"/api/bookings/{customer.id}"
    body = {"ticket_ids": [f"{customer.id}-F7"]}
    quoted = await customer.client.post(f"{path}/cancellation-quote", json=body, headers=customer.headers)
    body = {"quote_id": quoted.json()["quote_id"]}
    refund = (await customer.client.post(f"{path}/cancel", json=body, headers=customer.headers)).json()["refunds"][0]
    two_hours_ago = {"$set": {"refunds.0.at": now() - timedelta(hours=2)}}
    await raw_bookings().update_one({"_id": customer.id}, two_hours_ago)
    await measure()
    before = measured("unsettled_refunds", "failed")
    assert measured("unsettled_refunds", "requested") >= 1
    assert measured("oldest_refund_seconds", "requested") >= 7200
    (shown,) = await listed("requested", "t1")
    assert [each["amount"] for each in shown["refunds"]] == [1250]
    assert (await listed("requested", "t2"), await listed("failed")) == ([], [])
    assert (await customer.client.get("/api/bookings/refunds", headers=customer.headers)).status_code == 403

    facts = {"booking_id": customer.id, "refund_id": refund["refund_id"], "amount": 1250, "refunded": 0}
    await bus.publish(PaymentRefundFailed(**facts, captured=TOTAL, currency="EUR", requested=True))
    await bus.wait_for(BookingRefundFailed, customer.is_mine)
    (shown,) = await listed("failed", "t1")
    assert [each["state"] for each in shown["refunds"]] == ["failed"]
    await measure()
    assert measured("unsettled_refunds", "failed") >= before + 1
    retry = f"{path}/refunds/{refund['refund_id']}/retry"
    manager = staff("bookings:read", "bookings:refund")
    assert (await customer.client.post(retry, headers=manager)).status_code == 200
    assert await listed("failed") == []
    clear_measurements()
    assert REGISTRY.get_sample_value("usher_booking_unsettled_refunds", {"state": "failed"}) is None


async def test_the_time_in_a_state_is_measured_at_its_end(customer):
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"usher_booking_{name}_seconds_count", labels) or 0

    before = count("state", state="awaiting_payment")
    await customer.buy_tickets()
    assert count("state", state="awaiting_payment") == before + 1
