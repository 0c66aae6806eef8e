"""A crowd that keeps buying tickets whatever happens, and records the answers."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import httpx
from cinema import Cinema
from customer import Customer, Json, Refused
from facts import Facts

FINAL = {400, 402, 409, 410, 422}
"""Final answers. After any other response, the customer repeats the request."""
BOUGHT = {"confirmed", "refunded", "exchanged"}
ENDED = {*BOUGHT, "expired", "cancelled"}
PAUSE_S, PATIENCE_S = 0.2, 20.0


class GaveUp(Exception):
    """There was no answer for too long."""


@dataclass
class Purchase:
    """One attempt, from the hold on. `paid` is Stripe's answer; None if it was lost."""

    hold: Json
    is_checked_out: bool = False
    paid: bool | None = False

    def broken_promise(self, now: Facts) -> str | None:
        """Yield the promises that were not kept."""
        booking = now.bookings.get(self.hold["hold_id"])
        if booking is None:
            is_lost = self.is_checked_out or self.paid
            return f"hold {self.hold['hold_id']} was checked out and has no booking" if is_lost else None
        state = booking["state"]
        if state not in ENDED:
            return f"booking {booking['_id']} is still {state}"
        if self.paid and state not in BOUGHT:
            return f"booking {booking['_id']} was paid and ended {state}"
        if self.paid is False and state not in {"expired", "cancelled"}:
            return f"booking {booking['_id']} was not paid and ended {state}"
        if self.is_checked_out and not booking["reference"]:
            return f"booking {booking['_id']} was checked out without a trace"
        return None


class Crowd:
    """Let `clients` people buy one or two random seats, one after another; some change their minds on the way.

    With `changes`, most of them cancel a ticket or exchange it for a dearer or a cheaper one as soon as it is bought.
    They start purchases inside the block and finish them at its end.
    """

    def __init__(
        self, cinema: Cinema, *, clients: int = 4, showtimes: int = 3, seed: int = 7, changes: bool = False
    ) -> None:
        self.cinema, self.purchases = cinema, list[Purchase]()
        self.failures: Counter[str] = Counter()
        self._clients, self._showtimes, self._changes = clients, showtimes, changes
        self._dice = random.Random(seed)  # noqa: S311 - a dice, not a secret
        self._halls: list[tuple[str, list[str]]] = []
        self._leaving = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._halls = [await self.cinema.seats(None) for _ in range(self._showtimes)]
        self._people = [asyncio.create_task(self._come_and_go()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        await asyncio.gather(*self._people)

    @property
    def paid(self) -> list[Purchase]:
        """Return the purchases whose payment Stripe confirmed to the customer."""
        return [purchase for purchase in self.purchases if purchase.paid]

    async def grows(self, count: int, seconds: float = 120) -> None:
        """Wait for `count` more paid purchases. Raises TimeoutError."""
        wanted = len(self.paid) + count
        async with asyncio.timeout(seconds):
            while len(self.paid) < wanted:
                await asyncio.sleep(0.05)

    def broken_promises(self, now: Facts) -> list[str]:
        """Return all promises that were not kept."""
        return [broken for purchase in self.purchases if (broken := purchase.broken_promise(now))]

    async def _come_and_go(self) -> None:
        while not self._leaving.is_set():
            with suppress(Refused, GaveUp, TimeoutError, httpx.TransportError):
                await self._buy(self.cinema.guest())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._dice.uniform(0, PAUSE_S)):
                    await self._leaving.wait()

    async def _buy(self, guest: Customer) -> None:
        showtime_id, seats = self._dice.choice(self._halls)
        wanted = self._dice.sample(seats, self._dice.randint(1, 2))
        # A hold whose response was lost expires unnoticed, so this request is not repeated with the same key.
        purchase = Purchase(await guest.hold(showtime_id, wanted))
        self.purchases.append(purchase)
        mind = self._dice.random()
        if mind < 0.1:
            return
        await self._insist(lambda: guest.check_out(purchase.hold, "crowd@usher.example"))
        purchase.is_checked_out = True
        if mind < 0.2:
            await self._insist(lambda: guest.cancel(purchase.hold))
            return
        intent = await self._insist(lambda: guest.create_intent(purchase.hold))
        if mind < 0.3:
            with suppress(Refused):
                await guest.pay(intent, "pm_card_chargeDeclined")
        purchase.paid = None
        purchase.paid = (await self._insist(lambda: guest.pay(intent)))["status"] == "succeeded"
        if self._changes and (mind := self._dice.random()) < 0.8:
            booking = await self._insist(lambda: guest.settled(purchase.hold, *BOUGHT, seconds=PATIENCE_S))
            ticket_id = booking["tickets"][0]["ticket_id"]
            if mind < 0.3:
                await self._insist(lambda: guest.cancel_tickets(purchase.hold, ticket_id))
            else:
                await self._exchange(guest, purchase.hold, ticket_id, "adult" if mind < 0.4 else "child")

    async def _exchange(self, guest: Customer, hold: Json, ticket_id: str, ticket_type: str) -> None:
        """Exchange a ticket for a random seat of a random showtime."""
        showtime_id, seats = self._dice.choice(self._halls)
        seat = self._dice.choice(seats)
        # A lost response is not repeated: the hold expires, or the exchange continues without this customer.
        new, quote = await guest.order_exchange(hold, showtime_id, [seat], ticket_id, ticket_type=ticket_type)
        purchase = Purchase(new, is_checked_out=True, paid=None)
        self.purchases.append(purchase)
        if quote["amount_due"] > 0:
            intent = await self._insist(lambda: guest.create_intent(new))
            purchase.paid = (await self._insist(lambda: guest.pay(intent)))["status"] == "succeeded"

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Repeat the request until there is an answer. Raises Refused for a final refusal, and GaveUp."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while loop.time() < deadline:
            try:
                return await ask()
            except Refused as refused:
                if refused.status in FINAL:
                    raise
                self.failures[f"{refused.status} {refused.problem.get('code')}"] += 1
            except httpx.TransportError as error:
                self.failures[type(error).__name__] += 1
            await asyncio.sleep(PAUSE_S)
        raise GaveUp
