"""Webhooks: signed as at Stripe, delivered by a few workers, retried until the response is 2xx."""

import asyncio
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import httpx

from .faults import Fault, Faults, Scope
from .objects import Object, new_id, now
from .settings import API_VERSION, Settings

DeliveryState = Literal["queued", "delayed", "held", "retrying", "delivered", "dropped", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `body` is its JSON, which is rendered once and never changes."""

    id: str
    type: str
    created: int
    body: bytes
    intent_id: str | None
    metadata: dict[str, str]
    delivery_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Delivery:
    """The delivery of one event to one endpoint, with the result of each attempt."""

    event: Event
    endpoint_id: str
    id: str = field(default_factory=lambda: new_id("wd"))
    state: DeliveryState = "queued"
    attempts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        return self.state in ("queued", "delayed", "held", "retrying")

    def to_json(self) -> dict[str, Any]:
        """`{"id", "event", "type", "payment_intent", "endpoint", "state", "attempts": [{"at", "status", "error"}]}`"""
        event = self.event
        subject = {"id": self.id, "event": event.id, "type": event.type, "payment_intent": event.intent_id}
        return subject | {"endpoint": self.endpoint_id, "state": self.state, "attempts": self.attempts}


def create_event(
    kind: str,
    subject: Object,
    *,
    intent: Object | None,
    request: dict[str, str | None],
    previous: Object | None,
    pending: int,
) -> Event:
    """Create an event of type `kind` about an object in its current state."""
    identifier, created = new_id("evt"), now()
    data = {"object": subject} if previous is None else {"object": subject, "previous_attributes": previous}
    body = {
        "id": identifier,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": pending,
        "request": request,
        "type": kind,
    }
    intent_id, metadata = (intent["id"], dict(intent["metadata"])) if intent else (None, {})
    return Event(identifier, kind, created, json.dumps(body).encode(), intent_id, metadata)


def signature(body: bytes, secret: str, at: int) -> str:
    """Return the `Stripe-Signature` header: HMAC-SHA256 over `timestamp.body` (https://docs.stripe.com/webhooks/signature)."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()
    return f"t={at},v1={digest}"


class WebhookSender:
    """Sends events to their subscribed endpoints, and applies the active faults."""

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.endpoints: dict[str, Object] = {}
        self.secrets: dict[str, str] = {}
        self.deliveries: dict[str, Delivery] = {}
        self._queue: asyncio.Queue[list[Delivery]] = asyncio.Queue()
        self._held: list[Delivery] = []
        self._gathered: dict[int, list[Delivery]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while the context is open. Pending deliveries are dropped when it closes."""
        tls = ssl.create_default_context()
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work(tls)) for _ in range(self.settings.webhook_workers)]
            yield
            for worker in workers:
                worker.cancel()

    def subscribers(self, event_type: str) -> list[str]:
        """Return the ids of the endpoints that are subscribed to this type of event."""
        return [
            identifier
            for identifier, endpoint in self.endpoints.items()
            if endpoint["status"] == "enabled"
            and ("*" in endpoint["enabled_events"] or event_type in endpoint["enabled_events"])
        ]

    def send(self, event: Event, endpoint_ids: Iterable[str]) -> list[Delivery]:
        """Start one delivery for each endpoint. Active faults may drop, hold, delay or repeat it."""
        deliveries = [Delivery(event, endpoint_id) for endpoint_id in endpoint_ids]
        for delivery in deliveries:
            self.deliveries[delivery.id] = delivery
            event.delivery_ids.append(delivery.id)
            fault = self.faults.for_webhook(event.type, event.intent_id, event.metadata)
            if fault is None:
                self._queue.put_nowait([delivery])
            else:
                self._apply_fault(delivery, fault)
        while len(self.deliveries) > self.settings.kept:
            del self.deliveries[next(iter(self.deliveries))]
        return deliveries

    def release(self, scope: Scope) -> int:
        """Send the held webhooks that match `scope`; return how many."""
        released = [
            delivery for delivery in self._held if scope.matches(delivery.event.intent_id, delivery.event.metadata)
        ]
        self._held = [delivery for delivery in self._held if delivery not in released]
        if released:
            self._enqueue(released)
        return len(released)

    def clear(self) -> None:
        """Cancel pending deliveries and delete all of them."""
        for delivery in self.deliveries.values():
            if delivery.is_pending:
                delivery.state = "cancelled"
        self.deliveries.clear()
        self._held.clear()
        self._gathered.clear()

    def _apply_fault(self, delivery: Delivery, fault: Fault) -> None:
        match fault.kind:
            case "webhook_drop":
                delivery.state = "dropped"
            case "webhook_delay":
                self._schedule(fault.seconds, [delivery], "delayed")
            case "webhook_repeat":
                self._enqueue([delivery] * fault.times)
            case "webhook_hold":
                delivery.state = "held"
                self._held.append(delivery)
            case "webhook_reorder":
                self._gather(delivery, fault)

    def _gather(self, delivery: Delivery, fault: Fault) -> None:
        delivery.state = "delayed"
        key = id(fault)
        if key not in self._gathered:
            asyncio.get_running_loop().call_later(fault.seconds, self._release_reversed, key)
        self._gathered.setdefault(key, []).append(delivery)
        if fault.is_spent:
            self._release_reversed(key)

    def _release_reversed(self, key: int) -> None:
        if gathered := self._gathered.pop(key, None):
            self._enqueue(gathered[::-1])

    def _enqueue(self, batch: list[Delivery]) -> None:
        for delivery in batch:
            if delivery.is_pending:
                delivery.state = "queued"
        self._queue.put_nowait(batch)

    def _schedule(self, seconds: float, batch: list[Delivery], state: DeliveryState) -> None:
        for delivery in batch:
            delivery.state = state
        asyncio.get_running_loop().call_later(seconds, self._queue.put_nowait, batch)

    async def _work(self, tls: ssl.SSLContext) -> None:
        """Deliver batches over the worker's own connection.

        httpx searches its whole pool for each request: one pool for all workers costs three times the CPU.
        """
        timeout = self.settings.webhook_timeout_seconds
        async with httpx.AsyncClient(verify=tls, timeout=timeout, trust_env=False) as client:
            while True:
                for delivery in await self._queue.get():
                    await self._attempt(client, delivery)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        endpoint = self.endpoints.get(delivery.endpoint_id)
        if endpoint is None or endpoint["status"] != "enabled":
            delivery.state = "cancelled"
        if delivery.state == "cancelled" or endpoint is None:
            return
        status, error = await self._post(client, endpoint, delivery.event.body)
        delivery.attempts.append({"at": time.time(), "status": status, "error": error})
        if status is not None and 200 <= status < 300:
            delivery.state = "delivered"
        elif delivery.state != "delivered":
            self._retry(delivery)

    async def _post(self, client: httpx.AsyncClient, endpoint: Object, body: bytes) -> tuple[int | None, str | None]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, self.secrets[endpoint["id"]], now()),
        }
        try:
            response = await client.post(endpoint["url"], content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"
        return response.status_code, None

    def _retry(self, delivery: Delivery) -> None:
        waits = self.settings.retry_seconds
        if len(delivery.attempts) > len(waits):
            delivery.state = "failed"
        else:
            self._schedule(waits[len(delivery.attempts) - 1], [delivery], "retrying")


def count_by_state(deliveries: Iterable[Delivery]) -> dict[str, int]:
    """Count deliveries by state."""
    totals: dict[str, int] = {}
    for delivery in deliveries:
        totals[delivery.state] = totals.get(delivery.state, 0) + 1
    return totals
