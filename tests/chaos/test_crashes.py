"""Each service is killed in the middle of sales."""

import asyncio

import pytest
from contracts.registry import SERVICES

from .conftest import stands
from .crowd import Crowd


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_is_killed_in_the_middle_of_sales_costs_nobody_a_seat_or_money(arena, service):
    """Every second customer cancels a ticket, so the service is also killed in the middle of part refunds."""
    async with Crowd(arena, cancels=True) as crowd:
        await crowd.grows(10)
        arena.platform.kill(service)
        await asyncio.sleep(1)
        await asyncio.to_thread(arena.platform.start, service)
        await crowd.grows(10)
    print(service, len(crowd.purchases), "purchases,", len(crowd.paid), "paid,", dict(crowd.failures))
    now = await stands(arena, crowd)
    assert any(refund["quote_id"] for booking in now.bookings.values() for refund in booking["refunds"])
