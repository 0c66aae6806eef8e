"""Time in: deadlines, silent partners, and replicas that do the same work."""

import asyncio
from datetime import timedelta
from typing import Any

from booking import settings, store
from booking.jobs import measure, measure_nothing, pass_deadlines
from booking.settings import Settings
from booking.signing import Signer, new_pem
from booking.tickets import load_signer, public_keys
from chassis.clock import now
from chassis.testing import until
from contracts.booking import BookingExpired, BookingPaid, PaymentCancelRequested, RefundRequested
from contracts.inventory import SaleRejected
from contracts.payment import PaymentCancelled
from prometheus_client import REGISTRY


async def comes_due(customer: Any) -> None:
    """As if the booking's time had run out."""
    due = {"due_at": now() - timedelta(seconds=1)}
    assert (await store.Booking.collection().update_one({"_id": customer.id}, {"$set": due})).matched_count


async def test_a_payment_that_does_not_come_in_time_is_called_off(customer, bus):
    await customer.has_ordered()
    await comes_due(customer)
    await asyncio.gather(*(pass_deadlines() for _ in range(4)))
    assert (await bus.heard(PaymentCancelRequested, customer.mine)).reason == "deadline"
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await customer.sees("expired")
    await bus.heard(BookingExpired, customer.mine)
    assert len(bus.events(PaymentCancelRequested, customer.mine)) == 1, "replicas at the same time ask once"


async def test_a_silent_partner_is_asked_again_for_the_same(customer, bus):
    await customer.finds_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    await customer.checks_out(tickets=free)
    await bus.heard(BookingPaid, customer.mine)
    await comes_due(customer)
    await pass_deadlines()

    async def asked(kind: Any) -> bool:
        return len(bus.events(kind, customer.mine)) == 2

    await until(lambda: asked(BookingPaid))
    customer.holds()
    await customer.has_ordered()
    await bus.say(SaleRejected(hold_id=customer.id, showtime_id=customer.showtime_id, lost=["F7"]))
    await bus.heard(RefundRequested, customer.mine)
    await comes_due(customer)
    await pass_deadlines()
    await pass_deadlines()
    await until(lambda: asked(RefundRequested))
    first, again = bus.events(RefundRequested, customer.mine)
    assert first == again


async def test_one_broken_booking_does_not_keep_the_others_waiting(customer, bus):
    broken = {"_id": f"broken-{customer.id}", "state": "held", "due_at": now() - timedelta(days=1), "version": 1}
    await store.Booking.collection().insert_one(broken)
    try:
        await customer.has_ordered()
        await comes_due(customer)
        await pass_deadlines()
        await bus.heard(PaymentCancelRequested, customer.mine)
    finally:
        await store.Booking.collection().delete_one({"_id": broken["_id"]})


def signed_with(pem: str) -> Settings:
    return settings.get().model_copy(update={"ticket_signing_key": pem})


async def test_replicas_that_start_together_sign_with_one_key(client):
    keys = store.TicketKey.get_pymongo_collection()
    of_the_app = await keys.find_one_and_delete({"_id": "own"})
    assert of_the_app
    try:
        signers = await asyncio.gather(*(load_signer(signed_with("")) for _ in range(8)))
        assert len({signer.kid for signer in signers}) == 1
        assert signers[0].jwk in await public_keys()
    finally:
        await keys.replace_one({"_id": "own"}, of_the_app)


async def test_a_key_from_the_settings_is_used_and_the_old_one_stays_readable(client):
    old = await load_signer(signed_with(""))
    pem = new_pem()
    new = await load_signer(signed_with(pem))
    assert new.jwk == Signer(pem).jwk
    keys = await public_keys()
    assert old.jwk in keys
    assert new.jwk in keys
    stored = await store.TicketKey.get_pymongo_collection().find_one({"_id": new.kid})
    assert stored is not None
    assert stored["pem"] is None, "a key from outside is not kept"


async def test_what_is_under_way_is_measured_by_state_and_age(customer):
    await measure()
    before = REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"})
    await customer.has_ordered()
    an_hour_ago = {"$set": {"history.$[].at": now() - timedelta(hours=1)}}
    await store.Booking.collection().update_one({"_id": customer.id}, an_hour_ago)
    await measure()
    assert REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"}) == (before or 0) + 1
    age = REGISTRY.get_sample_value("usher_booking_oldest_saga_seconds", {"state": "awaiting_payment"})
    assert age and 3600 <= age < 3700
    measure_nothing()
    assert REGISTRY.get_sample_value("usher_booking_open_sagas", {"state": "awaiting_payment"}) is None


async def test_the_time_in_each_state_is_measured_when_it_is_left(customer):
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"usher_booking_{name}_seconds_count", labels) or 0

    before = count("state", state="awaiting_payment")
    await customer.has_tickets()
    assert count("state", state="awaiting_payment") == before + 1
