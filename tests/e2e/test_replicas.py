"""With two replicas of every service, each step succeeds at once, whichever replica did the previous step."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest
from cinema import Cinema
from customer import Customer, Json, Refused
from launcher.platform import Platform
from launcher.ports import SERVICES, replica_variable
from launcher.settings import NO_LIMITS

REPLICAS = {f"{service.upper()}_REPLICAS": "2" for service in SERVICES}
ANSWERED_BY = {"showtimes": "inventory", "holds": "inventory", "bookings": "booking", "payments": "payment"}
"""The service of each `/api/` prefix that these tests use."""


@pytest.fixture(scope="module")
async def doubled_cinema() -> AsyncIterator[Cinema]:
    async with (
        Platform(demo=True, environment=NO_LIMITS | REPLICAS) as platform,
        httpx.AsyncClient(timeout=30) as http,
    ):
        yield Cinema(platform, http)


class Hopper(Customer):
    """A guest who sends requests to each service's replicas in turn, without the gateway and without retries."""

    def __init__(self, cinema: Cinema, first: int) -> None:
        super().__init__(cinema.platform.url, cinema.http)
        self._ports, self._turns = cinema.platform.ports, count(first)

    async def call(self, method: str, path: str, **request: Any) -> Json:
        service = ANSWERED_BY[path.split("/")[2]]
        port = self._ports[replica_variable(service, next(self._turns) % 2 + 1)]
        self.url = f"http://127.0.0.1:{port}"
        return await super().call(method, path, **request)


@pytest.mark.parametrize("first", [0, 1])
async def test_each_step_of_a_sale_is_answered_at_once_by_the_other_replica(doubled_cinema: Cinema, first: int):
    showtime_id, seats = await doubled_cinema.seats(3)
    guest = Hopper(doubled_cinema, first)
    hold = await guest.hold(showtime_id, seats[:2])
    place, secret = f"/api/holds/{hold['hold_id']}", hold["secret"]
    assert (await guest.call("GET", place, secret=secret))["seats"] == hold["seats"]
    changed = await guest.call("PATCH", place, json={"add": seats[2:], "drop": seats[:1]}, secret=secret)
    renewed = await guest.call("POST", f"{place}/renew", secret=secret)
    assert changed["claim"] != hold["claim"]
    assert (await guest.call("GET", place, secret=secret))["seats"] == renewed["seats"] == changed["seats"]

    hold |= renewed
    quote = await guest.call("POST", "/api/bookings/quote", json={"claim": hold["claim"]}, secret=secret)
    booking = await guest.check_out(hold, "replicas@usher.example")
    assert booking["amount"] == quote["amount"]
    for _ in range(2):
        seen = await guest.booking(hold)
        assert (seen["state"], seen["order"]) == ("awaiting_payment", booking["order"])
        assert (await guest.check_out(hold, "replicas@usher.example"))["id"] == booking["id"]
    first_intent, second_intent = await guest.create_intent(hold), await guest.create_intent(hold)
    assert first_intent["client_secret"] == second_intent["client_secret"]
    for _ in range(2):
        payment = await guest.call("GET", f"/api/payments/{hold['hold_id']}", secret=secret)
        assert (payment["state"], payment["amount"]) == ("intent_created", booking["amount"])

    await guest.pay(first_intent)
    booking = await guest.settled(hold, "confirmed")
    assert sorted(ticket["seat"]["seat_id"] for ticket in booking["tickets"]) == sorted(seats[1:])
    for _ in range(2):
        taken = (await guest.call("GET", f"/api/showtimes/{showtime_id}/seats"))["taken"]
        assert taken == dict.fromkeys(seats[1:], "sold")
        assert (await guest.booking(hold))["tickets"] == booking["tickets"]


@pytest.mark.parametrize("first", [0, 1])
async def test_a_cancellation_by_the_other_replica_is_seen_by_both(doubled_cinema: Cinema, first: int):
    showtime_id, seats = await doubled_cinema.seats(1)
    guest = Hopper(doubled_cinema, first)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "replicas@usher.example")
    intent = await guest.create_intent(hold)
    for _ in range(2):
        assert (await guest.cancel(hold))["state"] in {"closing", "cancelled"}
    await guest.settled(hold, "cancelled")
    for _ in range(2):
        assert (await guest.booking(hold))["state"] == "cancelled"
        with pytest.raises(Refused) as closed:
            await guest.create_intent(hold)
        assert (closed.value.status, closed.value.problem["code"]) == (409, "payment_closed")
    with pytest.raises(Refused):
        await guest.pay(intent)


async def test_a_released_hold_is_unknown_to_both(doubled_cinema: Cinema):
    showtime_id, seats = await doubled_cinema.seats(1)
    guest = Hopper(doubled_cinema, 0)
    hold = await guest.hold(showtime_id, seats)
    place = f"/api/holds/{hold['hold_id']}"
    await guest.call("DELETE", place, secret=hold["secret"])
    for _ in range(2):
        with pytest.raises(Refused) as unknown:
            await guest.call("GET", place, secret=hold["secret"])
        assert unknown.value.status == 404
    again = await guest.hold(showtime_id, seats)
    assert again["hold_id"] != hold["hold_id"]
