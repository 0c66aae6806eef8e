"""Gift cards for staff: what the cinema owes, look-up, issue, mail again, block. Each act is in the audit log."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.ids import new_id
from chassis.security.auth import Principal, require_everywhere
from contracts.payment import GiftCardActed
from contracts.types import Amount, ChargedCurrency, Currency, Email, Id, LanguageTag
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from payment import model, store
from payment.api.dependencies import CurrentGiftCards
from payment.api.gift_cards import Message, Price, check_amount
from payment.model import AmountInvalid, Delivery, GiftCard, GiftCardUnknown, GiftCardUnusable

log = structlog.get_logger()
router = APIRouter(prefix="/api/gift-cards", tags=["gift cards"])
Reader = Annotated[Principal, Depends(require_everywhere("gift_cards:read"))]
Writer = Annotated[Principal, Depends(require_everywhere("gift_cards:write"))]


class LiabilityResponse(BaseModel):
    """What the cinema owes to the holders of gift cards or credit in one currency, in minor units.

    `owed` includes `reserved`, which unpaid bookings hold. `count` is the number of cards with money on them.
    """

    currency: Currency
    kind: model.Kind
    count: int
    owed: int
    reserved: int


class EntryResponse(BaseModel):
    """An entry of a card's ledger. `use` is the booking, refund or purchase."""

    kind: model.EntryKind
    use: str
    amount: int
    at: datetime


class GiftCardResponse(BaseModel):
    """A gift card as staff see it. Nobody can read its code."""

    id: Id
    kind: model.Kind
    state: str
    last_characters: str | None
    currency: Currency
    balance: Amount
    reserved: Amount
    recipient_email: str | None
    deliver_at: datetime | None
    mailed_at: datetime | None
    created_at: datetime
    entries: list[EntryResponse]


class IssueRequest(BaseModel):
    """A gift card that staff give to somebody, for example as an apology."""

    model_config = ConfigDict(extra="forbid")

    amount: Price
    currency: ChargedCurrency
    recipient_email: Email
    message: Message | None = None
    locale: LanguageTag = "en"


LastCharacters = Annotated[
    str,
    Query(pattern=r"^[0-9A-Za-z]{4}$", description="The last four characters of the code."),
]


@router.get("/liability", responses=documented(Unauthenticated, Forbidden))
async def get_liability(_: Reader) -> list[LiabilityResponse]:
    """Return what the cinema owes to the holders of gift cards and credit, by currency and kind."""
    return [
        LiabilityResponse(owed=each.balance + each.reserved, **each.model_dump(exclude={"balance"}))
        for each in await store.liabilities()
    ]


@router.get("", responses=documented(Unauthenticated, Forbidden))
async def find_gift_cards(_: Reader, last_characters: LastCharacters) -> list[GiftCardResponse]:
    """Return the latest gift cards whose codes end with these characters, with their ledgers."""
    found = await store.find_by_last_characters(model.read_characters(last_characters))
    return [_response(card) for card in found]


@router.post("/issue", status_code=201, responses=documented(Unauthenticated, Forbidden, AmountInvalid))
async def issue(body: IssueRequest, who: Writer, gift_cards: CurrentGiftCards) -> GiftCardResponse:
    """Issue a gift card that nobody paid for, and mail its code."""
    check_amount(body.amount, body.currency)
    card_id = new_id()
    delivery = Delivery(email=body.recipient_email, reason="staff", locale=body.locale, message=body.message or None)
    acts = [_act("gift_card_issued", who, card_id)]
    return _response(await gift_cards.issue(card_id, body.currency, body.amount, delivery, acts=acts))


@router.post("/{gift_card_id}/block", responses=documented(Unauthenticated, Forbidden, GiftCardUnknown))
async def block(gift_card_id: Id, who: Writer) -> GiftCardResponse:
    """Block a gift card, for example one whose mail was stolen. It cannot pay until it is unblocked."""
    return await _decide(gift_card_id, model.block, _act("gift_card_blocked", who, gift_card_id))


@router.post("/{gift_card_id}/unblock", responses=documented(Unauthenticated, Forbidden, GiftCardUnknown))
async def unblock(gift_card_id: Id, who: Writer) -> GiftCardResponse:
    """Let a blocked gift card pay again."""
    return await _decide(gift_card_id, model.unblock, _act("gift_card_unblocked", who, gift_card_id))


@router.post(
    "/{gift_card_id}/mail",
    responses=documented(Unauthenticated, Forbidden, GiftCardUnknown, GiftCardUnusable),
)
async def mail_again(gift_card_id: Id, who: Writer, gift_cards: CurrentGiftCards) -> GiftCardResponse:
    """Mail a new code to the recipient of a gift card. The earlier code is void."""
    card = await _found(gift_card_id)
    if card.kind != "gift_card" or card.state != "active":
        raise GiftCardUnusable
    acts = [_act("gift_card_mailed", who, gift_card_id)]
    return _response(await gift_cards.deliver(card, now(), acts))


async def _decide(gift_card_id: str, decide: store.CardDecide, act: GiftCardActed) -> GiftCardResponse:
    card = await store.change_card(gift_card_id, decide, [act])
    if card is None:
        raise GiftCardUnknown("There is no such gift card.")
    log.info(act.action, gift_card_id=gift_card_id, by=act.actor_id)
    return _response(card)


async def _found(gift_card_id: str) -> GiftCard:
    card = await store.find_card(gift_card_id)
    if card is None:
        raise GiftCardUnknown("There is no such gift card.")
    return card


def _act(action: str, who: Principal, gift_card_id: str) -> GiftCardActed:
    return GiftCardActed(
        act_id=new_id(), action=action, actor_id=who.user_id, gift_card_id=gift_card_id, acted_at=now()
    )


def _response(card: GiftCard) -> GiftCardResponse:
    facts = card.model_dump(exclude={"entries", "delivery", "buyer", "owner", "code_hash", "version"})
    entries = [EntryResponse(**entry.model_dump(exclude={"entry_id"})) for entry in card.entries]
    email = card.delivery.email if card.delivery else None
    return GiftCardResponse(recipient_email=email, entries=entries, **facts)
