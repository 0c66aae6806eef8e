"""HTTP routes: payment intents, payments, refunds, and Stripe's webhook."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import structlog
from chassis.clock import now
from chassis.http.problems import TooLarge, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, caller, require
from chassis.security.signed import NotSigned
from contracts.claims import PaymentOrder
from contracts.types import Id
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask

from payment import model, settings, settlement, store, stripe
from payment.model import (
    AlreadyPaid,
    BadPayload,
    BadSignature,
    DeadlinePassed,
    LedgerEntry,
    OrderInvalid,
    OrderMismatch,
    OrderRequired,
    PaymentClosed,
    PaymentUnknown,
    ProviderRefused,
    ProviderUnavailable,
    RefundTooLarge,
    State,
)
from payment.store import Payment, WebhookEvent
from payment.updates import parse_event

log = structlog.get_logger()
router = APIRouter(prefix="/api/payments", tags=["payments"])
Who = Annotated[Caller, Depends(caller)]
MAX_TYPE = 100


class ConfigResponse(BaseModel):
    """The settings of Stripe.js for the payment page."""

    publishable_key: str
    script_url: str


class IntentRequest(BaseModel):
    """`order` is the signed text that a checkout returns. `booking_id` is ignored: the order contains it."""

    model_config = ConfigDict(extra="forbid")

    order: str | None = None
    booking_id: Annotated[Id | None, Field(json_schema_extra={"deprecated": True})] = None


class IntentResponse(BaseModel):
    """Only Stripe.js in the customer's browser uses `client_secret`. `amount` is in minor units."""

    client_secret: str
    payment_intent_id: str
    amount: int
    currency: str
    publishable_key: str


class RefundRequest(BaseModel):
    """`amount` is in minor units. Default: the whole refundable amount."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[int, Field(ge=1, le=10**9, strict=True)] | None = None


class RefundResponse(BaseModel):
    """State `asked`: the refund is sent to Stripe as soon as Stripe answers. Amounts are in minor units."""

    refund_id: str
    amount: int
    state: model.RefundState
    asked_by: model.RefundRequester
    at: datetime


class PaymentResponse(BaseModel):
    """Amounts are in minor units. `refunding` is requested or pending, `refunded` is completed.

    Only staff receive `email`, `intent_id`, `refundable` and `ledger`.
    """

    booking_id: str
    reference: str
    state: State
    amount: int
    currency: str
    payment_deadline_at: datetime | None
    captured: int
    refunding: int
    refunded: int
    refunds: list[RefundResponse]
    email: str | None = None
    intent_id: str | None = None
    refundable: int | None = None
    ledger: list[LedgerEntry] | None = None


class WebhookResponse(BaseModel):
    received: Literal[True] = True


RECEIVED = WebhookResponse().model_dump_json()


@router.get("/config")
async def config() -> ConfigResponse:
    """Return the publishable key and the address of Stripe.js."""
    current = settings.get()
    return ConfigResponse(publishable_key=current.stripe_publishable_key, script_url=current.stripe_js_url)


@router.post(
    "/create-intent",
    responses=documented(
        OrderRequired,
        OrderInvalid,
        PaymentUnknown,
        OrderMismatch,
        PaymentClosed,
        DeadlinePassed,
        AlreadyPaid,
        ProviderRefused,
        ProviderUnavailable,
    ),
)
async def create_intent(body: IntentRequest, who: Who) -> IntentResponse:
    """Create the order's PaymentIntent, or return the existing one: an order has at most one."""
    order = _read_order(body.order)
    telemetry.about(order.booking_id)
    if not who.owns(order.holder):
        raise PaymentUnknown
    with stripe.time_budget():
        handle = await settlement.open_intent(order)
    log.info("intent_offered", booking_id=order.booking_id, intent_id=handle.intent.id)
    return IntentResponse(
        client_secret=handle.client_secret,
        payment_intent_id=handle.intent.id,
        amount=order.amount,
        currency=order.currency,
        publishable_key=settings.get().stripe_publishable_key,
    )


def _read_order(text: str | None) -> PaymentOrder:
    """Verify and read a signed order. Raises OrderRequired and OrderInvalid."""
    if not text:
        raise OrderRequired
    try:
        return settings.get().payment_orders.read(text)
    except NotSigned as error:
        raise OrderInvalid from error


def _owns(who: Caller, payment: Payment) -> bool:
    return payment.holder is not None and who.owns(payment.holder)


@router.post("/webhook", response_model=WebhookResponse, responses=documented(BadSignature, BadPayload, TooLarge))
async def webhook(request: Request, stripe_signature: Annotated[str | None, Header()] = None) -> Response:
    """Receive an event from Stripe: verify its signature and store it once. Unused event types are stored, too."""
    event = _parse(stripe.verify_webhook(await request.body(), stripe_signature))
    work = BackgroundTask(settlement.process, event) if await settlement.receive(event) else None
    return Response(RECEIVED, media_type="application/json", background=work)


def _parse(raw: dict[str, Any]) -> WebhookEvent:
    """Parse an event for storage. Raises BadPayload when it is not a Stripe event."""
    moment = now()
    try:
        event_type = str(raw["type"])[:MAX_TYPE]
        update = parse_event(event_type, raw["data"]["object"]) if raw.get("object") == "event" else None
        return WebhookEvent(
            id=raw["id"],
            type=event_type,
            created_at=datetime.fromtimestamp(raw["created"], UTC) if update else moment,
            received_at=moment,
            news=update,
            outcome=None if update else "ignored",
            processed_at=None if update else moment,
            next_try_at=moment + model.check_delay(0) if update else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, ValidationError) as error:
        raise BadPayload from error


@router.get("/{booking_id}", responses=documented(PaymentUnknown), response_model_exclude_none=True)
async def get_payment(booking_id: Id, who: Who) -> PaymentResponse:
    """Return the state of a booking's payment to its owner; with the ledger to staff (`payments:read`)."""
    payment = await store.find(booking_id)
    is_staff = who.may("payments:read")
    if payment is None or not (is_staff or _owns(who, payment)):
        raise PaymentUnknown
    response = PaymentResponse(
        booking_id=payment.id,
        refunds=[_refund_response(refund_id, refund) for refund_id, refund in payment.refunds.items()],
        **payment.model_dump(
            include={
                "reference",
                "state",
                "amount",
                "currency",
                "payment_deadline_at",
                "captured",
                "refunding",
                "refunded",
            }
        ),
    )
    if not is_staff:
        return response
    staff_only = {name: getattr(payment, name) for name in ("email", "intent_id", "refundable", "ledger")}
    return response.model_copy(update=staff_only)


@router.post("/{booking_id}/refunds", status_code=202, responses=documented(PaymentUnknown, RefundTooLarge))
async def refund(
    booking_id: Id, body: RefundRequest, who: Annotated[Principal, Depends(require("payments:refund"))]
) -> RefundResponse:
    """Refund a payment. The refund is stored with this answer and sent now, or as soon as Stripe answers."""
    refund_id = new_id()
    payment = await store.change(
        booking_id, lambda account: model.request_refund(account, refund_id, body.amount, now())
    )
    if payment is None:
        raise PaymentUnknown
    log.info("refund_asked", booking_id=booking_id, refund_id=refund_id, by=who.user_id)
    await settlement.try_settle(payment)
    settled = await store.find(booking_id) or payment
    return _refund_response(refund_id, settled.refunds[refund_id])


def _refund_response(refund_id: str, refund: model.Refund) -> RefundResponse:
    return RefundResponse(refund_id=refund_id, **refund.model_dump(exclude={"stripe_id", "attempt"}))
