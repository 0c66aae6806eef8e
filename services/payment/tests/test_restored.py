"""Lost accounts are restored from the metadata of their PaymentIntents."""

from collections.abc import Callable
from typing import Any

import pytest
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.types import Holder

from .conftest import PRICE, WEBHOOK, Checkout, event, run_due, signed, stored

pytestmark = pytest.mark.usefixtures("client")


async def lose(checkout: Checkout) -> None:
    """The account is gone, as after a backup has been restored; its intent is not."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment
    from payment.store import Payment  # noqa: PLC0415

    await Payment.collection().delete_one({"_id": checkout.id})
    store.recent.forget(checkout.id)


async def test_money_restores_its_account(checkout: Checkout):
    await checkout.offered()
    await lose(checkout)
    await checkout.confirm()
    view = await checkout.comes_to(state="succeeded", captured=PRICE)
    assert (view["reference"], view["amount"], view["currency"], view["email"]) == ("USHER1", PRICE, "EUR", "")
    assert view["payment_deadline_at"] == checkout.deadline.isoformat().replace("+00:00", "Z")
    assert [line["kind"] for line in view["ledger"]] == ["captured"]
    (said,) = await checkout.hears(PaymentSucceeded)
    assert (said.showtime_id, said.seats, said.user_id) == ("s1", ["F7", "F8"], None)
    assert (await checkout.ask_intent()).json()["code"] == "already_paid"


async def test_the_account_of_a_person_is_theirs_again(checkout: Checkout):
    checkout.changes = {"holder": Holder(user_id="user-9")}
    headers = checkout.signer.headers("user-9")
    await checkout.ask_intent(headers)
    await lose(checkout)
    await checkout.confirm()
    (said,) = await checkout.hears(PaymentSucceeded)
    assert said.user_id == "user-9"
    own = await checkout.client.get(f"/api/payments/{checkout.id}", headers=headers)
    assert own.json()["captured"] == PRICE


async def test_one_webhook_restores_the_account_once(checkout: Checkout):
    await checkout.fault("webhook_repeat", times=5, count=None)
    await checkout.offered()
    await lose(checkout)
    await checkout.confirm()
    view = await checkout.comes_to(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.hears(PaymentSucceeded)) == 1


async def test_a_decline_restores_the_account_and_the_customer_goes_on(checkout: Checkout):
    await checkout.offered()
    first = checkout.intent_id
    await lose(checkout)
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.hears(PaymentFailed)
    await checkout.offered()
    assert checkout.intent_id == first
    assert (await checkout.view())["email"] == "guest@usher.example", "the order has it, the intent has not"
    await checkout.paid()


async def test_the_next_order_makes_a_lost_account_again(checkout: Checkout):
    await checkout.offered()
    first = checkout.intent_id
    await lose(checkout)
    await checkout.fault("webhook_drop", count=None)
    await checkout.confirm()
    await checkout.offered()
    assert checkout.intent_id == first
    await run_due(checkout.id)
    await checkout.comes_to(state="succeeded", captured=PRICE)


async def test_a_refund_restores_the_account_with_its_money(checkout: Checkout):
    await checkout.fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    await checkout.offered()
    await checkout.confirm()
    await lose(checkout)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 700})
    view = await checkout.comes_to(state="succeeded", captured=PRICE, refunded=700)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded"]
    assert len(await checkout.hears(PaymentRefunded)) == 1


async def test_a_tombstone_that_meets_money_learns_what_was_ordered(checkout: Checkout):
    await checkout.offered()
    await lose(checkout)
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    await checkout.confirm()
    (said,) = await checkout.hears(PaymentSucceeded)
    assert (said.showtime_id, said.seats, said.amount, said.currency) == ("s1", ["F7", "F8"], PRICE, "EUR")
    view = await checkout.comes_to(state="succeeded", amount=PRICE, captured=PRICE, reference="USHER1")
    assert len(view["ledger"]) == 1
    await checkout.give_back(PRICE, f"{checkout.id}-refund")
    await checkout.hears(PaymentRefunded)


async def test_a_tombstone_whose_money_left_by_hand_knows_both(checkout: Checkout):
    await checkout.fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    await checkout.offered()
    await lose(checkout)
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    await checkout.confirm()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    await checkout.comes_to(state="succeeded", captured=PRICE, refunded=PRICE)


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
async def test_an_intent_that_says_too_little_restores_nothing(
    checkout: Checkout, new_checkout: Callable[[], Checkout], name: str
):
    await checkout.offered()
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
    assert await lost.view() == {}
