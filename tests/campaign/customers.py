"""Customers who arrive at random times, whatever fails, and buy as the web client does."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import chain, repeat
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from chaos.crowd import Purchase
from chassis.ids import new_id
from chassis.security.secrets import new_secret
from cinema import Cinema
from customer import Json, Refused
from facts import Facts

from campaign.requests import Requests

EMAIL = "campaign@usher.example"
PAUSES_S = (0.4, 1.2)
PATIENCE_S = 30.0
TIMEOUT_S = 15.0
LONGEST_RETRY_AFTER_S = 5.0
AGAIN = {502, 503, 504}
"""Responses after which the web client repeats a request with the same key, because its outcome is unknown."""
RIGHT = {"single_seat_left"}
"""Refusals caused by the choice of seats, not by the fault."""
SETTLED = {"succeeded", "canceled"}
"""Stripe's final states of a payment."""
POLL_S = 0.5
FOREVER = datetime.max.replace(tzinfo=UTC)


class GaveUp(Exception):
    """There was no answer within PATIENCE_S. The text names the step."""


class Mind(Enum):
    """What a customer wants to do."""

    BUYS = "buys"
    CHANGES_CARD = "is declined first"
    LEAVES = "leaves after the hold"
    LEAVES_CHECKED_OUT = "leaves after the checkout"
    CANCELS = "cancels"
    PAYS_LATE = "pays after the deadline"


BUYERS = {Mind.BUYS: 9, Mind.CHANGES_CARD: 1}
EVERYBODY = BUYERS | {Mind.LEAVES: 1, Mind.LEAVES_CHECKED_OUT: 1, Mind.CANCELS: 1, Mind.PAYS_LATE: 1}


class Crowd:
    """Let `rate` customers a second arrive (Poisson process) inside the block. At its end, each customer finishes.

    `minds` are the kinds of customers with weights. Nobody else requests a customer's seats, so every refusal is wrong.
    """

    def __init__(self, cinema: Cinema, seats: Iterator[tuple[str, list[str]]], rate: float, seed: int) -> None:
        self.cinema, self.requests = cinema, Requests()
        self.minds = EVERYBODY
        self.purchases: list[Purchase] = []
        self.arrived = self.confirmed = 0
        self.gave_up: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self._seats, self._rate = seats, rate
        self._dice = random.Random(seed)  # noqa: S311 - guards nothing
        self._there: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.http = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False)
        config = await self.cinema.guest().call("GET", "/api/payments/config")
        script = urlsplit(config["script_url"])
        self.stripe, self.publishable_key = f"{script.scheme}://{script.netloc}", config["publishable_key"]
        self._door = asyncio.create_task(self._arrive())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._door.cancel()
        await asyncio.gather(self._door, return_exceptions=True)
        await asyncio.gather(*self._there)
        await self.http.aclose()

    def broken_promises(self, now: Facts) -> list[str]:
        """Return all promises that were not kept."""
        return [broken for purchase in self.purchases if (broken := purchase.broken_promise(now))]

    async def _arrive(self) -> None:
        due = time.monotonic()
        while True:
            due += self._dice.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            (mind,) = self._dice.choices(list(self.minds), list(self.minds.values()))
            customer = asyncio.create_task(Visitor(self, mind, *next(self._seats)).visit())
            self._there.add(customer)
            self.arrived += 1


