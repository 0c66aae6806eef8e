"""A small client for customers: it uses the API through the gateway, as a web page or an app does.

`make demo` and the end-to-end tests use it. Methods return the decoded JSON and raise Refused for a problem document.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect

Json = dict[str, Any]
STRIPE = "https://api.stripe.com"
LOOPBACK = ("127.0.0.1", "localhost")


class Refused(Exception):
    """The response is a problem document."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status, self.problem = status, problem
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")


class Customer:
    """One person at one gateway; a guest until `log_in`."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url, self.http = url, http
        self.headers: dict[str, str] = {}
        self.token: str | None = None
        self.orders: dict[str, str] = {}
        """The payment orders of this person's checkouts, by hold id."""

    async def call(self, method: str, path: str, *, secret: str | None = None, **request: Any) -> Json:
        """Send one request through the gateway. `secret` is the secret of a guest's hold."""
        headers = self.headers | request.pop("headers", {})
        if secret:
            headers["X-Hold-Secret"] = secret
        answer = await self.http.request(method, f"{self.url}{path}", headers=headers, **request)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.json())
        return answer.json() if answer.content else {}

    async def log_in(self, email: str, password: str) -> Json:
        """Sign in. Later requests carry the access token."""
        session = await self.call("POST", "/api/auth/login", json={"email": email, "password": password})
        self.token = session["access_token"]
        self.headers["Authorization"] = f"Bearer {self.token}"
        return session

    async def free_seats(self, showtime_id: str) -> list[str]:
        """Return the free seats that anybody may buy one by one, in the order of the map."""
        seat_map = await self.call("GET", f"/api/showtimes/{showtime_id}/seats")
        single = (seat for seat in seat_map["layout"]["seats"] if not seat.get("pair"))
        ordinary = (seat for seat in single if seat["category"] not in {"wheelchair", "companion"})
        return [seat["seat_id"] for seat in ordinary if seat["seat_id"] not in seat_map["taken"]]

    async def hold(self, showtime_id: str, seats: list[str], secret: str | None = None) -> Json:
        """Hold all of the seats or none. The result contains the claim that a checkout needs.

        `secret` makes it the hold of the same guest as another hold.
        """
        hold = await self.call("POST", f"/api/showtimes/{showtime_id}/holds", json={"seats": seats}, secret=secret)
        return hold | {"secret": hold.get("secret") or secret}

    async def check_out(self, hold: Json, email: str, ticket_type: str = "adult", **extra: Any) -> Json:
        """Turn a hold into a booking that awaits payment; every seat gets the same ticket type."""
        tickets = [{"seat_id": seat["seat_id"], "ticket_type": ticket_type} for seat in hold["seats"]]
        body = {"claim": hold["claim"], "tickets": tickets, "email": email} | extra
        booking = await self.call("POST", "/api/bookings", json=body, secret=hold.get("secret"))
        if booking["order"]:
            self.orders[hold["hold_id"]] = booking["order"]
        return booking

    async def booking(self, hold: Json) -> Json:
        """Return the booking."""
        return await self.call("GET", f"/api/bookings/{hold['hold_id']}", secret=hold.get("secret"))

    async def cancel(self, hold: Json) -> Json:
        """Cancel the booking."""
        return await self.call("POST", f"/api/bookings/{hold['hold_id']}/cancel", secret=hold.get("secret"))

    async def create_intent(self, hold: Json, *gift_cards: str) -> Json:
        """Create the payment intent that the browser confirms, for what these gift cards leave of the order."""
        order = self.orders.get(hold["hold_id"]) or (await self.booking(hold))["order"]
        body = {"order": order, "gift_cards": gift_cards}
        return await self.call("POST", "/api/payments/create-intent", json=body, secret=hold.get("secret"))

    async def pay(self, intent: Json, card: str = "pm_card_visa") -> Json:
        """Confirm the intent at Stripe as the browser does, with publishable key and client secret. Raises Refused."""
        config = await self.call("GET", "/api/payments/config")
        client_secret = intent["client_secret"]
        intent_id = client_secret.partition("_secret_")[0]
        answer = await self.http.post(
            f"{_stripe_api(config['script_url'])}/v1/payment_intents/{intent_id}/confirm",
            data={"client_secret": client_secret, "payment_method": card},
            headers={"Authorization": f"Bearer {config['publishable_key']}"},
        )
        body = answer.json()
        if answer.status_code >= 400:
            raise Refused(answer.status_code, body["error"])
        return body

    async def settled(self, hold: Json, *states: str, seconds: float = 60) -> Json:
        """Wait until the booking is in one of these states and return it. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while (booking := await self.booking(hold))["state"] not in states:
                await asyncio.sleep(0.05)
            return booking

    async def buy(self, showtime_id: str, seats: list[str], email: str, card: str = "pm_card_visa") -> Json:
        """Buy tickets and return the hold, whose id is the booking's."""
        hold = await self.hold(showtime_id, seats)
        await self.check_out(hold, email)
        await self.pay(await self.create_intent(hold), card)
        return hold

    async def cancel_tickets(self, hold: Json, *ticket_ids: str) -> Json:
        """Cancel these tickets of the booking, or all of them, as quoted. Returns the quote."""
        path, secret = f"/api/bookings/{hold['hold_id']}", hold.get("secret")
        chosen = {"ticket_ids": list(ticket_ids)}
        quote = await self.call("POST", f"{path}/cancellation-quote", json=chosen, secret=secret)
        await self.call("POST", f"{path}/cancel", json={"quote_id": quote["quote_id"]}, secret=secret)
        return quote

    async def order_exchange(
        self, old: Json, showtime_id: str, seats: list[str], *ticket_ids: str, ticket_type: str = "adult"
    ) -> tuple[Json, Json]:
        """Order these seats in exchange for the tickets, or for all of the booking. Returns the hold and the quote."""
        secret = old.get("secret")
        hold = await self.hold(showtime_id, seats, secret)
        tickets = [{"seat_id": seat["seat_id"], "ticket_type": ticket_type} for seat in hold["seats"]]
        order = {"claim": hold["claim"], "hold_id": hold["hold_id"], "tickets": tickets}
        body = order | {"ticket_ids": list(ticket_ids)}
        path = f"/api/bookings/{old['hold_id']}/exchange-quote"
        quote = await self.call("POST", path, json=body, secret=secret)
        replaces = {"booking_id": old["hold_id"], "quote_id": quote["quote_id"]}
        booking = await self.call("POST", "/api/bookings", json=order | {"replaces": replaces}, secret=secret)
        if booking["order"]:
            self.orders[hold["hold_id"]] = booking["order"]
        return hold, quote

    async def exchange(
        self, old: Json, showtime_id: str, seats: list[str], *ticket_ids: str, ticket_type: str = "adult"
    ) -> tuple[Json, Json]:
        """Exchange tickets and pay the difference, if there is one. Returns the hold and the quote."""
        hold, quote = await self.order_exchange(old, showtime_id, seats, *ticket_ids, ticket_type=ticket_type)
        if quote["amount_due"] > 0:
            await self.pay(await self.create_intent(hold))
        return hold, quote

    @asynccontextmanager
    async def watching(self, showtime_id: str, on_message: Callable[[Json], None]) -> AsyncIterator[None]:
        """Subscribe to a showtime's seats and the caller's bookings over the WebSocket. The snapshot comes first."""
        async with connect(f"ws{self.url.removeprefix('http')}/ws") as socket:
            if self.token:
                await socket.send(json.dumps({"type": "authenticate", "token": self.token}))
            await socket.send(json.dumps({"type": "subscribe", "showtime_id": showtime_id}))
            listening = asyncio.create_task(_listen(socket, on_message))
            try:
                yield
            finally:
                listening.cancel()


async def _listen(socket: ClientConnection, on_message: Callable[[Json], None]) -> None:
    async for text in socket:
        on_message(json.loads(text))


def _stripe_api(script_url: str) -> str:
    """Return the address of Stripe's API, or of the sandbox that serves the page's script."""
    script = urlsplit(script_url)
    return f"{script.scheme}://{script.netloc}" if script.hostname in LOOPBACK else STRIPE
