"""The control API under /_sandbox: faults, held webhooks, deliveries, 3-D Secure and disputes without a browser."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from . import payments
from .disputes import close_dispute, raise_dispute
from .errors import InvalidRequest
from .events import event_called
from .faults import Fault, Scope
from .objects import Object
from .state import Sandbox, find
from .webhooks import counted


class Authentication(BaseModel):
    """The customer's answer on the bank's page."""

    model_config = ConfigDict(extra="forbid")

    approve: bool
    client_secret: str | None = None


class NewDispute(BaseModel):
    """A customer who asks the bank for the money back."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str
    reason: Literal["fraudulent", "product_not_received", "general", "unrecognized", "duplicate"] = "fraudulent"
    amount: int | None = Field(default=None, ge=1, description="Minor units; null: all that was not refunded.")


class Closing(BaseModel):
    """How a dispute ends."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["won", "lost"]


def control_api(box: Sandbox) -> APIRouter:
    """All of /_sandbox. It asks for no key: it is only ever reached on the machine of the developer."""
    router = APIRouter(prefix="/_sandbox", tags=["control"])
    _add_faults(router, box)
    _add_webhooks(router, box)
    _add_customers(router, box)

    @router.get("/state")
    async def count() -> dict[str, Any]:
        """How much of everything there is."""
        shelves = ("intents", "charges", "refunds", "payment_methods", "disputes", "events")
        return {name: len(getattr(box, name)) for name in shelves} | {
            "deliveries": counted(box.courier.deliveries.values())
        }

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Forget everything: objects, events, faults, deliveries, and endpoints that the environment does not name."""
        box.reset()
        return {"reset": True}

    return router


def _add_faults(router: APIRouter, box: Sandbox) -> None:
    @router.post("/faults", status_code=201)
    async def ask(fault: Fault) -> dict[str, Any]:
        """Let something go wrong."""
        number = box.faults.add(fault)
        return {"id": number, **fault.model_dump()}

    @router.get("/faults")
    async def waiting() -> list[dict[str, Any]]:
        """The faults that still wait for their moment."""
        return box.faults.listed()

    @router.delete("/faults")
    async def remove_all() -> dict[str, int]:
        """Take back all faults. Webhooks that are held stay held until they are released."""
        return {"removed": len(box.faults.remove(lambda number, fault: True))}

    @router.delete("/faults/{number}")
    async def remove(number: int) -> dict[str, int]:
        """Take back one fault."""
        return {"removed": len(box.faults.remove(lambda known, fault: known == number))}


def _add_webhooks(router: APIRouter, box: Sandbox) -> None:
    @router.post("/webhooks/release")
    async def release(scope: Scope | None = None) -> dict[str, int]:
        """End the `webhook_hold` of this very scope (without one: all of them) and send what was held back."""
        wanted = scope or Scope()
        box.faults.remove(
            lambda number, fault: fault.kind == "webhook_hold" and (scope is None or _same(fault, wanted))
        )
        return {"released": box.courier.release(wanted)}

    @router.get("/deliveries")
    async def deliveries(
        payment_intent: str | None = None, event_type: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """What became of each webhook, newest first."""
        found = [
            delivery
            for delivery in reversed(box.courier.deliveries.values())
            if payment_intent in (None, delivery.event.intent_id)
            and event_type in (None, delivery.event.type)
            and state in (None, delivery.state)
        ]
        return [delivery.shown() for delivery in found[:limit]]

    @router.post("/events/{identifier}/resend")
    async def resend(identifier: str) -> list[dict[str, Any]]:
        """Send an event once more to everybody who listens for its type."""
        event = event_called(box, identifier)
        return [delivery.shown() for delivery in box.courier.send(event, box.courier.listeners(event.type))]


def _add_customers(router: APIRouter, box: Sandbox) -> None:
    @router.post("/payment_intents/{identifier}/authenticate")
    async def authenticate(identifier: str, answer: Authentication) -> Object:
        """Approve or refuse the 3-D Secure that a PaymentIntent waits for."""
        intent = find(box.intents, "payment_intent", identifier, "intent")
        if answer.client_secret not in (None, intent["client_secret"]):
            raise InvalidRequest("The client_secret does not belong to this PaymentIntent.", "client_secret")
        return payments.authenticate(box, intent, approve=answer.approve)

    @router.post("/disputes", status_code=201)
    async def dispute(new: NewDispute) -> Object:
        """Dispute the charge of a PaymentIntent."""
        intent = find(box.intents, "payment_intent", new.payment_intent, "payment_intent")
        charge = find(box.charges, "charge", intent["latest_charge"] or "", "payment_intent")
        return raise_dispute(box, charge, new.reason, new.amount)

    @router.post("/disputes/{identifier}/close")
    async def close(identifier: str, closing: Closing) -> Object:
        """Decide a dispute."""
        return close_dispute(box, find(box.disputes, "dispute", identifier, "dispute"), closing.status)


def _same(fault: Scope, scope: Scope) -> bool:
    return (fault.payment_intent, fault.metadata) == (scope.payment_intent, scope.metadata)
