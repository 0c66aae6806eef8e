"""Stripe's objects and webhook events, reduced to the fields that payment uses.

Cards, addresses and client secrets are dropped here.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from contracts.types import Id, Moment, Seats
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from payment.model.account import Share, StripeEvent, check_delay
from payment.model.minor_units import from_stripe
from payment.model.problems import BadPayload

MAX_TYPE = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Update(BaseModel):
    model_config = ConfigDict(frozen=True)


def _split_seats(seats: Any) -> Any:
    return seats.split(",") if isinstance(seats, str) else seats


def _split_shares(shares: Any) -> Any:
    """Split the text that `shares_text` makes."""
    if not isinstance(shares, str):
        return shares
    names = ("card_id", "kind", "last_characters", "amount")
    return [dict(zip(names, share.split(":"), strict=True)) for share in shares.split(";")]


def shares_text(shares: list[Share]) -> str:
    """Return the shares as metadata of a PaymentIntent."""
    return ";".join(f"{each.card_id}:{each.kind}:{each.last_characters or ''}:{each.amount}" for each in shares)


class OrderMetadata(_Update):
    """The order in the metadata of its PaymentIntent. `Stripe.create_intent` writes it."""

    reference: str
    showtime_id: Id
    seats: Annotated[Seats, Field(min_length=1), BeforeValidator(_split_seats)]
    user_id: Id | None = None
    secret_hash: str | None = None
    payment_deadline_at: Moment
    shares: Annotated[list[Share], BeforeValidator(_split_shares)] = []
    plan: int = 0

    @model_validator(mode="after")
    def _has_one_holder(self) -> "OrderMetadata":
        if (self.user_id is None) == (self.secret_hash is None):
            raise ValueError("exactly one of user_id and secret_hash is required")
        return self


class IntentUpdate(_Update):
    """The state of a PaymentIntent. `failure_id` is the id of the last declined attempt, if any.

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
    order: OrderMetadata | None = None


class RefundUpdate(_Update):
    """The state of a refund, or a lost dispute. `refund_id` is from our metadata; None: it was created at Stripe."""

    kind: Literal["refund"] = "refund"
    id: str
    intent_id: str
    refund_id: str | None
    amount: int
    state: Literal["pending", "succeeded", "failed"]


class DisputeUpdate(_Update):
    """The state of a dispute."""

    kind: Literal["dispute"] = "dispute"
    id: str
    intent_id: str
    amount: int
    status: str
    reason: str = ""
    is_charge_refundable: bool = False
    respond_by: Moment | None = None


class ChargeUpdate(_Update):
    """A charge of which money was refunded. It does not list the refunds, so they are fetched from Stripe."""

    kind: Literal["charge"] = "charge"
    id: str
    intent_id: str
    amount_refunded: int


StripeUpdate = IntentUpdate | RefundUpdate | DisputeUpdate | ChargeUpdate


class WebhookEvent(BaseModel):
    """An event of Stripe's webhook. Its id is Stripe's, so it is stored once.

    An event that changed an account immediately is stored there instead, by the same write (`Account.stripe_events`).
    `update` is stored as `news`, as earlier releases did. `outcome` is None until the event is processed.
    `next_try_at` is the time of the next try. An event with neither is parked: a person must look at it.
    """

    id: str
    type: str
    created_at: datetime
    received_at: datetime
    update: Annotated[StripeUpdate, Field(discriminator="kind")] | None = Field(
        validation_alias=AliasChoices("update", "news"), serialization_alias="news"
    )
    outcome: str | None = None
    processed_at: datetime | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    last_error: str = ""

    def as_cause(self, now: datetime) -> StripeEvent:
        """Return the event as the account that it changes stores it."""
        return StripeEvent(id=self.id, type=self.type, created_at=self.created_at, processed_at=now)


