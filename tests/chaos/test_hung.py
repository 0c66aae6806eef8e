"""One of two replicas hangs, as a stopped process does: it accepts requests and answers none. Customers still buy."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from chassis.ids import new_id
from cinema import PASSWORD, Cinema
from customer import Customer, Json, Refused
from invariants import at_rest, violations
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

ON_THE_WAY = ("catalog", "inventory", "booking", "payment", "identity")
BUYERS = 6
PATIENCE_S = 25.0
"""How long a customer waits for a response."""


@pytest.fixture(scope="module")
async def pairs() -> AsyncIterator[Cinema]:
    """A platform with two replicas of each service that a sale needs."""
    environment = NO_LIMITS | {f"{service.upper()}_REPLICAS": "2" for service in ON_THE_WAY}
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=PATIENCE_S) as http:
        yield Cinema(platform, http)


class Patient(Customer):
    """Sends each write with an idempotency key, and again with the same key while the first attempt is running."""

    async def call(self, method: str, path: str, *, secret: str | None = None, **request: Any) -> Json:
        """Return the response. Raises Refused for any other problem and httpx.TransportError."""
        request["headers"] = {"Idempotency-Key": new_id()}
        while True:
            try:
                return await super().call(method, path, secret=secret, **request)
            except Refused as refused:
                if refused.problem["code"] != "idempotency_key_running":
                    raise
                await asyncio.sleep(refused.problem["retry_after"])


async def buy(cinema: Cinema, showtime_id: str, seat: str) -> str:
    """Sign in, read the showtime and buy a seat as a guest. Returns the booking's id."""
    person, guest = (Patient(cinema.platform.url, cinema.http) for _ in range(2))
    await person.log_in("customer@usher.example", PASSWORD)
    await person.call("GET", f"/api/showtimes/{showtime_id}")
    hold = await guest.buy(showtime_id, [seat], "hung@usher.example")
    return hold["hold_id"]


@contextmanager
def hung(platform: Platform, name: str) -> Iterator[None]:
    """Suspend the process inside the block."""
    os.kill(platform.pid(name), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(platform.pid(name), signal.SIGCONT)


@pytest.mark.parametrize("service", ON_THE_WAY)
async def test_while_one_replica_hangs_everybody_buys(pairs: Cinema, service: str):
    showtime_id, seats = await pairs.seats(BUYERS)
    with hung(pairs.platform, service):
        booking_ids = await asyncio.gather(*(buy(pairs, showtime_id, seat) for seat in seats))
    now = await at_rest(pairs.platform.env)
    assert violations(now) == []
    assert {now.bookings[booking_id]["state"] for booking_id in booking_ids} == {"confirmed"}
