"""What one customer does, with the duration of each step."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from bench.client import Client, Json
from bench.stage import Stage

EMAIL = "guest@usher.example"
PATIENCE_S = 60
Pairs = Iterator[tuple[str, list[str]]]


class Latencies(list[float]):
    """Milliseconds."""

    def summary(self) -> dict[str, float]:
        """p50, p95 and p99."""
        cuts = statistics.quantiles(self, n=100, method="inclusive")
        return {f"p{percent}_ms": round(cuts[percent - 1], 1) for percent in (50, 95, 99)}


class Steps(NamedTuple):
    """Milliseconds of each step of a booking. The sum is the time from the first request to the confirmation."""

    hold: float
    checkout: float
    create_intent: float
    pay_to_confirmed: float


@dataclass
class Buyer:
    """A guest with one connection to the gateway and one to Stripe, where the browser would confirm the payment."""

    stage: Stage
    gateway: Client
    stripe: Client

    @classmethod
    async def arrive(cls, stage: Stage, stack: AsyncExitStack) -> "Buyer":
        """Create a buyer with open connections, which the stack closes."""
        gateway = await stack.enter_async_context(await Client.to(stage.platform.url))
        return cls(stage, gateway, await stack.enter_async_context(await Client.to(stage.stripe_url)))

    async def hold(self, showtime_id: str, seats: list[str], secret: dict[str, str] | None = None) -> Json:
        """Hold the seats, for the guest with this secret if there is one. Raises Refused."""
        return await self.gateway.post(f"/api/showtimes/{showtime_id}/holds", {"seats": seats}, secret)

    async def book(self, showtime_id: str, seats: list[str]) -> Steps:
        """Buy tickets, from the hold to the confirmation. Raises Refused and TimeoutError."""
        _, steps = await self.buy(showtime_id, seats)
        return steps

    async def buy(self, showtime_id: str, seats: list[str]) -> tuple[Json, Steps]:
        """Buy tickets. Returns the hold, whose id is the booking's, and the steps. Raises Refused and TimeoutError."""
        times = [time.perf_counter()]
        hold = await self.hold(showtime_id, seats)
        times.append(time.perf_counter())
        secret = {"X-Hold-Secret": hold["secret"]}
        tickets = [{"seat_id": seat, "ticket_type": "adult"} for seat in seats]
        asked = {"claim": hold["claim"], "tickets": tickets, "email": EMAIL}
        checkout = await self.gateway.post("/api/bookings", asked, secret)
        times.append(time.perf_counter())
        intent = await self.gateway.post("/api/payments/create-intent", {"order": checkout["order"]}, secret)
        times.append(time.perf_counter())
        confirmed = self.stage.confirmation_of(hold["hold_id"])
        await self.stripe.post(
            f"/v1/payment_intents/{intent['payment_intent_id']}/confirm",
            {"client_secret": intent["client_secret"], "payment_method": "pm_card_visa"},
            {"Authorization": f"Bearer {intent['publishable_key']}"},
            form=True,
        )
        async with asyncio.timeout(PATIENCE_S):
            await confirmed
        times.append(time.perf_counter())
        return hold, Steps(*((later - earlier) * 1000 for earlier, later in pairwise(times)))

    async def cancel(self, hold: Json) -> float:
        """Cancel the whole booking as quoted. Returns the milliseconds until it was accepted. Raises Refused."""
        began, path, secret = time.perf_counter(), f"/api/bookings/{hold['hold_id']}", {"X-Hold-Secret": hold["secret"]}
        quote = await self.gateway.post(f"{path}/cancellation-quote", {}, secret)
        await self.gateway.post(f"{path}/cancel", {"quote_id": quote["quote_id"]}, secret)
        return (time.perf_counter() - began) * 1000

    async def exchange(self, old: Json, showtime_id: str, seats: list[str]) -> float:
        """Exchange the whole booking for seats at the same price. Returns the milliseconds until the new one is valid.

        Raises Refused and TimeoutError.
        """
        began, secret = time.perf_counter(), {"X-Hold-Secret": old["secret"]}
        hold = await self.hold(showtime_id, seats, secret)
        tickets = [{"seat_id": seat, "ticket_type": "adult"} for seat in seats]
        order = {"claim": hold["claim"], "hold_id": hold["hold_id"], "tickets": tickets}
        quote = await self.gateway.post(f"/api/bookings/{old['hold_id']}/exchange-quote", order, secret)
        confirmed = self.stage.confirmation_of(hold["hold_id"])
        replaces = {"booking_id": old["hold_id"], "quote_id": quote["quote_id"]}
        await self.gateway.post("/api/bookings", order | {"replaces": replaces}, secret)
        async with asyncio.timeout(PATIENCE_S):
            await confirmed
        return (time.perf_counter() - began) * 1000


async def buyers(stage: Stage, count: int, stack: AsyncExitStack) -> list[Buyer]:
    """Create this many buyers. The stack closes their connections."""
    return [await Buyer.arrive(stage, stack) for _ in range(count)]
