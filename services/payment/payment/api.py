"""HTTP in: paying, looking, giving back, and Stripe's webhook."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import structlog
from chassis import telemetry
from chassis.auth import Caller, Principal, caller, require
from chassis.clock import now
from chassis.ids import new_id
from chassis.problems import TooLarge, documented
from chassis.signed import NotSigned
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
    Line,
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
from payment.news import read_event
from payment.store import Payment, WebhookEvent

log = structlog.get_logger()
router = APIRouter(prefix="/api/payments", tags=["payments"])
Who = Annotated[Caller, Depends(caller)]
MAX_TYPE = 100


class ConfigView(BaseModel):
    """What the payment page needs before it can begin."""

    publishable_key: str
    script_url: str


class IntentRequest(BaseModel):
    """`order` is the text that booking answers to a checkout. `booking_id` is ignored: the order names it."""

    model_config = ConfigDict(extra="forbid")

    order: str | None = None
    booking_id: Annotated[Id | None, Field(json_schema_extra={"deprecated": True})] = None


class IntentView(BaseModel):
    """`client_secret` is for Stripe.js in the customer's browser only. `amount` in minor units."""

    client_secret: str
    payment_intent_id: str
    amount: int
    currency: str
    publishable_key: str


class RefundRequest(BaseModel):
    """`amount` in minor units; without it everything that is left goes back."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[int, Field(ge=1, le=10**9, strict=True)] | None = None


class RefundView(BaseModel):
    """`asked`: it will be sent to Stripe as soon as Stripe answers. Amounts in minor units."""

    refund_id: str
    amount: int
    state: model.RefundState
    asked_by: model.Asker
    at: datetime


class PaymentView(BaseModel):
    """Amounts in minor units; `refunding` is on its way, `refunded` done. The last four are for staff."""

    booking_id: str
    reference: str
    state: State
    amount: int
    currency: str
    payment_deadline_at: datetime | None
    captured: int
    refunding: int
    refunded: int
    refunds: list[RefundView]
    email: str | None = None
    intent_id: str | None = None
    refundable: int | None = None
    ledger: list[Line] | None = None


class Received(BaseModel):
    received: Literal[True] = True


RECEIVED = Received().model_dump_json()


@router.get("/config")
async def config() -> ConfigView:
    """The publishable key and where Stripe's script is."""
    current = settings.get()
    return ConfigView(publishable_key=current.stripe_publishable_key, script_url=current.stripe_js_url)


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
async def create_intent(asked: IntentRequest, who: Who) -> IntentView:
    """The order's one PaymentIntent: made now, or the same one again."""
    order = _read_order(asked.order)
    telemetry.about(order.booking_id)
    if not who.owns(order.holder):
        raise PaymentUnknown
    with stripe.patience():
        offer = await settlement.open_intent(order)
    log.info("intent_offered", booking_id=order.booking_id, intent_id=offer.intent.id)
    return IntentView(
        client_secret=offer.client_secret,
        payment_intent_id=offer.intent.id,
        amount=order.amount,
        currency=order.currency,
        publishable_key=settings.get().stripe_publishable_key,
    )


def _read_order(text: str | None) -> PaymentOrder:
    """Raises OrderRequired and OrderInvalid."""
    if not text:
        raise OrderRequired
    try:
        return settings.get().payment_orders.read(text)
    except NotSigned as error:
        raise OrderInvalid from error


def _owns(who: Caller, payment: Payment) -> bool:
    return payment.holder is not None and who.owns(payment.holder)


@router.post("/webhook", response_model=Received, responses=documented(BadSignature, BadPayload, TooLarge))
async def webhook(request: Request, stripe_signature: Annotated[str | None, Header()] = None) -> Response:
    """Stripe's events: checked, stored once and answered. An event that we do not act on is kept too."""
    event = _read(stripe.verified(await request.body(), stripe_signature))
    work = BackgroundTask(settlement.work_off, event) if await settlement.take_in(event) else None
    return Response(RECEIVED, media_type="application/json", background=work)


def _read(raw: dict[str, Any]) -> WebhookEvent:
    """The event as it is stored. Raises BadPayload for one that is not built like Stripe's."""
    moment = now()
    try:
        event_type = str(raw["type"])[:MAX_TYPE]
        news = read_event(event_type, raw["data"]["object"]) if raw.get("object") == "event" else None
        return WebhookEvent(
            id=raw["id"],
            type=event_type,
            created_at=datetime.fromtimestamp(raw["created"], UTC) if news else moment,
            received_at=moment,
            news=news,
            outcome=None if news else "ignored",
            processed_at=None if news else moment,
            next_try_at=moment + model.check_after(0) if news else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, ValidationError) as error:
        raise BadPayload from error


@router.get("/{booking_id}", responses=documented(PaymentUnknown), response_model_exclude_none=True)
async def get_payment(booking_id: Id, who: Who) -> PaymentView:
    """How a booking's money stands; for its owner, and with the ledger for staff (`payments:read`)."""
    payment = await store.find(booking_id)
    is_staff = who.may("payments:read")
    if payment is None or not (is_staff or _owns(who, payment)):
        raise PaymentUnknown
    view = PaymentView(
        booking_id=payment.id,
        refunds=[_refund_view(refund_id, refund) for refund_id, refund in payment.refunds.items()],
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
        return view
    staff_only = {name: getattr(payment, name) for name in ("email", "intent_id", "refundable", "ledger")}
    return view.model_copy(update=staff_only)


@router.post("/{booking_id}/refunds", status_code=202, responses=documented(PaymentUnknown, RefundTooLarge))
async def refund(
    booking_id: Id, asked: RefundRequest, who: Annotated[Principal, Depends(require("payments:refund"))]
) -> RefundView:
    """Give money back: it is promised with this answer, and sent now or when Stripe answers again."""
    refund_id = new_id()
    payment = await store.change(booking_id, lambda account: model.ask_refund(account, refund_id, asked.amount, now()))
    if payment is None:
        raise PaymentUnknown
    log.info("refund_asked", booking_id=booking_id, refund_id=refund_id, by=who.user_id)
    await settlement.settle_soon(payment)
    settled = await store.find(booking_id) or payment
    return _refund_view(refund_id, settled.refunds[refund_id])


def _refund_view(refund_id: str, refund: model.Refund) -> RefundView:
    return RefundView(refund_id=refund_id, **refund.model_dump(exclude={"stripe_id", "attempt"}))
