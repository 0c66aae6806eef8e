"""Disputes: their states, and the refunds that wait for their end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.ids import new_id
from contracts.payment import PaymentDisputed, PaymentRefunded
from payment.model import apply_dispute, claim_next_check, request_booking_refund
from payment.model.account import CHECK_DISPUTE_EVERY
from payment.model.updates import DisputeUpdate, parse_event

from .conftest import PRICE as SOLD_FOR
from .conftest import Checkout, reconcile_now
from .test_model import NOW, PRICE, paid

DISPUTE = {
    "id": "du_1",
    "status": "needs_response",
    "payment_intent": "pi_1",
    "amount": 900,
    "currency": "eur",
    "reason": "fraudulent",
    "evidence_details": {"due_by": 1_800_000_000},
}


def dispute(status: str, **fields: Any) -> DisputeUpdate:
    update = parse_event("charge.dispute.updated", DISPUTE | {"status": status} | fields)
    assert isinstance(update, DisputeUpdate)
    return update


def test_a_dispute_is_parsed():
    update = dispute("needs_response")
    assert (update.id, update.intent_id, update.amount, update.reason) == ("du_1", "pi_1", 900, "fraudulent")
    assert update.respond_by == datetime.fromtimestamp(1_800_000_000, UTC)
    assert dispute("won", evidence_details=None, reason=None).respond_by is None
    assert parse_event("charge.dispute.created", DISPUTE | {"payment_intent": None}) is None


@pytest.mark.parametrize("end", ["won", "lost", "warning_closed", "prevented"])
def test_a_dispute_moves_forward_to_its_end(end: str):
    account, statuses = paid(), ["warning_needs_response", "needs_response", "under_review", end]
    for status in statuses:
        change = apply_dispute(account, dispute(status), NOW)
        assert change
        assert change.events[-1].model_dump()["status"] == status
        assert change.events[-1].model_dump()["is_open"] is (status != end)
        account = account.model_copy(update=change.fields)
        assert (account.is_disputed, account.is_waiting) == (status != end, status != end)
        for late in statuses[: statuses.index(status) + 1]:
            assert apply_dispute(account, dispute(late), NOW) is None
    assert account.refunded == (900 if end == "lost" else 0)


def test_a_lost_dispute_is_a_refund_and_ends_the_waiting_one():
    asked = request_booking_refund(paid(), "r1", PRICE, NOW)
    assert asked
    account = paid().model_copy(update=asked.fields)
    opened = apply_dispute(account, dispute("needs_response", amount=PRICE), NOW)
    assert opened
    account = account.model_copy(update=opened.fields)
    assert account.is_refund_blocked
    lost = apply_dispute(account, dispute("lost", amount=PRICE), NOW)
    assert lost
    account = account.model_copy(update=lost.fields)
    assert (account.refunded, account.refunding, account.is_waiting) == (PRICE, 0, False)
    assert account.refunds["r1"].state == "succeeded"
    assert [type(event) for event in lost.events] == [PaymentRefunded, PaymentRefunded, PaymentDisputed]
    assert sum(entry.amount for entry in lost.entries) == PRICE


def test_an_inquiry_blocks_no_refund():
    opened = apply_dispute(paid(), dispute("warning_needs_response", is_charge_refundable=True), NOW)
    assert opened
    account = paid().model_copy(update=opened.fields)
    assert (account.is_disputed, account.is_refund_blocked) == (True, False)


def test_an_open_dispute_is_checked_every_hour():
    opened = apply_dispute(paid(), dispute("needs_response"), NOW)
    assert opened
    account = paid().model_copy(update=opened.fields)
    claim = claim_next_check(account, NOW + timedelta(minutes=1))
    assert claim
    assert claim.fields["next_check_at"] == NOW + timedelta(minutes=1) + CHECK_DISPUTE_EVERY


# ---- with Stripe's sandbox


async def open_dispute(checkout: Checkout, amount: int | None = None) -> str:
    asked = {"payment_intent": checkout.intent_id, "amount": amount}
    dispute = (await checkout.stripe.post("/_sandbox/disputes", json=asked)).json()
    await checkout.wait_for_events(PaymentDisputed)
    return dispute["id"]


async def test_staff_sees_a_dispute_and_until_when_to_answer(checkout: Checkout):
    await checkout.paid()
    dispute_id = await open_dispute(checkout)
    [shown] = (await checkout.wait_until())["disputes"]
    assert (shown["dispute_id"], shown["status"], shown["is_open"]) == (dispute_id, "needs_response", True)
    assert datetime.fromisoformat(shown["respond_by"]) > datetime.now(UTC)


async def test_a_dispute_whose_webhook_was_lost_is_found_by_the_refund(checkout: Checkout):
    await checkout.paid()
    await checkout.add_fault("webhook_drop", event_types=["charge.dispute.created"], count=None)
    asked = {"payment_intent": checkout.intent_id, "amount": None}
    await checkout.stripe.post("/_sandbox/disputes", json=asked)
    await checkout.request_refund(SOLD_FOR, new_id())
    await checkout.wait_for_events(PaymentDisputed)
    view = await checkout.wait_until(refunding=SOLD_FOR, refunded=0)
    assert [dispute["status"] for dispute in view["disputes"]] == ["needs_response"]


@pytest.mark.parametrize(
    ("amount", "status", "refunds"),
    [
        (None, "won", {"booking": SOLD_FOR}),
        (None, "lost", {"booking": 0, "provider": SOLD_FOR}),
        (900, "lost", {"booking": SOLD_FOR - 900, "provider": 900}),
    ],
)
async def test_a_refund_waits_for_the_end_of_a_dispute(
    checkout: Checkout, amount: int | None, status: str, refunds: dict[str, int]
):
    """A showtime that is cancelled during a dispute: the money goes back once, no matter who wins."""
    await checkout.paid()
    dispute_id = await open_dispute(checkout, amount)
    await checkout.request_refund(SOLD_FOR, new_id())
    await checkout.wait_until(refunding=SOLD_FOR, refunded=0)
    await reconcile_now(checkout.id)
    assert (await checkout.payment())["refunding"] == SOLD_FOR
    await checkout.stripe.post(f"/_sandbox/disputes/{dispute_id}/close", json={"status": status})
    await checkout.wait_for_events(PaymentDisputed, 2)
    await reconcile_now(checkout.id)
    view = await checkout.wait_until(refunding=0, refunded=SOLD_FOR)
    assert {refund["asked_by"]: refund["amount"] for refund in view["refunds"]} == refunds
    assert {refund["state"] for refund in view["refunds"]} == {"succeeded"}
    assert [dispute["status"] for dispute in view["disputes"]] == [status]
