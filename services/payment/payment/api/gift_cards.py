"""Gift cards and store credit for customers: buy, check the balance, refund an unused card."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import structlog
from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, signed_in
from chassis.security.secrets import hash_secret, new_secret
from contracts import currencies
from contracts.types import Amount, ChargedCurrency, Currency, Email, Holder, Id, LanguageTag, Name, StorableMoment
from contracts.types import clean_text as clean
from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from payment import model, store
from payment.api.dependencies import Config, CurrentCaller, CurrentCodes, CurrentSettlement
from payment.model import (
    Account,
    AmountInvalid,
    Delivery,
    GiftCard,
    GiftCardUnknown,
    GiftCardUsed,
    ProviderRefused,
    ProviderUnavailable,
    State,
    TooManyAttempts,
)
from payment.stripe import IntentHandle, time_budget

log = structlog.get_logger()
router = APIRouter(prefix="/api/gift-cards", tags=["gift cards"])
PAY_WITHIN = timedelta(hours=1)
LATEST_DELIVERY = timedelta(days=366)
Code = Annotated[
    str,
    Field(min_length=1, max_length=100, description="Case, spaces and dashes make no difference.", repr=False),
]
SenderName = Annotated[Name, StringConstraints(max_length=100)]
Message = Annotated[str, StringConstraints(max_length=500), AfterValidator(clean)]
Price = Annotated[int, Field(ge=1, le=10**9, strict=True, description="minor units of the currency, e.g. cents")]


class GiftCardRequest(BaseModel):
    """A gift card to buy. The code is mailed to `recipient_email` once it is paid, or at `deliver_at`.

    `sender` and `message` stand in that mail.
    """

    model_config = ConfigDict(extra="forbid")

    amount: Price
    currency: ChargedCurrency
    recipient_email: Email
    sender: SenderName | None = None
    message: Message | None = None
    deliver_at: StorableMoment | None = None
    locale: LanguageTag = "en"


class PurchaseResponse(BaseModel):
    """The purchase of a gift card. `state` is `paid` as soon as the payment has arrived.

    While it is unpaid, Stripe.js in the buyer's browser pays it with `client_secret`. `secret` is set once, for a guest
    without one: send it as `X-Hold-Secret`. The code goes to the recipient only. `refundable`: nothing was paid with
    the card yet.
    """

    id: Id
    state: Literal["unpaid", "paid", "refunding", "refunded", "cancelled"]
    amount: Amount
    currency: Currency
    recipient_email: str
    deliver_at: datetime | None
    mailed_at: datetime | None
    refundable: bool
    client_secret: str | None = None
    payment_intent_id: str | None = None
    publishable_key: str
    secret: str | None = None


class BalanceRequest(BaseModel):
    """The code of a gift card."""

    model_config = ConfigDict(extra="forbid")

    code: Code


class BalanceResponse(BaseModel):
    """What is left on a gift card, in minor units. A `blocked` or `refunded` one cannot pay."""

    balance: Amount
    currency: Currency
    state: Literal["active", "blocked", "refunded"]
    last_characters: str


class CreditResponse(BaseModel):
    """A person's store credit in one currency, in minor units."""

    balance: Amount
    currency: Currency


def check_amount(amount: int, currency: str) -> None:
    """Raises AmountInvalid unless there are gift cards of this amount."""
    least = 10 * currencies.minimum(currency)
    most = min(max(1000 * currencies.minimum(currency), 100_000), currencies.maximum(currency))
    if not least <= amount <= most or amount % currencies.step(currency):
        limits = [f"{currencies.decimal(each, currency)} {currency}" for each in (least, most)]
        raise AmountInvalid(f"A gift card has an amount from {limits[0]} to {limits[1]}.", least=least, most=most)


@router.post("", status_code=201, responses=documented(AmountInvalid, ProviderRefused, ProviderUnavailable))
async def buy(
    body: GiftCardRequest, who: CurrentCaller, config: Config, settlement: CurrentSettlement, response: Response
) -> PurchaseResponse:
    """Buy a gift card, signed in or as a guest. It is issued when Stripe's webhook reports the payment."""
    check_amount(body.amount, body.currency)
    moment = now()
    if body.deliver_at and body.deliver_at > moment + LATEST_DELIVERY:
        raise AmountInvalid("A gift card is mailed within a year.")
    secret = None if who.principal or who.secret else new_secret()
    delivery = Delivery(
        email=body.recipient_email,
        reason="bought",
        locale=body.locale,
        sender=body.sender,
        message=body.message or None,
        deliver_at=body.deliver_at,
    )
    purchase = Account(
        id=new_id(),
        holder=_holder(who, secret),
        amount=body.amount,
        currency=body.currency,
        purchase=delivery,
        payment_deadline_at=moment + PAY_WITHIN,
    )
    telemetry.set_subject(purchase.id)
    with time_budget():
        handle = await settlement.buy(purchase)
    log.info("gift_card_ordered", gift_card_id=purchase.id, amount=body.amount, currency=body.currency)
    response.headers["Location"] = f"/api/gift-cards/{purchase.id}"
    return _purchase(purchase, None, config.stripe_publishable_key, handle, secret)


