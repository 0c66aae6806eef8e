"""The control API under /_sandbox: faults, held webhooks, deliveries, 3-D Secure and disputes without a browser."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from . import payments
from .disputes import close_dispute, open_dispute
from .errors import InvalidRequest
from .events import find_event
from .faults import Fault, Scope
from .objects import Object
from .state import Sandbox, find
from .webhooks import count_by_state


class AuthenticationRequest(BaseModel):
    """The customer's decision on the bank's page."""

    model_config = ConfigDict(extra="forbid")

    approve: bool
    client_secret: str | None = None


class DisputeRequest(BaseModel):
    """A new dispute: the customer asks the bank for a chargeback."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str
    reason: Literal["fraudulent", "product_not_received", "general", "unrecognized", "duplicate"] = "fraudulent"
    amount: int | None = Field(default=None, ge=1, description="Minor units; null: everything that was not refunded.")


class CloseDisputeRequest(BaseModel):
    """The outcome of a dispute."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["won", "lost"]


def control_api(sandbox: Sandbox) -> APIRouter:
    """Create all routes under /_sandbox. They need no key: they are only reachable on the developer's machine."""
    router = APIRouter(prefix="/_sandbox", tags=["control"])
    _add_faults(router, sandbox)
    _add_webhooks(router, sandbox)
    _add_customers(router, sandbox)

    @router.get("/state")
    async def count() -> dict[str, Any]:
        """Count the objects of each kind."""
        collections = ("intents", "charges", "refunds", "payment_methods", "disputes", "events")
        return {name: len(getattr(sandbox, name)) for name in collections} | {
            "deliveries": count_by_state(sandbox.webhook_sender.deliveries.values())
        }

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Delete everything except the webhook endpoint from the environment."""
        sandbox.reset()
        return {"reset": True}

    return router


def _add_faults(router: APIRouter, sandbox: Sandbox) -> None:
    @router.post("/faults", status_code=201)
    async def add(fault: Fault) -> dict[str, Any]:
        """Add a fault."""
        number = sandbox.faults.add(fault)
        return {"id": number, **fault.model_dump()}

    @router.get("/faults")
    async def list_all() -> list[dict[str, Any]]:
        """List the active faults."""
        return sandbox.faults.list_all()

    @router.delete("/faults")
    async def remove_all() -> dict[str, int]:
        """Remove all faults. Held webhooks stay held until they are released."""
        return {"removed": len(sandbox.faults.remove(lambda number, fault: True))}

    @router.delete("/faults/{number}")
    async def remove(number: int) -> dict[str, int]:
        """Remove one fault."""
        return {"removed": len(sandbox.faults.remove(lambda known, fault: known == number))}


def _add_webhooks(router: APIRouter, sandbox: Sandbox) -> None:
    @router.post("/webhooks/release")
    async def release(scope: Scope | None = None) -> dict[str, int]:
        """Remove the `webhook_hold` faults with exactly this scope (none: all of them), and send the held webhooks."""
        wanted = scope or Scope()
        sandbox.faults.remove(
            lambda number, fault: fault.kind == "webhook_hold" and (scope is None or _same(fault, wanted))
        )
        return {"released": sandbox.webhook_sender.release(wanted)}

    @router.get("/deliveries")
    async def deliveries(
        payment_intent: str | None = None, event_type: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """List the deliveries of webhooks, newest first."""
        found = [
            delivery
            for delivery in reversed(sandbox.webhook_sender.deliveries.values())
            if payment_intent in (None, delivery.event.intent_id)
            and event_type in (None, delivery.event.type)
            and state in (None, delivery.state)
        ]
        return [delivery.to_json() for delivery in found[:limit]]

    @router.post("/events/{identifier}/resend")
    async def resend(identifier: str) -> list[dict[str, Any]]:
        """Send an event again to all subscribed endpoints."""
        event = find_event(sandbox, identifier)
        return [
            delivery.to_json()
            for delivery in sandbox.webhook_sender.send(event, sandbox.webhook_sender.subscribers(event.type))
        ]


def _add_customers(router: APIRouter, sandbox: Sandbox) -> None:
    @router.post("/payment_intents/{identifier}/authenticate")
    async def authenticate(identifier: str, answer: AuthenticationRequest) -> Object:
        """Approve or refuse the pending 3-D Secure of a PaymentIntent."""
        intent = find(sandbox.intents, "payment_intent", identifier, "intent")
        if answer.client_secret not in (None, intent["client_secret"]):
            raise InvalidRequest("The client_secret does not belong to this PaymentIntent.", "client_secret")
        return payments.authenticate(sandbox, intent, approve=answer.approve)

    @router.post("/disputes", status_code=201)
    async def dispute(new: DisputeRequest) -> Object:
        """Dispute the charge of a PaymentIntent."""
        intent = find(sandbox.intents, "payment_intent", new.payment_intent, "payment_intent")
        charge = find(sandbox.charges, "charge", intent["latest_charge"] or "", "payment_intent")
        return open_dispute(sandbox, charge, new.reason, new.amount)

    @router.post("/disputes/{identifier}/close")
    async def close(identifier: str, closing: CloseDisputeRequest) -> Object:
        """Close a dispute."""
        return close_dispute(sandbox, find(sandbox.disputes, "dispute", identifier, "dispute"), closing.status)


def _same(fault: Scope, scope: Scope) -> bool:
    return (fault.payment_intent, fault.metadata) == (scope.payment_intent, scope.metadata)
