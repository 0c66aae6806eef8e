"""Restoring lost accounts from the metadata of their PaymentIntents."""

from collections.abc import Callable
from typing import Any

import pytest
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.types import Holder

from .conftest import PRICE, WEBHOOK, Checkout, event, reconcile_now, signed, stored, stored_accounts

pytestmark = pytest.mark.usefixtures("client")


async def lose(checkout: Checkout) -> None:
    """Delete the account but not its intent, as after restoring a backup."""
    await stored_accounts().delete_one({"_id": checkout.id})


async def test_money_restores_its_account(checkout: Checkout):
    await checkout.with_intent()
    await lose(checkout)
    await checkout.confirm()
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert (view["reference"], view["amount"], view["currency"], view["email"]) == ("USHER1", PRICE, "EUR", "")
    assert view["payment_deadline_at"] == checkout.deadline.isoformat().replace("+00:00", "Z")
    assert [line["kind"] for line in view["ledger"]] == ["captured"]
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.showtime_id, published.seats, published.user_id) == ("s1", ["F7", "F8"], None)
    assert (await checkout.create_intent()).json()["code"] == "already_paid"


async def test_a_restored_account_belongs_to_its_user(checkout: Checkout):
    checkout.changes = {"holder": Holder(user_id="user-9")}
    headers = checkout.signer.headers("user-9")
    await checkout.create_intent(headers)
    await lose(checkout)
    await checkout.confirm()
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert published.user_id == "user-9"
    own = await checkout.client.get(f"/api/payments/{checkout.id}", headers=headers)
    assert own.json()["captured"] == PRICE


async def test_one_webhook_restores_the_account_once(checkout: Checkout):
    await checkout.add_fault("webhook_repeat", times=5, count=None)
    await checkout.with_intent()
    await lose(checkout)
    await checkout.confirm()
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1


async def test_a_decline_restores_the_account_and_the_customer_can_continue(checkout: Checkout):
    await checkout.with_intent()
    first = checkout.intent_id
    await lose(checkout)
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.wait_for_events(PaymentFailed)
    await checkout.with_intent()
    assert checkout.intent_id == first
    assert (await checkout.payment())["email"] == "guest@usher.example", "the order contains it, the intent does not"
    await checkout.paid()


async def test_the_next_order_creates_a_lost_account_again(checkout: Checkout):
    await checkout.with_intent()
    first = checkout.intent_id
    await lose(checkout)
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.confirm()
    await checkout.with_intent()
    assert checkout.intent_id == first
    await reconcile_now(checkout.id)
    await checkout.wait_until(state="succeeded", captured=PRICE)


async def test_a_refund_restores_the_account_with_its_money(checkout: Checkout):
    await checkout.add_fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    await checkout.with_intent()
    await checkout.confirm()
    await lose(checkout)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 700})
    view = await checkout.wait_until(state="succeeded", captured=PRICE, refunded=700)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded"]
    assert len(await checkout.wait_for_events(PaymentRefunded)) == 1


async def test_a_payment_fills_in_the_order_of_a_tombstone(checkout: Checkout):
    await checkout.with_intent()
    await lose(checkout)
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    await checkout.confirm()
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.showtime_id, published.seats, published.amount, published.currency) == (
        "s1",
        ["F7", "F8"],
        PRICE,
        "EUR",
    )
    view = await checkout.wait_until(state="succeeded", amount=PRICE, captured=PRICE, reference="USHER1")
    assert len(view["ledger"]) == 1
    await checkout.request_refund(PRICE, f"{checkout.id}-refund")
    await checkout.wait_for_events(PaymentRefunded)


async def test_a_tombstone_records_a_payment_and_its_refund_at_stripe(checkout: Checkout):
    await checkout.add_fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    await checkout.with_intent()
    await lose(checkout)
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    await checkout.confirm()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    await checkout.wait_until(state="succeeded", captured=PRICE, refunded=PRICE)


SPOILED: dict[str, dict[str, Any]] = {
    "a tombstone's": {"showtime_id": "", "seats": ""},
    "no seats": {"seats": ""},
    "no seat names": {"seats": "F7;F8"},
    "eleven seats": {"seats": ",".join(f"A{number}" for number in range(1, 12))},
    "no showtime": {"showtime_id": "$ne"},
    "nobody": {"secret_hash": None},
    "two holders": {"user_id": "u1"},
    "no time": {"payment_deadline_at": "soon"},
    "no zone": {"payment_deadline_at": "2026-12-01T20:00:00"},
    "no reference": {"reference": None},
}


@pytest.mark.parametrize("name", SPOILED)
async def test_an_intent_with_incomplete_metadata_restores_nothing(
    checkout: Checkout, new_checkout: Callable[[], Checkout], name: str
):
    await checkout.with_intent()
    intent = await checkout.at_stripe()
    lost = new_checkout()
    changed = intent["metadata"] | {"booking_id": lost.id} | SPOILED[name]
    metadata = {key: value for key, value in changed.items() if value is not None}
    paid = intent | {"status": "succeeded", "amount_received": PRICE, "metadata": metadata}
    sent = event("payment_intent.succeeded", paid)
    assert (await lost.client.post(WEBHOOK, **signed(sent))).status_code == 200
    kept = await stored(sent["id"])
    assert kept.next_try_at is not None
    assert "UnknownBooking" in kept.last_error
    assert await lost.payment() == {}
