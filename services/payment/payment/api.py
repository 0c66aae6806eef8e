"""HTTP routes: payment intents, payments, refunds, and Stripe's webhook."""

from datetime import datetime
from typing import Annotated, Literal

import structlog
from chassis.clock import now
from chassis.http.problems import TooLarge, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, caller, require_everywhere
from chassis.security.signed import NotSigned
from contracts.claims import PaymentOrder
from contracts.types import Id
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from payment import model, store
from payment.model import (
    Account,
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
    RefundInvalid,
    RefundTooLarge,
    State,
)
from payment.settings import Settings
from payment.settlement import Settlement
from payment.stripe import time_budget
from payment.webhooks import Webhooks

log = structlog.get_logger()
router = APIRouter(prefix="/api/payments", tags=["payments"])
CurrentCaller = Annotated[Caller, Depends(caller)]


def _config(request: Request) -> Settings:
    return request.app.state.config


def _settlement(request: Request) -> Settlement:
    return request.app.state.settlement


def _webhooks(request: Request) -> Webhooks:
    return request.app.state.webhooks


Config = Annotated[Settings, Depends(_config)]
CurrentSettlement = Annotated[Settlement, Depends(_settlement)]


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


class DisputeResponse(BaseModel):
    """A dispute. `status` is Stripe's; staff answer it at Stripe until `respond_by`."""

    dispute_id: str
    amount: int
    status: str
    reason: str
    is_open: bool
    respond_by: datetime | None
    at: datetime


class PaymentResponse(BaseModel):
    """Amounts are in minor units. `refunding` is requested or pending, `refunded` is completed.

    Only staff receive `email`, `intent_id`, `refundable`, `ledger` and `disputes`. Refunds may wait for the end of a
    dispute.
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
    disputes: list[DisputeResponse] | None = None


class WebhookResponse(BaseModel):
    received: Literal[True] = True


RECEIVED = WebhookResponse().model_dump_json()


@router.get("/config")
async def config(config: Config) -> ConfigResponse:
    """Return the publishable key and the address of Stripe.js."""
    return ConfigResponse(publishable_key=config.stripe_publishable_key, script_url=config.stripe_js_url)


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
async def create_intent(
    body: IntentRequest, who: CurrentCaller, config: Config, settlement: CurrentSettlement
) -> IntentResponse:
    """Create the order's PaymentIntent, or return the existing one: an order has at most one."""
    order = _read_order(config, body.order)
    telemetry.set_subject(order.booking_id)
    if not who.owns(order.holder):
        raise PaymentUnknown
    with time_budget():
        handle = await settlement.open_intent(order)
    log.info("intent_offered", booking_id=order.booking_id, intent_id=handle.intent.id)
    return IntentResponse(
        client_secret=handle.client_secret,
        payment_intent_id=handle.intent.id,
        amount=order.amount,
        currency=order.currency,
        publishable_key=config.stripe_publishable_key,
    )


def _read_order(config: Settings, text: str | None) -> PaymentOrder:
    """Verify and read a signed order. Raises OrderRequired and OrderInvalid."""
    if not text:
        raise OrderRequired
    try:
        return config.payment_orders.read(text)
    except NotSigned as error:
        raise OrderInvalid from error


def _owns(who: Caller, account: Account) -> bool:
    return account.holder is not None and who.owns(account.holder)


@router.post("/webhook", response_model=WebhookResponse, responses=documented(BadSignature, BadPayload, TooLarge))
async def webhook(
    request: Request,
    webhooks: Annotated[Webhooks, Depends(_webhooks)],
    stripe_signature: Annotated[str | None, Header()] = None,
) -> Response:
    """Receive an event from Stripe: verify its signature and store it once. Unused event types are stored, too."""
    event = await webhooks.receive(await request.body(), stripe_signature)
    work = BackgroundTask(webhooks.process, event) if event else None
    return Response(RECEIVED, media_type="application/json", background=work)


@router.get("/{booking_id}", responses=documented(PaymentUnknown), response_model_exclude_none=True)
async def get_payment(booking_id: Id, who: CurrentCaller) -> PaymentResponse:
    """Return the state of a booking's payment to its owner; with the ledger to staff (`payments:read`)."""
    account = await store.find(booking_id)
    is_staff = who.may("payments:read", None)
    if account is None or not (is_staff or _owns(who, account)):
        raise PaymentUnknown
    response = PaymentResponse(
        booking_id=account.id,
        refunds=[_refund_response(refund_id, refund) for refund_id, refund in account.refunds.items()],
        **account.model_dump(
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
    staff_only = {name: getattr(account, name) for name in ("email", "intent_id", "refundable", "ledger")}
    staff_only["disputes"] = [
        DisputeResponse(
            dispute_id=dispute_id,
            is_open=dispute.is_open,
            **dispute.model_dump(exclude={"is_charge_refundable"}),
        )
        for dispute_id, dispute in account.disputes.items()
    ]
    return response.model_copy(update=staff_only)


@router.post(
    "/{booking_id}/refunds", status_code=202, responses=documented(PaymentUnknown, RefundInvalid, RefundTooLarge)
)
async def refund(
    booking_id: Id,
    body: RefundRequest,
    who: Annotated[Principal, Depends(require_everywhere("payments:refund"))],
    settlement: CurrentSettlement,
) -> RefundResponse:
    """Refund a payment. The refund is stored with this answer and sent now, or as soon as Stripe answers."""
    refund_id = new_id()
    account = await store.change(
        booking_id, lambda account: model.request_refund(account, refund_id, body.amount, now())
    )
    if account is None:
        raise PaymentUnknown
    log.info("refund_asked", booking_id=booking_id, refund_id=refund_id, by=who.user_id)
    await settlement.try_settle(account)
    settled = await store.find(booking_id) or account
    return _refund_response(refund_id, settled.refunds[refund_id])


def _refund_response(refund_id: str, refund: model.Refund) -> RefundResponse:
    return RefundResponse(refund_id=refund_id, **refund.model_dump(exclude={"stripe_id", "attempt"}))