def parse_webhook(raw: Mapping[str, Any], now: datetime) -> WebhookEvent:
    """Parse the body of a webhook. Raises BadPayload when it is not a Stripe event."""
    try:
        event_type = str(raw["type"])[:MAX_TYPE]
        update = parse_event(event_type, raw["data"]["object"]) if raw.get("object") == "event" else None
        return WebhookEvent(
            id=raw["id"],
            type=event_type,
            created_at=datetime.fromtimestamp(raw["created"], UTC) if update else now,
            received_at=now,
            update=update,
            outcome=None if update else "ignored",
            processed_at=None if update else now,
            next_try_at=now + check_delay(0) if update else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, ValidationError) as error:
        raise BadPayload from error


def parse_intent(raw: Mapping[str, Any]) -> IntentUpdate:
    """Parse a PaymentIntent. Raises pydantic.ValidationError or KeyError when it is malformed."""
    failure = raw.get("last_payment_error") or {}
    method = failure.get("payment_method") or {}
    code = str(failure.get("decline_code") or failure.get("code") or failure.get("type") or "")
    return IntentUpdate(
        id=raw["id"],
        booking_id=_metadata_id(raw, "booking_id"),
        status=raw["status"],
        amount=_amount(raw, "amount"),
        amount_received=_amount(raw, "amount_received"),
        currency=str(raw["currency"]).upper(),
        charge_id=_id_of(raw.get("latest_charge")),
        failure_id=(_id_of(failure.get("charge")) or f"{code}-{_id_of(method)}") if failure else None,
        failure_code=code,
        order=_parse_order(raw),
    )


def _parse_order(raw: Mapping[str, Any]) -> OrderMetadata | None:
    """Return None for metadata that is not ours, is from before 2026-12, or was edited at Stripe."""
    try:
        return OrderMetadata.model_validate(raw.get("metadata"))
    except ValidationError:
        return None


def parse_refund(raw: Mapping[str, Any]) -> RefundUpdate | None:
    """Parse a Refund. Returns None when its charge has no intent: such a charge is not ours."""
    state = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}.get(raw["status"], "pending")
    return _with_intent(
        RefundUpdate,
        raw,
        id=raw["id"],
        refund_id=_metadata_id(raw, "refund_id"),
        amount=_amount(raw, "amount"),
        state=state,
    )


def parse_dispute(raw: Mapping[str, Any]) -> DisputeUpdate | None:
    """Parse a Dispute. Returns None when its charge has no intent: such a charge is not ours."""
    due_by = (raw.get("evidence_details") or {}).get("due_by")
    return _with_intent(
        DisputeUpdate,
        raw,
        id=raw["id"],
        amount=_amount(raw, "amount"),
        status=raw["status"],
        reason=str(raw.get("reason") or ""),
        is_charge_refundable=bool(raw.get("is_charge_refundable")),
        respond_by=datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


def parse_event(event_type: str, raw: Mapping[str, Any]) -> StripeUpdate | None:
    """Parse a webhook event's `data.object`. Returns None for an event that payment does not use."""
    if event_type.startswith("payment_intent."):
        intent = parse_intent(raw)
        return intent if intent.booking_id and event_type in INTENT_EVENTS else None
    if event_type in REFUND_EVENTS:
        return parse_refund(raw)
    if event_type == "charge.refunded":
        return _with_intent(ChargeUpdate, raw, id=raw["id"], amount_refunded=_amount(raw, "amount_refunded"))
    if event_type.startswith("charge.dispute."):
        return parse_dispute(raw)
    return None


INTENT_EVENTS = frozenset(f"payment_intent.{change}" for change in ("succeeded", "payment_failed", "canceled"))
REFUND_EVENTS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})


def _amount(raw: Mapping[str, Any], name: str) -> int:
    """An amount of an object in our minor units; every object of Stripe with an amount names its currency."""
    return from_stripe(raw.get(name) or 0, str(raw["currency"]).upper())


def _with_intent(shape: type[Any], raw: Mapping[str, Any], **fields: Any) -> Any:
    intent_id = _id_of(raw.get("payment_intent"))
    return shape(intent_id=intent_id, **fields) if intent_id else None


def _id_of(value: Any) -> str | None:
    """A related object is its id, or the whole object when the request expanded it."""
    return value.get("id") if isinstance(value, Mapping) else value


def _metadata_id(raw: Mapping[str, Any], name: str) -> str | None:
    value = (raw.get("metadata") or {}).get(name, "")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None
