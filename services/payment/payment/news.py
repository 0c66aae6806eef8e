"""What Stripe tells us, cut down to what we act on. No card, address or client secret gets any further than here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from contracts.types import Id, Moment, Seats
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True)


def _split(seats: Any) -> Any:
    return seats.split(",") if isinstance(seats, str) else seats


class OrderSeen(_Seen):
    """The order in the metadata of its PaymentIntent (`stripe.create_intent` writes it)."""

    reference: str
    showtime_id: Id
    seats: Annotated[Seats, Field(min_length=1), BeforeValidator(_split)]
    user_id: Id | None = None
    secret_hash: str | None = None
    payment_deadline_at: Moment

    @model_validator(mode="after")
    def _has_one_holder(self) -> "OrderSeen":
        if (self.user_id is None) == (self.secret_hash is None):
            raise ValueError("a person or a guest")
        return self


class IntentSeen(_Seen):
    """A PaymentIntent. `failure_id` names the last declined attempt, if any.

    `booking_id` and `order` come from our metadata. `order` is None in intents from before 2026-12.
    """

    kind: Literal["intent"] = "intent"
    id: str
    booking_id: str | None
    status: str
    amount: int = 0
    amount_received: int
    currency: str
    charge_id: str | None = None
    failure_id: str | None = None
    failure_code: str = ""
    order: OrderSeen | None = None


class RefundSeen(_Seen):
    """A refund, or a lost dispute. `refund_id` from our metadata, None when it was made at Stripe by hand."""

    kind: Literal["refund"] = "refund"
    id: str
    intent_id: str
    refund_id: str | None
    amount: int
    state: Literal["pending", "succeeded", "failed"]


class ChargeSeen(_Seen):
    """A charge with money gone back, without saying which refunds: Stripe must be asked for them."""

    kind: Literal["charge"] = "charge"
    id: str
    intent_id: str
    amount_refunded: int


News = IntentSeen | RefundSeen | ChargeSeen


def read_intent(raw: Mapping[str, Any]) -> IntentSeen:
    """From a PaymentIntent's fields. Raises pydantic.ValidationError or KeyError when they are not Stripe's."""
    failure = raw.get("last_payment_error") or {}
    method = failure.get("payment_method") or {}
    code = str(failure.get("decline_code") or failure.get("code") or failure.get("type") or "")
    return IntentSeen(
        id=raw["id"],
        booking_id=_ours(raw, "booking_id"),
        status=raw["status"],
        amount=raw.get("amount") or 0,
        amount_received=raw.get("amount_received") or 0,
        currency=str(raw["currency"]).upper(),
        charge_id=_id_of(raw.get("latest_charge")),
        failure_id=(_id_of(failure.get("charge")) or f"{code}-{_id_of(method)}") if failure else None,
        failure_code=code,
        order=_order_of(raw),
    )


def _order_of(raw: Mapping[str, Any]) -> OrderSeen | None:
    """None for metadata that is not ours, is from before 2026-12 or was edited at Stripe."""
    try:
        return OrderSeen.model_validate(raw.get("metadata"))
    except ValidationError:
        return None


def read_refund(raw: Mapping[str, Any]) -> RefundSeen | None:
    """From a Refund's fields; None for a charge that no intent made, so not ours."""
    state = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}.get(raw["status"], "pending")
    return _with_intent(
        RefundSeen, raw, id=raw["id"], refund_id=_ours(raw, "refund_id"), amount=raw["amount"], state=state
    )


def read_event(event_type: str, raw: Mapping[str, Any]) -> News | None:
    """What a webhook event's `data.object` says; None for an event that we do not act on."""
    if event_type.startswith("payment_intent."):
        intent = read_intent(raw)
        return intent if intent.booking_id and event_type in INTENT_EVENTS else None
    if event_type in REFUND_EVENTS:
        return read_refund(raw)
    if event_type == "charge.refunded":
        return _with_intent(ChargeSeen, raw, id=raw["id"], amount_refunded=raw["amount_refunded"])
    if event_type == "charge.dispute.closed" and raw["status"] == "lost":
        return _with_intent(RefundSeen, raw, id=raw["id"], refund_id=None, amount=raw["amount"], state="succeeded")
    return None


INTENT_EVENTS = frozenset(f"payment_intent.{change}" for change in ("succeeded", "payment_failed", "canceled"))
REFUND_EVENTS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})


def _with_intent(shape: type[Any], raw: Mapping[str, Any], **fields: Any) -> Any:
    intent_id = _id_of(raw.get("payment_intent"))
    return shape(intent_id=intent_id, **fields) if intent_id else None


def _id_of(value: Any) -> str | None:
    """Stripe gives a related object as its id, or whole when asked to expand it."""
    return value.get("id") if isinstance(value, Mapping) else value


def _ours(raw: Mapping[str, Any], name: str) -> str | None:
    value = (raw.get("metadata") or {}).get(name, "")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None
