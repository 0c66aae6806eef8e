"""Fixtures: a sandbox on a real port, the official SDK as its client, and a shop that receives its webhooks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import stripe
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from stripe_sandbox.main import create_app
from stripe_sandbox.settings import Settings

SECRET = "whsec_of_the_test_shop"


@asynccontextmanager
async def served(app) -> AsyncIterator[str]:
    """Serve `app` on a free loopback port; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Shop:
    """Receives webhooks, verifies them with the SDK, and responds with the test's `answers`, then with 200."""

    url: str = ""
    received: list[stripe.Event] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        event = stripe.Webhook.construct_event(body, request.headers["stripe-signature"], SECRET)
        self.received.append(event)
        self.headers.append(dict(request.headers))
        return Response(status_code=self.answers.pop(0) if self.answers else 200)

    def clear(self) -> None:
        self.received.clear()
        self.headers.clear()
        self.answers.clear()

    def types(self, intent_id: str | None = None) -> list[str]:
        return [event.type for event in self.received if intent_id is None or intent_of(event) == intent_id]

    async def until(self, is_so: Callable[[], object], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not is_so():
                await asyncio.sleep(0.01)


def intent_of(event: stripe.Event) -> str:
    about = event.data.object
    return about["id"] if about["object"] == "payment_intent" else about["payment_intent"]


@pytest.fixture(scope="session")
async def open_shop() -> AsyncIterator[Shop]:
    shop = Shop()
    async with served(Starlette(routes=[Route("/webhook", shop.receive, methods=["POST"])])) as url:
        shop.url = f"{url}/webhook"
        yield shop


@pytest.fixture(scope="session")
def app(open_shop) -> FastAPI:
    """A sandbox that sends its webhooks to the shop."""
    settings = Settings(
        webhook_url=open_shop.url, webhook_secret=SECRET, retry_seconds=(0.02, 0.04, 0.08), settle_seconds=0.05
    )
    return create_app(settings)


@pytest.fixture(scope="session")
async def address(app) -> AsyncIterator[str]:
    async with served(app) as url:
        yield url


@pytest.fixture
def serve():
    """Serve another application: `async with serve(app) as url`."""
    return served


@pytest.fixture
async def control(address) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client, for the control API and for requests that the SDK cannot send. It resets the sandbox."""
    async with httpx.AsyncClient(base_url=address, trust_env=False) as control:
        await control.post("/_sandbox/reset")
        yield control


@pytest.fixture
def sandbox(address, control) -> str:
    """The address of an empty sandbox."""
    return address


@pytest.fixture
def shop(open_shop) -> Shop:
    open_shop.clear()
    return open_shop


@pytest.fixture(scope="session")
async def http_client() -> AsyncIterator[stripe.HTTPXClient]:
    http = stripe.HTTPXClient()
    yield http
    await http.close_async()


@pytest.fixture
def client(sandbox, http_client) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_shop", http_client=http_client, base_addresses={"api": sandbox})


@pytest.fixture
def pay(client):
    """Make and confirm a PaymentIntent with one of Stripe's `pm_card_…`."""

    async def pay(card: str = "pm_card_visa", amount: int = 2900, **more) -> stripe.PaymentIntent:
        params = {"amount": amount, "currency": "eur", "payment_method": card, "payment_method_types": ["card"]}
        return await client.v1.payment_intents.create_async({**params, "confirm": True, **more})

    return pay


async def refusal(call: Awaitable[Any], kind: type[stripe.StripeError] = stripe.InvalidRequestError) -> Any:
    """Return the SDK's error that `call` must raise."""
    with pytest.raises(kind) as caught:
        await call
    return caught.value


@pytest.fixture
def refused():
    return refusal
