"""What the clients do, and how it is measured: each of them starts its next piece of work when the last one is done."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench import cpu
from bench.client import Client, Json, Refused
from bench.stage import PAIRS, SEATS, Stage

EMAIL = "guest@usher.example"
Pairs = Iterator[tuple[str, list[str]]]


class Latencies(list[float]):
    """Milliseconds."""

    def summary(self) -> dict[str, float]:
        """p50, p95 and p99."""
        cuts = statistics.quantiles(self, n=100, method="inclusive")
        return {f"p{percent}_ms": round(cuts[percent - 1], 1) for percent in (50, 95, 99)}


@dataclass
class Buyer:
    """A guest with a connection to the gateway and one to Stripe, where the browser would confirm the payment."""

    stage: Stage
    gateway: Client
    stripe: Client

    async def hold(self, showtime_id: str, seats: list[str]) -> Json:
        """Hold the seats. Raises Refused."""
        return await self.gateway.post(f"/api/showtimes/{showtime_id}/holds", {"seats": seats})

    async def pay_and_wait(self, hold: Json) -> None:
        """From the hold to the confirmation on the bus. Raises Refused and TimeoutError."""
        booking_id, secret = hold["hold_id"], {"X-Hold-Secret": hold["secret"]}
        confirmed = self.stage.confirmed[booking_id] = asyncio.get_running_loop().create_future()
        tickets = [{"seat_id": seat["seat_id"], "ticket_type": "adult"} for seat in hold["seats"]]
        order = {"hold_id": booking_id, "tickets": tickets, "email": EMAIL}
        await self.gateway.post("/api/bookings", order, secret)
        intent = await self.gateway.post("/api/payments/create-intent", {"booking_id": booking_id}, secret)
        await self.stripe.post(
            f"/v1/payment_intents/{intent['payment_intent_id']}/confirm",
            {"client_secret": intent["client_secret"], "payment_method": "pm_card_visa"},
            {"Authorization": f"Bearer {intent['publishable_key']}"},
            form=True,
        )
        async with asyncio.timeout(60):
            await confirmed


async def buyers(stage: Stage, count: int, stack: AsyncExitStack) -> list[Buyer]:
    """Buyers with their connections open; the stack closes them."""
    gateway, sandbox = stage.platform.url, stage.platform.env["STRIPE_SANDBOX_URL"]

    async def one() -> Buyer:
        return Buyer(
            stage,
            await stack.enter_async_context(await Client.to(gateway)),
            await stack.enter_async_context(await Client.to(sandbox)),
        )

    return [await one() for _ in range(count)]


async def metered(stage: Stage, work: Callable[[], Awaitable[int]]) -> dict[str, Any]:
    """What the work cost, until the platform is at rest again. `work` answers how many pieces were done."""
    before = cpu.read(stage.platform)
    done = await work()
    seconds = time.perf_counter() - before.at
    await stage.at_rest()
    _, spent = before.until(cpu.read(stage.platform))
    each = {name: round(ms / done, 3) for name, ms in spent.items()}
    return {"done": done, "per_second": round(done / seconds, 1), "cpu_ms": round(sum(each.values()), 2), "cpu": each}


async def idle(stage: Stage, seconds: float) -> dict[str, Any]:
    """What the platform costs while nobody comes, in CPU milliseconds a second."""
    before = cpu.read(stage.platform)
    await asyncio.sleep(seconds)
    passed, spent = before.until(cpu.read(stage.platform))
    each = {name: round(ms / passed, 2) for name, ms in spent.items()}
    return {"cpu_ms_per_second": round(sum(each.values()), 1), "cpu": each}


async def sagas(stage: Stage, pairs: Pairs, clients: int, seconds: float) -> dict[str, Any]:
    """Bookings to their confirmation."""
    holds, whole = Latencies(), Latencies()

    async def buy(buyer: Buyer, until: float) -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            hold = await buyer.hold(*next(pairs))
            holds.append((time.perf_counter() - began) * 1000)
            await buyer.pay_and_wait(hold)
            whole.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(buy(buyer, until) for buyer in people))
        return len(whole)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "hold": holds.summary(), "hold_to_confirmed": whole.summary()}


async def holds_alone(stage: Stage, pairs: Pairs, clients: int, seconds: float) -> dict[str, Any]:
    """Holds and nothing after them."""
    latencies = Latencies()

    async def take(buyer: Buyer, until: float) -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await buyer.hold(*next(pairs))
            latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(take(buyer, until) for buyer in people))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "hold": latencies.summary()}


async def race(stage: Stage, clients: int, seats: int) -> dict[str, Any]:
    """All clients go for the same seats in the same order, each for each of them once."""
    (showtime_id,) = await stage.showtimes(1)
    outcomes: Counter[str] = Counter()
    winners: Counter[str] = Counter()
    latencies = Latencies()

    async def go_for_all(buyer: Buyer) -> None:
        for seat in SEATS[:seats]:
            began = time.perf_counter()
            outcomes[outcome := await _try(buyer, showtime_id, [seat])] += 1
            winners[seat] += outcome == "held"
            latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        await asyncio.gather(*(go_for_all(buyer) for buyer in people))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = await buyers(stage, clients, stack)
        figures = await metered(stage, work)
    each = sorted({winners[seat] for seat in SEATS[:seats]})
    return {"clients": clients, "seats": seats, **figures, "answer": latencies.summary(), "outcomes": dict(outcomes),
            "winners_per_seat": each}  # fmt: skip


async def crowd(stage: Stage, clients: int) -> dict[str, Any]:
    """So many people at once, each with a connection of its own, each going for two of 400 seats."""
    (showtime_id,) = await stage.showtimes(1)
    latencies, outcomes = Latencies(), Counter[str]()

    async def go(number: int, gateway: Client) -> None:
        began = time.perf_counter()
        outcomes[await _try(Buyer(stage, gateway, gateway), showtime_id, list(PAIRS[number * 7 % len(PAIRS)]))] += 1
        latencies.append((time.perf_counter() - began) * 1000)

    async def work() -> int:
        await asyncio.gather(*(go(number, client) for number, client in enumerate(people)))
        return len(latencies)

    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(await Client.to(stage.platform.url)) for _ in range(clients)]
        figures = await metered(stage, work)
    return {"clients": clients, **figures, "seconds": round(clients / figures["per_second"], 2),
            "answer": latencies.summary(), "outcomes": dict(outcomes)}  # fmt: skip


async def _try(buyer: Buyer, showtime_id: str, seats: list[str]) -> str:
    """`held`, or the code of the refusal."""
    try:
        await buyer.hold(showtime_id, seats)
    except Refused as refusal:
        return refusal.problem["code"]
    return "held"
