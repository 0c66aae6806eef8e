"""Replicas and the gateway are restarted in turn while people buy, and no request fails."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import pytest
from chassis.ids import new_id
from cinema import Cinema
from customer import Json, Refused
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

ONLY = {"mongo", "rabbitmq", "identity", "catalog", "inventory", "gateway"}
PEOPLE, SPARE = 16, 100
PAUSE_S, PATIENCE_S = 0.05, 20.0


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Cinema]:
    """A platform with two replicas of inventory and the services that it needs."""
    environment = NO_LIMITS | {"INVENTORY_REPLICAS": "2"}
    async with (
        Platform(demo=True, environment=environment, only=ONLY) as platform,
        httpx.AsyncClient(timeout=30) as http,
    ):
        yield Cinema(platform, http)


@dataclass
class Regulars:
    """Let people hold a seat, read their hold and release it, repeatedly inside the block.

    `insists`: they repeat, with the same key, a request that broke or is still running. `rounds` counts the successful
    rounds; `failures` has the other responses.
    """

    cinema: Cinema
    insists: bool = False
    rounds: int = 0
    failures: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._showtime_id, self._seats = await self.cinema.seats(PEOPLE + SPARE)
        self._leaving = asyncio.Event()
        self._people = [asyncio.create_task(self._come_again()) for _ in range(PEOPLE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        await asyncio.gather(*self._people)

    async def go_on(self, rounds: int = 80) -> None:
        """Wait for this many more successful rounds. Raises TimeoutError."""
        wanted = self.rounds + rounds
        async with asyncio.timeout(PATIENCE_S):
            while self.rounds < wanted:
                await asyncio.sleep(0.01)

    async def _come_again(self) -> None:
        seat = self._seats.pop()
        while not self._leaving.is_set():
            try:
                hold = await self._ask("POST", f"/api/showtimes/{self._showtime_id}/holds", json={"seats": [seat]})
                place, secret = f"/api/holds/{hold['hold_id']}", hold["secret"]
                assert (await self._ask("GET", place, secret=secret))["seats"] == hold["seats"]
                await self._ask("DELETE", place, secret=secret)
                self.rounds += 1
            except (Refused, httpx.TransportError) as failure:
                self.failures.append(repr(failure))
                seat = self._seats.pop()  # the outcome of the other attempt is unknown

    async def _ask(self, method: str, path: str, **request: Any) -> Json:
        if not self.insists:
            return await self.cinema.guest().call(method, path, **request)
        request["headers"] = {"Idempotency-Key": new_id()}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.cinema.guest().call(method, path, **request)
                except httpx.TransportError:
                    pass
                except Refused as refused:
                    if refused.problem["code"] != "idempotency_key_running":
                        raise
                await asyncio.sleep(PAUSE_S)


async def test_a_rolling_restart_of_two_replicas_loses_no_request(pair: Cinema):
    async with Regulars(pair) as people:
        for name in ("inventory", "inventory.2", "inventory"):
            await people.go_on()
            await asyncio.to_thread(pair.platform.stop, name)
            await people.go_on()
            await asyncio.to_thread(pair.platform.start, name)
        await people.go_on()
    assert people.failures == []
    assert pair.platform.unexpected_exits() == []


async def test_who_repeats_under_a_key_loses_nothing_when_the_gateway_reads_its_configuration_again(pair: Cinema):
    """nginx closes idle connections then, so an arriving request may break; running requests are answered."""
    async with Regulars(pair, insists=True) as people:
        for _ in range(5):
            await people.go_on()
            os.kill(pair.platform.pid("gateway"), signal.SIGHUP)
        await people.go_on()
    assert people.failures == []


async def test_nor_when_the_gateway_is_stopped_and_started(pair: Cinema):
    async with Regulars(pair, insists=True) as people:
        await people.go_on()
        await asyncio.to_thread(pair.platform.stop, "gateway")
        await asyncio.to_thread(pair.platform.start, "gateway")
        await people.go_on()
    assert people.failures == []
