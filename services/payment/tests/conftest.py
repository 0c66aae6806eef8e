"""Fixtures: the payment service with MongoDB, RabbitMQ, and the Stripe sandbox as a separate process."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe
import uvicorn
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import hash_secret
from chassis.security.signed import SignedText
from chassis.testing import running, until
from chassis.testing.bus import Bus
from chassis.testing.servers import free_port
from chassis.testing.signer import Signer
from contracts.booking import PaymentCancelRequested, RefundRequested
from contracts.claims import PaymentOrder
from contracts.types import Holder
from pydantic import SecretStr

KEY, SECRET, HOLD_SECRET = "sk_test_payment", "whsec_payment", "a-guest-secret-of-more-than-32-characters"
GUEST = {"X-Hold-Secret": HOLD_SECRET}
ORDER_KEY = "an order key for the tests"
LINK_KEY = "a link key for the tests"
ORDERS = SignedText(PaymentOrder, PaymentOrder.audience, SecretStr(ORDER_KEY))
WEBHOOK = "/api/payments/webhook"
PRICE = 2500
STAFF = ["payments:read", "payments:refund"]


@pytest.fixture(scope="session")
def webhook_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def sandbox_url(webhook_port: int) -> Iterator[str]:
    """Start a sandbox that sends its webhooks to the service under test."""
    port = free_port()
    environment = {
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "SANDBOX_WEBHOOK_URL": f"http://127.0.0.1:{webhook_port}/api/payments/webhook",
        "SANDBOX_SETTLE_SECONDS": "0.3",
        "SANDBOX_RETRY_SECONDS": "0.2,0.5,1",
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "stripe_sandbox.main:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
async def at_stripe(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the sandbox, with the secret key."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=sandbox_url, headers=headers, timeout=10) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/healthz")).is_success
            except httpx.TransportError:
                return False

        await until(answers)
        yield client


@pytest.fixture(scope="session")
def payment_env(service_env: None, sandbox_url: str) -> Iterator[None]:
    """The environment of payment, for this process and its child processes."""
    environment = {
        "STRIPE_API_BASE": sandbox_url,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_payment",
        "STRIPE_WEBHOOK_SECRET": f"whsec_new, {SECRET}",
        "STRIPE_TIMEOUT_SECONDS": "1",
        "ORDER_KEY": ORDER_KEY,
        "GIFT_CARD_KEY": "a gift card key for the tests",
        "LINK_KEY": LINK_KEY,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
async def client(
    payment_env: None, at_stripe: httpx.AsyncClient, webhook_port: int
) -> AsyncIterator[httpx.AsyncClient]:
    from payment.main import app  # noqa: PLC0415 - its settings come from the environment

    async with running(app) as client, _listening(app, webhook_port):
        yield client


@asynccontextmanager
async def _listening(app: Any, port: int) -> AsyncIterator[None]:
    """Serve the app on a real port too, for Stripe's webhooks."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # pyright: ignore[reportAttributeAccessIssue]
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _no_signals:  # noqa: N801 - replaces a context manager function
    """Do not install signal handlers: pytest has its own."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass
class Checkout:
    """An unpaid booking, with the actions of its customer, the booking service, staff and Stripe.

    `changes` override fields of its order.
    """

    client: httpx.AsyncClient
    stripe: httpx.AsyncClient
    bus: Bus
    signer: Signer
    id: str = field(default_factory=new_id)
    intent_id: str = ""
    deadline: datetime = field(default_factory=lambda: now() + timedelta(minutes=10))
    changes: dict[str, Any] = field(default_factory=dict)

    def order(self, **changes: Any) -> PaymentOrder:
        fields = {
            "booking_id": self.id,
            "showtime_id": "s1",
            "seats": ["F7", "F8"],
            "holder": Holder(secret_hash=hash_secret(HOLD_SECRET)),
            "email": "guest@usher.example",
            "reference": "USHER1",
            "amount": PRICE,
            "currency": "EUR",
            "payment_deadline_at": self.deadline,
        }
        return PaymentOrder.model_validate(fields | self.changes | changes)

    async def create_intent(self, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
        """Request the intent with the booking's order, or with changed fields."""
        body = {"order": ORDERS.sign(self.order(**changes))}
        answer = await self.client.post("/api/payments/create-intent", json=body, headers=headers or GUEST)
        if answer.is_success:
            self.intent_id = answer.json()["payment_intent_id"]
        return answer

    async def with_intent(self) -> "Checkout":
        answer = await self.create_intent()
        assert answer.status_code == 200, answer.text
        return self

    async def confirm(self, card: str = "pm_card_visa") -> httpx.Response:
        """Confirm the intent, as Stripe.js does when the customer presses pay."""
        return await self.stripe.post(f"/v1/payment_intents/{self.intent_id}/confirm", data={"payment_method": card})

    async def paid(self, card: str = "pm_card_visa") -> "Checkout":
        await self.with_intent()
        answer = await self.confirm(card)
        assert answer.json().get("status") == "succeeded", answer.text
        await self.wait_until(state="succeeded", captured=PRICE)
        return self

    async def cancel(self) -> None:
        await self.bus.publish(PaymentCancelRequested(booking_id=self.id, reason="cancelled"))

    async def request_refund(self, amount: int, refund_id: str) -> None:
        asked = RefundRequested(
            booking_id=self.id, refund_id=refund_id, amount=amount, currency="EUR", reason="cancelled"
        )
        await self.bus.publish(asked)

    async def refund_by_staff(self, **body: Any) -> httpx.Response:
        headers = self.signer.headers("staff-1", STAFF)
        return await self.client.post(f"/api/payments/{self.id}/refunds", json=body, headers=headers)

    async def payment(self) -> dict[str, Any]:
        answer = await self.client.get(f"/api/payments/{self.id}", headers=self.signer.headers("staff-1", STAFF))
        return answer.json() if answer.is_success else {}

    async def wait_until(self, **expected: Any) -> dict[str, Any]:
        """Wait until the payment has these fields."""

        async def fits() -> bool:
            view = await self.payment()
            return all(view.get(name) == value for name, value in expected.items())

        try:
            await until(fits)
        except AssertionError:
            view = await self.payment()
            assert {name: view.get(name) for name in expected} == expected
        return await self.payment()

    async def at_stripe(self) -> dict[str, Any]:
        return (await self.stripe.get(f"/v1/payment_intents/{self.intent_id}")).json()

    async def intents_at_stripe(self) -> list[dict[str, Any]]:
        """Fetch all intents of this booking, newest first."""
        every = await self.stripe.get("/v1/payment_intents", params={"limit": 100})
        return [each for each in every.json()["data"] if each["metadata"].get("booking_id") == self.id]

    async def refunds_at_stripe(self) -> list[dict[str, Any]]:
        answer = await self.stripe.get("/v1/refunds", params={"payment_intent": self.intent_id})
        return answer.json()["data"]

    async def add_fault(self, kind: str, **changes: Any) -> int:
        """Add a fault that affects only this booking."""
        body = {"kind": kind, "metadata": {"booking_id": self.id}} | changes
        answer = await self.stripe.post("/_sandbox/faults", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def release(self) -> None:
        """Release the webhooks that `webhook_hold` has held back."""
        await self.stripe.post("/_sandbox/webhooks/release", json={"metadata": {"booking_id": self.id}})

    async def remove_fault(self, fault: int) -> None:
        await self.stripe.delete(f"/_sandbox/faults/{fault}")

    def events(self, event: Any) -> list[Any]:
        return self.bus.events(event, lambda each: each.booking_id == self.id)

    async def wait_for_events(self, event: Any, count: int = 1) -> list[Any]:
        """Wait for `count` events about this booking."""

        async def enough() -> bool:
            return len(self.events(event)) >= count

        await until(enough)
        return self.events(event)


@pytest.fixture
def new_checkout(
    client: httpx.AsyncClient, at_stripe: httpx.AsyncClient, bus: Bus, signer: Signer
) -> Callable[[], Checkout]:
    """A factory of unpaid bookings."""
    return lambda: Checkout(client, at_stripe, bus, signer)


@pytest.fixture
def checkout(new_checkout: Callable[[], Checkout]) -> Checkout:
    """An unpaid booking."""
    return new_checkout()


@pytest.fixture
def unguard(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Remove the guard from this replica's inserts: they overwrite an existing account."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    async def overwrite(account: Any, **_: Any) -> bool:
        document = account.model_dump(exclude={"id"}) | {"outbox": []}
        await stored_accounts().replace_one({"_id": account.id}, document, upsert=True)
        return True

    return lambda: monkeypatch.setattr(store.accounts, "insert", overwrite)


def signed(event: dict[str, Any] | str | bytes, secret: str = SECRET, age_seconds: int = 0) -> dict[str, Any]:
    """Return `content` and `headers` of a webhook as Stripe sends it."""
    body = json.dumps(event) if isinstance(event, dict) else event
    text = body.decode("latin-1") if isinstance(body, bytes) else body
    at = int(now().timestamp()) - age_seconds
    header = stripe.WebhookSignature.generate_signature_header(text, secret, at)
    return {"content": body, "headers": {"Stripe-Signature": header, "Content-Type": "application/json"}}


def event(kind: str, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Build an event as Stripe's webhook sends it."""
    fields = {"id": f"evt_{new_id()}", "object": "event", "type": kind, "created": int(now().timestamp())}
    return fields | {"data": {"object": body}} | changes


async def stored(event_id: str) -> Any:
    """Return the event if it is stored on its own, not in the account that it changed."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    return await store.webhook_events.get(event_id)


def stored_accounts() -> Any:
    """Return the collection of the accounts."""
    from payment.store import AccountDocument  # noqa: PLC0415 - its settings come from the environment

    return AccountDocument.get_pymongo_collection()


async def reconcile_now(booking_id: str) -> None:
    """Make the payment's next check due, and run the reconciliation job."""
    from payment import jobs, main  # noqa: PLC0415 - its settings come from the environment

    past = {"$set": {"next_check_at": now() - timedelta(seconds=1)}}
    await stored_accounts().update_one({"_id": booking_id, "next_check_at": {"$ne": None}}, past)
    await jobs.reconcile(main.settlement)
