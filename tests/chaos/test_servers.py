"""RabbitMQ and MongoDB go away in the middle of sales and come back."""

import asyncio

import pytest

from .conftest import stands
from .crowd import Crowd

AWAY_S = {"rabbitmq": 3, "mongo": 7}
"""MongoDB longer than its driver waits for a server, so that requests and reactions fail."""


@pytest.mark.parametrize("server", ["rabbitmq", "mongo"])
@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_server_that_goes_away_for_a_while_costs_nobody_a_seat_or_money(arena, server, way):
    async with Crowd(arena) as crowd:
        await crowd.grows(10)
        await asyncio.to_thread(getattr(arena.platform, way), server)
        await asyncio.sleep(AWAY_S[server])
        await asyncio.to_thread(arena.platform.start, server)
        await crowd.grows(10)
    print(way, server, len(crowd.purchases), "purchases,", len(crowd.paid), "paid,", dict(crowd.failures))
    await stands(arena, crowd)
    assert arena.platform.fallen() == []
