"""Services are scaled and replaced while people buy tickets, and no request fails."""

import asyncio
import time
from collections import Counter
from typing import Any, Self

import httpx
import pytest
from cinema import PASSWORD, Cinema
from customer import Customer, Refused
from facts import Facts
from invariants import at_rest, violations
from launcher.scaling import scale, upgrade

SALE = ("identity", "catalog", "inventory", "booking", "payment")
PEOPLE, PATIENCE_S = 6, 60.0


class Shoppers:
    """People who log in, browse, hold a seat, check out, pay and wait for their tickets, repeatedly.

    They repeat no request and open a connection for each one, because nginx closes idle connections when it reloads its
    configuration, as any server may (deploy/gateway/README.md). `failures` are problems and broken connections.
    """

    def __init__(self, cinema: Cinema) -> None:
        self.cinema, self.failures, self.sold = cinema, list[str](), list[str]()
        self.requests: Counter[int] = Counter()

    async def __aenter__(self) -> Self:
        self._leaving = asyncio.Event()
        self._halls = [await self.cinema.seats(200) for _ in range(PEOPLE)]
        self._http = httpx.AsyncClient(
            timeout=30, limits=httpx.Limits(max_keepalive_connections=0), event_hooks={"response": [self._count]}
        )
        self._people = [asyncio.create_task(self._shop(*hall)) for hall in self._halls]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        await asyncio.gather(*self._people)
        await self._http.aclose()

    async def more(self, count: int = 6) -> None:
        """Wait for `count` more sold tickets. Raises TimeoutError."""
        wanted = len(self.sold) + count
        async with asyncio.timeout(PATIENCE_S):
            while len(self.sold) < wanted:
                await asyncio.sleep(0.02)

    def forgotten(self, now: Facts) -> list[str]:
        """Return the bookings that a person saw confirmed and that are not."""
        return [booking for booking in self.sold if now.bookings[booking]["state"] != "confirmed"]

    async def _count(self, answer: httpx.Response) -> None:
        self.requests[answer.status_code] += 1
        if answer.is_server_error:
            self.failures.append(f"{answer.status_code} {answer.request.method} {answer.request.url.path}")

    async def _shop(self, showtime_id: str, seats: list[str]) -> None:
        while not self._leaving.is_set() and seats:
            try:
                await self._buy(Customer(self.cinema.platform.url, self._http), showtime_id, seats.pop())
            except httpx.TransportError as error:
                self.failures.append(f"{type(error).__name__} {error} {error.request.url.path}")
            except Refused as refused:
                self.failures.append(str(refused))

    async def _buy(self, person: Customer, showtime_id: str, seat: str) -> None:
        if len(self.sold) % 4 == 0:
            await person.log_in("customer@usher.example", PASSWORD)
        await person.call("GET", f"/api/showtimes/{showtime_id}", params={"at": time.monotonic()})  # not from the cache
        await person.free_seats(showtime_id)
        hold = await person.hold(showtime_id, [seat])
        await person.check_out(hold, "shopper@usher.example")
        await person.pay(await person.create_intent(hold))
        await person.settled(hold, "confirmed")
        self.sold.append(hold["hold_id"])


@pytest.mark.timeout(600)  # 13 replicas start, one after another
async def test_no_request_fails_while_services_are_scaled_and_replaced(arena: Cinema):
    async with Shoppers(arena) as shoppers:

        async def while_selling(act: Any, service: str, *count: int) -> None:
            await shoppers.more()
            began, sold = time.monotonic(), len(shoppers.sold)
            lines: list[str] = []
            await asyncio.to_thread(act, arena.platform, service, *count, lines.append)
            seconds = time.monotonic() - began
            print(f"{act.__name__:8}{service:10}{seconds:6.1f} s{len(shoppers.sold) - sold:5} sold meanwhile  {lines}")

        count = len(arena.platform.replicas("booking"))
        await while_selling(scale, "booking", count + 1)
        for service in SALE:
            await while_selling(upgrade, service)
        await while_selling(scale, "booking", count)
        await shoppers.more()
    print(f"{sum(shoppers.requests.values())} requests: {dict(shoppers.requests)}, {len(shoppers.sold)} sold")
    assert shoppers.failures == []
    assert arena.platform.unexpected_exits() == []
    now = await at_rest(arena.platform.env)
    assert violations(now) == []
    assert shoppers.forgotten(now) == []
