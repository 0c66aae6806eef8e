"""Consumed events: cancellations and refunds, in any order, and in a race with the customer's payment."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from contracts.booking import RefundRequested
from contracts.payment import PaymentCancelled, PaymentRefunded, PaymentSucceeded

from .conftest import GUEST, HOLD_SECRET, KEY, ORDERS, PRICE, Checkout, reconcile_now, stored_accounts

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


async def test_cancelled_before_any_intent(checkout: Checkout):
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    await checkout.cancel()
    answer = await checkout.create_intent()
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_closed")
    assert len(checkout.events(PaymentCancelled)) == 1


async def test_intent_and_cancellation_at_once_always_end_cancelled(new_checkout: NewCheckout):
    for _ in range(10):
        checkout = new_checkout()
        answer, _ = await asyncio.gather(checkout.create_intent(), checkout.cancel())
        assert answer.is_success or answer.json()["code"] == "payment_closed"
        await checkout.wait_for_events(PaymentCancelled)
        await checkout.wait_until(state="cancelled")
        assert {each["status"] for each in await checkout.intents_at_stripe()} <= {"canceled"}
        assert len(checkout.events(PaymentCancelled)) == 1


async def test_cancelled_with_an_intent(checkout: Checkout):
    await checkout.with_intent()
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    assert (await checkout.at_stripe())["status"] == "canceled"
    assert (await checkout.confirm()).status_code == 400
    assert (await checkout.payment())["state"] == "cancelled"


async def test_a_payment_before_the_cancellation_wins(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    await checkout.cancel()
    await checkout.wait_for_events(PaymentSucceeded)
    await checkout.wait_until(state="succeeded", captured=PRICE)
    assert checkout.events(PaymentCancelled) == []


def pause_intents(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> tuple[asyncio.Event, asyncio.Event]:
    """Pause the creation of intents, before or after Stripe has created them.

    Returns two events: the creation pauses; it may continue.
    """
    from payment.main import stripe  # noqa: PLC0415 - its settings come from the environment

    create, pauses, may_continue = stripe.create_intent, asyncio.Event(), asyncio.Event()

    async def paused(account: Any) -> Any:
        created = await create(account) if after else None
        pauses.set()
        await may_continue.wait()
        return created or await create(account)

    monkeypatch.setattr(stripe, "create_intent", paused)
    return pauses, may_continue


async def test_without_the_guard_a_cancelled_booking_can_be_paid(
    checkout: Checkout, unguard: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    """The race that the next test prevents: booking has released the seats, and the customer has the secret."""
    pauses, may_continue = pause_intents(monkeypatch, after=False)
    asking = asyncio.create_task(checkout.create_intent())
    await pauses.wait()
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    unguard()
    may_continue.set()
    assert (await asking).json()["client_secret"]
    assert [each["status"] for each in await checkout.intents_at_stripe()] == ["requires_payment_method"]


@pytest.mark.parametrize("after", [False, True], ids=["Stripe has not created it", "Stripe has created it"])
async def test_a_cancellation_while_the_intent_is_being_created(
    checkout: Checkout, after: bool, monkeypatch: pytest.MonkeyPatch
):
    """The secret of an intent is returned only after our write, and that write finds the tombstone."""
    pauses, may_continue = pause_intents(monkeypatch, after=after)
    asking = asyncio.create_task(checkout.create_intent())
    await pauses.wait()
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    may_continue.set()
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_closed")
    assert [each["status"] for each in await checkout.intents_at_stripe()] == ["canceled"]
    assert (await checkout.payment())["state"] == "cancelled"


async def test_paying_and_cancelling_at_once_ends_in_exactly_one(new_checkout: NewCheckout):
    checkouts = [new_checkout() for _ in range(12)]
    for checkout in checkouts:
        await checkout.with_intent()
    await asyncio.gather(*(each.confirm() for each in checkouts), *(each.cancel() for each in checkouts))
    for checkout in checkouts:

        async def decided(checkout: Checkout = checkout) -> str | None:
            state = (await checkout.payment())["state"]
            return state if state in {"succeeded", "cancelled"} else None

        state = await until(decided)
        status = (await checkout.at_stripe())["status"]
        assert (state, status) in {("succeeded", "succeeded"), ("cancelled", "canceled")}
        expected = PaymentSucceeded if state == "succeeded" else PaymentCancelled
        other = PaymentCancelled if state == "succeeded" else PaymentSucceeded
        assert len(await checkout.wait_for_events(expected)) == 1
        assert checkout.events(other) == []


async def test_a_cancellation_while_stripe_is_unavailable_happens_later(checkout: Checkout):
    await checkout.with_intent()
    fault = await checkout.add_fault("api_error", method="POST", count=None)
    await checkout.cancel()

    async def is_requested() -> bool:
        return (await checkout.create_intent()).status_code == 409

    await until(is_requested)
    assert checkout.events(PaymentCancelled) == []
    await checkout.remove_fault(fault)
    await reconcile_now(checkout.id)
    await checkout.wait_for_events(PaymentCancelled)
    assert (await checkout.at_stripe())["status"] == "canceled"


async def test_a_refund_is_sent_once(checkout: Checkout):
    await checkout.paid()
    refund_id = new_id()
    await asyncio.gather(*(checkout.request_refund(1000, refund_id) for _ in range(5)))
    (published,) = await checkout.wait_for_events(PaymentRefunded)
    assert published.model_dump(exclude={"currency"}) == {
        "booking_id": checkout.id,
        "refund_id": refund_id,
        "amount": 1000,
        "refunded": 1000,
        "captured": PRICE,
        "requested": True,
        "ledger_entries": 2,
        "tenders": None,
    }
    await checkout.request_refund(1000, refund_id)
    await checkout.request_refund(PRICE, new_id())
    refunds = await checkout.wait_for_events(PaymentRefunded, 2)
    assert [each.amount for each in refunds] == [1000, 1500], "the second is capped"
    await checkout.wait_until(refunded=PRICE, refunding=0)
    assert sorted(refund["amount"] for refund in await checkout.refunds_at_stripe()) == [1000, 1500]


async def test_a_refund_before_the_payment_waits_for_it(checkout: Checkout):
    refund_id = new_id()
    await checkout.request_refund(PRICE, refund_id)
    await checkout.paid()
    (published,) = await checkout.wait_for_events(PaymentRefunded)
    assert (published.refund_id, published.amount) == (refund_id, PRICE)


async def test_a_refund_after_a_partial_refund_by_hand(checkout: Checkout):
    """Stripe refuses our refund as too large. The rest is refunded, and booking gets its answer."""
    await checkout.paid()
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 2000})
    refund_id = new_id()
    await checkout.request_refund(PRICE, refund_id)
    refunds = await checkout.wait_for_events(PaymentRefunded, 2)
    assert {(each.amount, each.requested) for each in refunds} == {(2000, False), (500, True)}
    await checkout.wait_until(refunded=PRICE, refunding=0)


async def test_a_refund_after_a_full_refund_by_hand(checkout: Checkout):
    await checkout.paid()
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    await checkout.request_refund(PRICE, new_id())
    refunds = await checkout.wait_for_events(PaymentRefunded, 2)
    assert {(each.amount, each.requested) for each in refunds} == {(PRICE, False), (0, True)}


@pytest.mark.parametrize("after", [False, True], ids=["Stripe has not sent it", "Stripe has sent it"])
async def test_a_refund_whose_answer_is_lost_is_not_sent_twice(checkout: Checkout, after: bool):
    await checkout.paid()
    await checkout.add_fault("webhook_drop", count=None)
    fault = await checkout.add_fault("api_error", path="/v1/refunds", method="POST", after=after, count=None)
    refund_id = new_id()
    await checkout.request_refund(1000, refund_id)

    async def tried() -> bool:
        account = await stored_accounts().find_one({"_id": checkout.id})
        return account["refunds"].get(refund_id, {}).get("attempt") == 1

    await until(tried)
    await checkout.remove_fault(fault)
    await reconcile_now(checkout.id)
    await checkout.wait_until(refunded=1000, refunding=0)
    assert [refund["amount"] for refund in await checkout.refunds_at_stripe()] == [1000]
    assert len(await checkout.wait_for_events(PaymentRefunded)) == 1


async def test_invalid_events_are_dead_letters(checkout: Checkout, bus: Bus):
    await checkout.with_intent()
    odd = RefundRequested(booking_id=checkout.id, refund_id=new_id(), amount=5, currency="USD", reason="cancelled")
    await bus.publish(odd)
    await bus.publish_raw(RefundRequested.type, b"{")
    await bus.publish_raw(RefundRequested.type, odd.model_dump_json().replace(":5,", ':"much",'))
    letters = await bus.dead("payment", count=3)
    assert sorted(letter.reason.partition(":")[0] for letter in letters) == ["malformed"] * 2 + ["rejected"]
    assert (await checkout.payment())["refunds"] == []


async def test_no_secret_is_logged(
    checkout: Checkout, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    order = ORDERS.sign(checkout.order())
    for text in (order, order[:-1], order * 5):
        await checkout.client.post("/api/payments/create-intent", json={"order": text}, headers={})
        await checkout.client.post("/api/payments/create-intent", json={"order": text, "more": text}, headers=GUEST)
    await checkout.with_intent()
    secret = (await checkout.create_intent()).json()["client_secret"]
    await checkout.add_fault("api_error", count=2)
    await checkout.create_intent()
    await checkout.confirm()
    await checkout.wait_until(state="succeeded")
    await checkout.refund_by_staff()
    logged = capfd.readouterr().out + caplog.text
    assert "intent_offered" in logged
    assert "/api/payments/webhook" in logged
    for word in (order[-40:-1], order[:200], secret, KEY, "whsec_", "guest@usher.example", HOLD_SECRET):
        assert word not in logged
