"""Periodic work: reconciliation makes up for lost webhooks, on one replica or on several at once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.testing import until
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded

from .conftest import PRICE, Checkout, reconcile_now, stored_accounts

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


async def next_check(checkout: Checkout) -> Any:
    return (await stored_accounts().find_one({"_id": checkout.id}))["next_check_at"]


async def test_reconciliation_recovers_a_lost_webhook(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    await reconcile_now(checkout.id)
    await checkout.wait_until(state="succeeded", captured=PRICE)
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1
    assert await next_check(checkout) is None


async def test_the_job_runs_periodically(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    past = {"$set": {"next_check_at": now() - timedelta(seconds=1)}}
    await stored_accounts().update_one({"_id": checkout.id}, past)
    await checkout.wait_for_events(PaymentSucceeded)


async def test_concurrent_reconciliation_applies_a_payment_once(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    await asyncio.gather(*(reconcile_now(checkout.id) for _ in range(6)))
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1


async def test_reconciliation_recovers_a_lost_decline_and_a_lost_cancellation(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await reconcile_now(checkout.id)
    await reconcile_now(checkout.id)
    assert len(await checkout.wait_for_events(PaymentFailed)) == 1
    await checkout.stripe.post(f"/v1/payment_intents/{checkout.intent_id}/cancel")
    await reconcile_now(checkout.id)
    await checkout.wait_for_events(PaymentCancelled)


async def test_checks_back_off_while_nothing_changes(checkout: Checkout):
    await checkout.with_intent()
    waits = []
    for _ in range(4):
        await reconcile_now(checkout.id)
        waits.append(round((await next_check(checkout) - now()).total_seconds()))
    assert waits == [40, 80, 160, 320]


async def test_a_payment_that_is_processing_at_the_deadline(checkout: Checkout):
    """It can be neither cancelled nor relied on: the cancellation stays requested until Stripe decides."""
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.add_fault("processing", seconds=1.5)
    await checkout.with_intent()
    assert (await checkout.confirm()).json()["status"] == "processing"
    await checkout.cancel()

    async def is_decided() -> bool:
        return (await checkout.at_stripe())["status"] != "processing"

    await until(is_decided)
    await reconcile_now(checkout.id)
    state, status = (await checkout.payment())["state"], (await checkout.at_stripe())["status"]
    assert (state, status) in {("succeeded", "succeeded"), ("cancelled", "canceled")}


async def test_reconciliation_checks_a_pending_refund(checkout: Checkout):
    await checkout.paid("pm_card_pendingRefund")
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.refund_by_staff()

    async def is_settled() -> bool:
        return [each["status"] for each in await checkout.refunds_at_stripe()] == ["succeeded"]

    await until(is_settled)
    await reconcile_now(checkout.id)
    await checkout.wait_until(refunded=PRICE, refunding=0)
    assert len(await checkout.wait_for_events(PaymentRefunded)) == 1
    await reconcile_now(checkout.id)
    assert await next_check(checkout) is None


async def test_one_failing_payment_does_not_stop_the_others(checkout: Checkout, new_checkout: NewCheckout):
    lost = new_checkout()
    await lost.with_intent()
    broken = {"intent_id": "pi_gone", "next_check_at": now() - timedelta(hours=1)}
    await stored_accounts().update_one({"_id": lost.id}, {"$set": broken})
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    await reconcile_now(checkout.id)
    await checkout.wait_until(state="succeeded")
    assert (await lost.payment())["state"] == "intent_created"


async def test_the_service_does_not_start_without_keys(client: httpx.AsyncClient):
    from payment import settings, stripe  # noqa: PLC0415 - its settings come from the environment

    with pytest.raises(ValueError, match="STRIPE_SECRET_KEY"):
        async with stripe.Stripe().opened(settings.get().model_copy(update={"stripe_secret_key": ""})):
            pass
    assert (await client.get("/readyz")).status_code == 200
