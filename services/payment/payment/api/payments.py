"""HTTP routes: payment intents, payments, refunds, and Stripe's webhook."""

from datetime import datetime
from typing import Annotated, Literal

import structlog
from chassis.clock import now
from chassis.http.problems import TooLarge, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, require_everywhere
from chassis.security.signed import NotSigned
from contracts.claims import PaymentOrder
from contracts.types import Id
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from payment import model, store
from payment.api.dependencies import Codes, Config, CurrentCaller, CurrentCodes, CurrentSettlement
from payment.model import (
    Account,
    AlreadyPaid,
    BadPayload,
    BadSignature,
    DeadlinePassed,
    GiftCard,
    GiftCardUnknown,
    GiftCardUnusable,
    GiftCardUsed,
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
    TendersFixed,
    TooManyAttempts,
    WrongCurrency,
)
from payment.settings import Settings
from payment.stripe import time_budget
from payment.webhooks import Webhooks

log = structlog.get_logger()
router = APIRouter(prefix="/api/payments", tags=["payments"])


def _webhooks(request: Request) -> Webhooks:
    return request.app.state.webhooks


class ConfigResponse(BaseModel):
    """The settings of Stripe.js for the payment page."""

    publishable_key: str
    script_url: str


class IntentRequest(BaseModel):
    """`order` is the signed text that a checkout returns. `booking_id` is ignored: the order contains it.

    `gift_cards` are the codes that pay in this order, before credit and card. `use_credit`: the caller's store credit
    pays what it can. A request without both continues the payment as it was begun.
    """

    model_config = ConfigDict(extra="forbid")

    order: str | None = None
    gift_cards: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=5)] = []
    use_credit: bool = False
    booking_id: Annotated[Id | None, Field(json_schema_extra={"deprecated": True})] = None


class ShareResponse(BaseModel):
    """What a gift card or store credit pays, in minor units. `last_characters` are those of the gift card's code."""

    kind: Literal["gift_card", "credit"]
    last_characters: str | None
    amount: int


class IntentResponse(BaseModel):
    """Only Stripe.js in the customer's browser uses `client_secret`. `amount` is what the card pays in minor units.

    Without a rest for the card, the booking is already paid: `amount` is 0, and there is no intent.
    """

    client_secret: str | None
    payment_intent_id: str | None
    amount: int
    currency: str
    publishable_key: str
    shares: list[ShareResponse]


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
    """A dispute. `status` is Stripe's; staff must answer it at Stripe before `respond_by`."""

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
        GiftCardUnknown,
        GiftCardUnusable,
        GiftCardUsed,
        WrongCurrency,
        TendersFixed,
        TooManyAttempts,
        ProviderRefused,
        ProviderUnavailable,
    ),
)
async def create_intent(
    body: IntentRequest, who: CurrentCaller, config: Config, settlement: CurrentSettlement, codes: CurrentCodes
) -> IntentResponse:
    """Create the order's PaymentIntent, or return the existing one: an order has at most one.

    Gift cards and credit are reserved for the booking first. They are released if it is not paid.
    """
    order = _read_order(config, body.order)
    telemetry.set_subject(order.booking_id)
    if not who.owns(order.holder):
        raise PaymentUnknown
    cards = await _cards(body, who, codes, order.currency)
    with time_budget():
        if cards:
            account, handle = await settlement.open_mixed(order, cards)
            shares = account.shares
        else:
            handle = await settlement.open_intent(order)
            is_mixed = handle.intent.amount != order.amount
            stored = await store.find(order.booking_id) if is_mixed else None
            shares = stored.shares if stored else []
    log.info("intent_offered", booking_id=order.booking_id, intent_id=handle.intent.id if handle else None)
    return IntentResponse(
        client_secret=handle.client_secret if handle else None,
        payment_intent_id=handle.intent.id if handle else None,
        amount=handle.intent.amount if handle else 0,
        currency=order.currency,
        publishable_key=config.stripe_publishable_key,
        shares=[ShareResponse(**share.model_dump(exclude={"card_id"})) for share in shares],
    )


async def _cards(body: IntentRequest, who: Caller, codes: Codes, currency: str) -> list[GiftCard]:
    """Return the gift cards of the codes, each once, then the caller's credit in this currency."""
    found = {card.id: card for code in body.gift_cards for card in [await codes.find(code)]}
    if body.use_credit and who.principal:
        credit = await store.find_card(store.credit_id(who.principal.user_id, currency))
        found |= {credit.id: credit} if credit else {}
    return list(found.values())


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
    return RefundResponse(
        refund_id=refund_id, amount=refund.total, **refund.model_dump(include={"state", "asked_by", "at"})
    )
