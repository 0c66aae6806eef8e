"""While people buy, webhooks are repeated, late or out of order, and Stripe fails or does not answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any

import pytest
from cinema import Cinema
from customer import Refused
from facts import Facts

from .conftest import stands
from .crowd import Crowd


@asynccontextmanager
async def fault(cinema: Cinema, **fields: Any) -> AsyncIterator[None]:
    """Plant a fault for all bookings inside the block."""
    await cinema.stripe("POST", "/_sandbox/faults", json={"count": None} | fields)
    yield
    await cinema.stripe("DELETE", "/_sandbox/faults")


async def give_back_some(cinema: Cinema, crowd: Crowd) -> dict[str, int]:
    """Let staff refund every third customer, all or one euro in turn. Returns the promised amounts by booking."""
    admin, promised = await cinema.person("admin"), {}
    for purchase, order in zip(crowd.paid[::3], cycle([{}, {"amount": 100}]), strict=False):
        booking_id = purchase.hold["hold_id"]
        try:
            refund = await admin.call("POST", f"/api/payments/{booking_id}/refunds", json=order)
        except Refused as refused:
            # The webhook about the customer's payment has not arrived yet.
            assert refused.problem["code"] == "refund_too_large", refused.problem
        else:
            promised[booking_id] = refund["amount"]
    return promised


def refunded_once(now: Facts, promised: dict[str, int]) -> None:
    """Check that exactly the promised amounts were refunded."""
    assert promised
    assert promised == {booking_id: now.payments[booking_id]["refunded"] for booking_id in promised}


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "webhook_repeat", "times": 2},
        {"kind": "webhook_delay", "seconds": 3},
        {"kind": "webhook_reorder", "seconds": 1.5},
    ],
    ids=lambda trouble: trouble["kind"],
)
async def test_webhooks_twice_late_and_reversed_change_nothing(arena, trouble):
    async with Crowd(arena) as crowd, fault(arena, **trouble):
        await crowd.grows(10)
        await asyncio.sleep(trouble.get("seconds", 0) + 1)
        promised = await give_back_some(arena, crowd)
        await crowd.grows(5)
    now = await stands(arena, crowd)
    print(trouble, len(crowd.paid), "paid,", len(promised), "refunds")
    refunded_once(now, promised)


@pytest.mark.parametrize(
    "trouble",
    [
        [{"kind": "api_error", "status": 500}],
        # With the webhook late as well, only the idempotency key distinguishes payment's retry from a second refund.
        [{"kind": "api_error", "status": 503, "after": True}, {"kind": "webhook_delay", "seconds": 12}],
        [{"kind": "api_delay", "seconds": 6, "after": True, "count": 8}],
    ],
    ids=["500", "503 after the effect", "timeout after the effect"],
)
async def test_a_stripe_that_fails_for_a_while_takes_and_gives_back_each_sum_once(arena, trouble):
    async with Crowd(arena) as crowd:
        await crowd.grows(6)
        async with AsyncExitStack() as stack:
            for each in trouble:
                await stack.enter_async_context(fault(arena, **each))
            promised = await give_back_some(arena, crowd)
            await asyncio.sleep(4)
        await crowd.grows(8)
    now = await stands(arena, crowd)
    print(trouble, len(crowd.paid), "paid,", len(promised), "refunds,", dict(crowd.failures))
    refunded_once(now, promised)


async def test_a_stripe_that_fails_at_a_quarter_of_the_calls_stops_nobody(arena):
    """Fail intents, refunds and reads, with and without effect, stored under the idempotency key or not."""
    async with AsyncExitStack() as stack:
        crowd = await stack.enter_async_context(Crowd(arena, clients=12))
        for fails in ({"status": 500}, {"status": 500, "after": True}, {"status": 503}, {"status": 503, "after": True}):
            # The faults apply independently: together they affect a quarter of the calls.
            share = {"count": None, "share": 0.07, "for_browsers": False}
            await arena.stripe("POST", "/_sandbox/faults", json={"kind": "api_error", **share, **fails})
        await crowd.grows(140, seconds=300)
        promised = await give_back_some(arena, crowd)
        await arena.stripe("DELETE", "/_sandbox/faults")
    now = await stands(arena, crowd)
    print(len(crowd.purchases), "customers,", len(crowd.paid), "paid,", len(promised), "refunds")
    assert crowd.failures == {}
    refunded_once(now, promised)