def _holder(who: Caller, secret: str | None) -> Holder:
    if who.principal:
        return Holder(user_id=who.principal.user_id)
    return Holder(secret_hash=hash_secret(secret or who.secret or ""))


def _purchase(
    account: Account,
    card: GiftCard | None,
    publishable_key: str,
    handle: IntentHandle | None = None,
    secret: str | None = None,
) -> PurchaseResponse:
    delivery = account.purchase
    assert delivery is not None  # noqa: S101 - callers have checked it
    return PurchaseResponse(
        id=account.id,
        state=_state(account),
        amount=account.amount,
        currency=account.currency,
        recipient_email=delivery.email,
        deliver_at=delivery.deliver_at,
        mailed_at=card.mailed_at if card else None,
        refundable=card is not None and card.state == "active" and card.is_unused,
        client_secret=handle.client_secret if handle else None,
        payment_intent_id=handle.intent.id if handle else None,
        publishable_key=publishable_key,
        secret=secret,
    )


def _state(account: Account) -> Literal["unpaid", "paid", "refunding", "refunded", "cancelled"]:
    if account.state is State.CANCELLED:
        return "cancelled"
    if account.state is not State.SUCCEEDED:
        return "unpaid"
    if account.refunding:
        return "refunding"
    return "refunded" if account.refunded >= account.captured else "paid"


@router.post("/balance", responses=documented(GiftCardUnknown, TooManyAttempts))
async def check_balance(body: BalanceRequest, codes: CurrentCodes, response: Response) -> BalanceResponse:
    """Return what is left on a gift card. After 20 wrong codes in an hour, the caller must wait."""
    response.headers["Cache-Control"] = "no-store"
    card = await codes.find(body.code)
    return BalanceResponse.model_validate(card.model_dump())


@router.get("/credit", responses=documented(Unauthenticated))
async def get_credit(who: Annotated[Principal, Depends(signed_in)], response: Response) -> list[CreditResponse]:
    """Return the caller's store credit, one entry for each currency."""
    response.headers["Cache-Control"] = "no-store"
    found = await store.credit_of(who.user_id)
    return [CreditResponse(balance=credit.balance, currency=credit.currency) for credit in found]


@router.get("/{gift_card_id}", responses=documented(GiftCardUnknown, ProviderUnavailable, ProviderRefused))
async def get_purchase(
    gift_card_id: Id, who: CurrentCaller, config: Config, settlement: CurrentSettlement, response: Response
) -> PurchaseResponse:
    """Return the purchase of a gift card to its buyer. While it is unpaid, its payment can be continued."""
    response.headers["Cache-Control"] = "no-store"
    account = await bought(gift_card_id, who)
    with time_budget():
        handle = await settlement.resume_purchase(account)
    account = await store.find(gift_card_id) or account
    return _purchase(account, await store.find_card(gift_card_id), config.stripe_publishable_key, handle)


@router.post(
    "/{gift_card_id}/refund", status_code=202, responses=documented(GiftCardUnknown, GiftCardUsed, Unauthenticated)
)
async def refund(
    gift_card_id: Id, who: CurrentCaller, config: Config, settlement: CurrentSettlement
) -> PurchaseResponse:
    """Refund a gift card with which nothing was paid, to the card that paid for it. For its buyer.

    The code is void from now on. A repeated request changes nothing.
    """
    account = await bought(gift_card_id, who)
    changed = await store.change(account.id, lambda account: model.request_void(account, now())) or account
    await settlement.try_settle(changed)
    card = await store.find_card(gift_card_id)
    if card is None or card.state != "refunded":
        raise GiftCardUsed("A gift card that was used or is not paid yet cannot be refunded.")
    log.info("gift_card_refunded", gift_card_id=gift_card_id)
    account = await store.find(gift_card_id) or account
    return _purchase(account, card, config.stripe_publishable_key)


async def bought(gift_card_id: str, who: Caller) -> Account:
    """Return the purchase of a gift card that the caller bought. Raises GiftCardUnknown."""
    account = await store.find(gift_card_id)
    if account is None or account.purchase is None or account.holder is None or not who.owns(account.holder):
        raise GiftCardUnknown("There is no such gift card.")
    return account
