"""Reserves, takes and returns the money of gift cards and credit, and mails their codes.

An account first stores what must happen to a card (`Account.transfers`). Then the card's ledger is changed, which each
transfer does once, and the account forgets the transfer. So a crash between two steps only delays the second one.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from contracts.payment import GiftCardActed, GiftCardMailed
from contracts.types import Holder

from payment import model, store
from payment.model import (
    Account,
    CardChange,
    Delivery,
    GiftCard,
    GiftCardUnknown,
    GiftCardUnusable,
    GiftCardUsed,
    Share,
    Transfer,
)
from payment.settings import Settings

log = structlog.get_logger()


class GiftCards:
    """The gift cards and credit of all people."""

    def __init__(self, config: Settings) -> None:
        self._keys = config.gift_card_keys
        self._cipher = Cipher(config.link_key.get_secret_value())

    async def find(self, code: str) -> GiftCard:
        """Return the gift card with this code. Raises GiftCardUnknown."""
        hashes = model.hashes_of(code, self._keys)
        card = await store.find_by_code(hashes) if hashes else None
        if card is None:
            raise GiftCardUnknown
        return card

    async def reserve(self, account: Account) -> bool:
        """Reserve the planned shares in the cards' ledgers; return False when a card has too little money by now."""
        for share in account.shares:
            try:
                await _change(share.card_id, partial(model.reserve, use=account.use, amount=share.amount, now=now()))
            except (GiftCardUsed, GiftCardUnusable):
                return False
        return True

    async def carry_out(self, account: Account) -> Account:
        """Carry out the account's transfers; return the account after them."""
        for transfer in account.transfers:
            await self._carry_out(account, transfer)
            changed = await store.change(account.id, partial(model.finish_transfer, transfer=transfer))
            account = changed or account
        return account

    async def _carry_out(self, account: Account, transfer: Transfer) -> None:
        card_id, use = transfer.card_id, transfer.use
        match transfer.kind:
            case "take":
                await _change(card_id, lambda card: model.take(card, use, now()))
            case "release":
                await _change(card_id, lambda card: model.release(card, use, now()))
            case "return":
                await _change(card_id, lambda card: model.give(card, use, transfer.amount, now()))
            case "credit":
                await self._credit(account, transfer)
            case "issue" if account.purchase:
                await self.issue(card_id, account.currency, transfer.amount, account.purchase, buyer=account.holder)
            case "block":
                await self._block(card_id)
            case "void":
                await self._void(account, transfer)
            case _:
                raise model.LedgerBroken(f"transfer {transfer.kind} of {account.id}")

    async def _block(self, card_id: str) -> None:
        """Block a card whose payment is disputed or was refunded at Stripe."""
        card = await store.change_card(card_id, model.block)
        log.warning("gift_card_blocked", gift_card_id=card_id, balance=card.balance if card else None)

    async def _void(self, account: Account, transfer: Transfer) -> None:
        """End an unused card and request the refund of its purchase. A card that was used stays as it is."""
        try:
            await _change(transfer.card_id, lambda card: model.void(card, transfer.use, now()))
        except GiftCardUsed:
            return
        await store.change(
            account.id, lambda account: model.request_purchase_refund(account, f"{account.id}-refund", now())
        )

    async def _credit(self, account: Account, transfer: Transfer) -> None:
        """Credit a refund to the booking's account; to a guest as a gift card, which is mailed."""
        user_id = account.holder.user_id if account.holder else None
        if user_id is None or user_id.startswith("erased-"):
            delivery = Delivery(email=account.email, reason="refund", locale=transfer.locale)
            await self.issue(transfer.card_id, account.currency, transfer.amount, delivery, bonus=transfer.bonus)
            return
        card_id, moment = store.credit_id(user_id, account.currency), now()
        credit = GiftCard(id=card_id, kind="credit", currency=account.currency, owner=user_id, created_at=moment)
        await store.insert_card(credit)
        add = partial(
            model.give, use=transfer.use, amount=transfer.amount, bonus=transfer.bonus, kind="issued", now=now()
        )
        await _change(card_id, add)

    async def issue(
        self,
        card_id: str,
        currency: str,
        amount: int,
        delivery: Delivery,
        *,
        buyer: Holder | None = None,
        bonus: int = 0,
        acts: Sequence[GiftCardActed] = (),
    ) -> GiftCard:
        """Create a gift card with its money, once, and mail its code now or when the buyer wants."""
        moment = now()
        empty = GiftCard(
            id=card_id,
            kind="gift_card",
            currency=currency,
            buyer=buyer,
            delivery=delivery,
            deliver_at=delivery.deliver_at or moment,
            created_at=moment,
        )
        given = model.give(empty, card_id, amount, moment, kind="issued", bonus=bonus) or CardChange()
        card = empty.model_copy(update={"entries": given.entries, "balance": given.amount})
        if await store.insert_card(card, acts):
            log.info("gift_card_issued", gift_card_id=card_id, reason=delivery.reason)
        stored = await store.find_card(card_id) or card
        return await self.deliver(stored, moment) if _is_due(stored, moment) else stored

    async def deliver(self, card: GiftCard, moment: datetime, acts: Sequence[GiftCardActed] = ()) -> GiftCard:
        """Give the card a new code and mail it. An earlier code is void. The code is stored nowhere else."""
        if card.delivery is None:
            raise GiftCardUnusable("The address of this gift card was erased.")
        code = model.new_code()
        plain = model.normal_code(code) or ""
        fields = {
            "code_hash": model.hash_code(plain, self._keys[0]),
            "last_characters": plain[-4:],
            "deliver_at": None,
            "mailed_at": moment,
        }
        mail = GiftCardMailed(
            gift_card_id=card.id,
            mail_id=new_id(),
            reason=card.delivery.reason,
            amount=card.balance,
            currency=card.currency,
            email=card.delivery.email,
            locale=card.delivery.locale,
            sender=card.delivery.sender,
            message=card.delivery.message,
            sealed_code=self._cipher.encrypt(code),
        )
        written = await store.write_card(card, CardChange(fields=fields), [mail, *acts])
        if written is None:  # another replica has just mailed or changed it
            return await store.find_card(card.id) or card
        log.info("gift_card_mailed", gift_card_id=card.id)
        return written


def shares_of(cards: Sequence[GiftCard], amount: int, currency: str) -> list[Share]:
    """Plan what each card pays of a price. Raises GiftCardUsed when they pay nothing."""
    shares = model.plan_shares(amount, currency, cards)
    if not shares:
        raise GiftCardUsed("There is not enough money on the gift card to pay a part of this booking.")
    return shares


def _is_due(card: GiftCard, moment: datetime) -> bool:
    return card.deliver_at is not None and card.deliver_at <= moment


async def _change(card_id: str, decide: store.CardDecide) -> GiftCard:
    card = await store.change_card(card_id, decide)
    if card is None:
        raise model.LedgerBroken(f"there is no gift card {card_id}")
    return card
