"""Time in: lost webhooks are healed by asking Stripe, by one replica or by several at once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded

from .conftest import PRICE, Checkout, run_due

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


async def next_check(checkout: Checkout) -> Any:
    from payment.store import Payment  # noqa: PLC0415 - its settings come from the environment

    payment = await Payment.get(checkout.id)
    assert payment is not None
    return payment.next_check_at


async def test_a_lost_webhook_is_healed(checkout: Checkout):
    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm()
    await run_due(checkout.id)
    await checkout.comes_to(state="succeeded", captured=PRICE)
    assert len(await checkout.hears(PaymentSucceeded)) == 1
    assert await next_check(checkout) is None


async def test_the_job_comes_round_by_itself(checkout: Checkout):
    from payment.store import Payment  # noqa: PLC0415 - its settings come from the environment

    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm()
    past = {"$set": {"next_check_at": now() - timedelta(seconds=1)}}
    await Payment.collection().update_one({"_id": checkout.id}, past)
    await checkout.hears(PaymentSucceeded)


async def test_several_replicas_heal_it_once(checkout: Checkout):
    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm()
    await asyncio.gather(*(run_due(checkout.id) for _ in range(6)))
    view = await checkout.comes_to(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.hears(PaymentSucceeded)) == 1


async def test_a_lost_decline_and_a_lost_cancellation_are_healed(checkout: Checkout):
    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await run_due(checkout.id)
    await run_due(checkout.id)
    assert len(await checkout.hears(PaymentFailed)) == 1
    await checkout.stripe.post(f"/v1/payment_intents/{checkout.intent_id}/cancel")
    await run_due(checkout.id)
    await checkout.hears(PaymentCancelled)


async def test_silence_is_asked_about_less_and_less_often(checkout: Checkout):
    await checkout.offered()
    waits = []
    for _ in range(4):
        await run_due(checkout.id)
        waits.append(round((await next_check(checkout) - now()).total_seconds()))
    assert waits == [40, 80, 160, 320]


async def test_a_payment_that_is_processing_at_the_deadline(checkout: Checkout):
    """It can be neither cancelled nor counted on: the wish stays, and the outcome is taken as it comes."""
    await checkout.fault("webhook_drop", count=None)
    await checkout.fault("processing", seconds=1.5)
    await checkout.offered()
    assert (await checkout.confirm()).json()["status"] == "processing"
    await checkout.cancel()
    await asyncio.sleep(1.7)
    await run_due(checkout.id)

    async def outcome() -> str:
        return (await checkout.view())["state"]

    status = (await checkout.at_stripe())["status"]
    assert (await outcome(), status) in {("succeeded", "succeeded"), ("cancelled", "canceled")}


async def test_a_pending_refund_is_asked_about(checkout: Checkout):
    await checkout.paid("pm_card_pendingRefund")
    await checkout.fault("webhook_drop", count=None)
    await checkout.refund_by_staff()
    await asyncio.sleep(0.5)
    await run_due(checkout.id)
    await checkout.comes_to(refunded=PRICE, refunding=0)
    assert len(await checkout.hears(PaymentRefunded)) == 1
    await run_due(checkout.id)
    assert await next_check(checkout) is None


async def test_one_bad_payment_does_not_keep_the_others(checkout: Checkout, new_checkout: NewCheckout):
    from payment.store import Payment  # noqa: PLC0415 - its settings come from the environment

    lost = new_checkout()
    await lost.offered()
    broken = {"intent_id": "pi_gone", "next_check_at": now() - timedelta(hours=1)}
    await Payment.collection().update_one({"_id": lost.id}, {"$set": broken})
    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm()
    await run_due(checkout.id)
    await checkout.comes_to(state="succeeded")
    assert (await lost.view())["state"] == "intent_created"


async def test_the_service_does_not_start_without_keys(client: httpx.AsyncClient):
    from payment import settings, stripe  # noqa: PLC0415 - its settings come from the environment

    with pytest.raises(ValueError, match="STRIPE_SECRET_KEY"):
        async with stripe.connected(settings.get().model_copy(update={"stripe_secret_key": ""})):
            pass
    assert (await client.get("/readyz")).status_code == 200