class Visitor:
    """One guest of the web client, from a showtime's page to the tickets."""

    def __init__(self, crowd: Crowd, mind: Mind, showtime_id: str, seats: list[str]) -> None:
        self._crowd, self._mind, self._showtime_id, self._seats = crowd, mind, showtime_id, seats
        self._gateway = crowd.cinema.platform.url
        self._secret = new_secret()
        self._deadline = FOREVER
        """Until this time every refusal is wrong."""
        self._step = ""

    async def visit(self) -> None:
        """Buy, or not, and record what went wrong."""
        try:
            await self._buy()
        except GaveUp as step:
            self._crowd.gave_up[str(step)] += 1
        except Refused as refused:
            code = refused.problem.get("code")
            if code not in RIGHT:
                told = f"{self._step} {refused.status} {code}"
                (self._crowd.wrong if datetime.now(UTC) < self._deadline else self._crowd.gave_up)[told] += 1

    async def _buy(self) -> None:
        showtime, mind = f"/api/showtimes/{self._showtime_id}", self._mind
        await self._ask("showtime", "GET", showtime)
        hold = await self._ask("hold", "POST", f"{showtime}/holds", {"seats": self._seats})
        purchase = Purchase(hold)
        self._crowd.purchases.append(purchase)
        self._deadline = datetime.fromisoformat(hold["expires_at"])
        if mind is Mind.LEAVES:
            return
        tickets = [{"seat_id": seat, "ticket_type": "adult"} for seat in self._seats]
        body = {"claim": hold["claim"], "tickets": tickets, "email": EMAIL}
        booking = await self._ask("checkout", "POST", "/api/bookings", body)
        purchase.is_checked_out = True
        self._deadline = datetime.fromisoformat(booking["payment_deadline_at"])
        if mind is Mind.LEAVES_CHECKED_OUT:
            return
        if mind is Mind.CANCELS:
            await self._ask("cancel", "POST", f"/api/bookings/{hold['hold_id']}/cancel")
            return
        intent = await self._ask("intent", "POST", "/api/payments/create-intent", {"order": booking["order"]})
        await self._pay(purchase, intent["client_secret"])
        if purchase.paid and mind is not Mind.PAYS_LATE:
            await self._wait_for_tickets(hold["hold_id"])

    async def _pay(self, purchase: Purchase, client_secret: str) -> None:
        if self._mind is Mind.CHANGES_CARD:
            await self._confirm(client_secret, "pm_card_chargeDeclined")
        if self._mind is Mind.PAYS_LATE:
            late = self._deadline + timedelta(seconds=0.5) - datetime.now(UTC)
            await asyncio.sleep(max(0.0, late.total_seconds()))
        purchase.paid = None
        purchase.paid = await self._confirm(client_secret, "pm_card_visa")
        if not purchase.paid and datetime.now(UTC) < self._deadline:
            self._crowd.wrong["Stripe refuses the payment before the deadline"] += 1

    async def _confirm(self, client_secret: str, card: str) -> bool:
        """Pay at Stripe as Stripe.js does. Returns whether the money was taken. Failures there are not Usher's."""
        place = f"{self._crowd.stripe}/v1/payment_intents/{client_secret.partition('_secret_')[0]}"
        key = {"Authorization": f"Bearer {self._crowd.publishable_key}"}
        secret = {"client_secret": client_secret}
        status = ""
        for wait in self._pauses():
            with suppress(httpx.TransportError):
                if status == "processing":
                    answer = await self._crowd.http.get(place, params=secret, headers=key)
                else:
                    asked = secret | {"payment_method": card}
                    answer = await self._crowd.http.post(f"{place}/confirm", data=asked, headers=key)
                    if answer.status_code == 402:
                        return False
                    if (
                        not answer.is_success
                    ):  # an earlier attempt may have taken the money although its response was lost
                        answer = await self._crowd.http.get(place, params=secret, headers=key)
                if answer.is_success:
                    was_processing, status = status == "processing", answer.json()["status"]
                    if status in SETTLED or (was_processing and status != "processing"):
                        return status == "succeeded"
            await asyncio.sleep(wait)
        raise GaveUp("pay")

    async def _wait_for_tickets(self, booking_id: str) -> None:
        self._deadline = FOREVER
        for _ in self._pauses():
            booking = await self._ask("booking", "GET", f"/api/bookings/{booking_id}")
            if booking["state"] == "confirmed":
                self._crowd.confirmed += 1
                return
            if booking["state"] not in {"awaiting_payment", "closing", "confirming"}:
                self._crowd.wrong[f"paid in time, the booking is {booking['state']}"] += 1
                return
            await asyncio.sleep(POLL_S)
        raise GaveUp("tickets")

    async def _ask(self, step: str, method: str, path: str, body: Json | None = None) -> Json:
        """Send the request, and repeat it with the same key as the web client does. Raises Refused and GaveUp."""
        self._step = step
        headers = {"X-Hold-Secret": self._secret} | ({"Idempotency-Key": new_id()} if method != "GET" else {})
        for pause in self._pauses():
            began, wait = time.monotonic(), pause
            try:
                answer = await self._crowd.http.request(method, f"{self._gateway}{path}", headers=headers, json=body)
            except httpx.TransportError as error:
                self._crowd.requests.add(step, began, type(error).__name__)
            else:
                problem = _problem(answer)
                is_failure = answer.status_code >= 500
                failure = f"{answer.status_code} {problem.get('code', '')}".strip() if is_failure else ""
                self._crowd.requests.add(step, began, failure)
                if answer.is_success:
                    return answer.json()
                is_running = problem.get("code") == "idempotency_key_running"
                self._crowd.requests.told_to_wait += is_running
                if not is_running and answer.status_code not in AGAIN:
                    raise Refused(answer.status_code, problem)
                wait = max(pause, min(float(answer.headers.get("Retry-After", 0)), LONGEST_RETRY_AFTER_S))
            await asyncio.sleep(wait)
        raise GaveUp(step)

    def _pauses(self) -> Iterator[float]:
        """Yield the pause before each next attempt, until patience ends."""
        end = time.monotonic() + PATIENCE_S
        for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            if time.monotonic() > end:
                return
            yield pause


def _problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem document of a refusal; empty if there is none."""
    if answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return {}
    return answer.json()
