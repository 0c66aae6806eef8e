"""While people buy: webhooks that repeat, linger or overtake each other, and a Stripe that fails or does not answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from customer import Refused
from house import House

from .conftest import stands
from .crowd import Crowd


@asynccontextmanager
async def fault(house: House, **fields: Any) -> AsyncIterator[None]:
    """A fault that hits everybody within the block."""
    await house.stripe("POST", "/_sandbox/faults", json={"count": None} | fields)
    yield
    await house.stripe("DELETE", "/_sandbox/faults")


async def take_back_some(house: House, crowd: Crowd) -> int:
    """Staff give every third customer the money back; the number of refunds that were promised."""
    admin, promised = await house.person("admin"), 0
    for purchase in crowd.paid[::3]:
        try:
            await admin.call("POST", f"/api/payments/{purchase.hold['hold_id']}/refunds", json={})
        except Refused as refused:
            # The money that the customer saw leave has not reached us yet.
            assert refused.problem["code"] == "refund_too_large", refused.problem
        else:
            promised += 1
    return promised


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
        refunds = await take_back_some(arena, crowd)
        await crowd.grows(5)
    now = await stands(arena, crowd)
    states = [now.bookings[purchase.hold["hold_id"]]["state"] for purchase in crowd.paid]
    print(trouble, len(crowd.paid), "paid,", refunds, "refunds")
    assert states.count("refunded") >= refunds


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "api_error", "status": 500},
        {"kind": "api_error", "status": 503, "after": True},
        {"kind": "api_delay", "seconds": 6, "after": True, "count": 8},
    ],
    ids=["500", "503 after the effect", "timeout after the effect"],
)
async def test_a_stripe_that_fails_for_a_while_takes_and_gives_back_each_sum_once(arena, trouble):
    async with Crowd(arena) as crowd:
        await crowd.grows(6)
        async with fault(arena, **trouble):
            refunds = await take_back_some(arena, crowd)
            await asyncio.sleep(4)
        await crowd.grows(8)
    now = await stands(arena, crowd, seconds=90)
    states = [now.bookings[purchase.hold["hold_id"]]["state"] for purchase in crowd.paid]
    print(trouble, len(crowd.paid), "paid,", refunds, "refunds,", dict(crowd.failures))
    assert states.count("refunded") >= refunds
