"""Gift cards and store credit: ledgers of entries that are only ever appended. No I/O; the time is a parameter.

Each rule returns the change of a card, or None when the ledger already has it. So every step can be repeated.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from contracts.types import Holder
from pydantic import BaseModel

from payment.model.problems import GiftCardUnusable, GiftCardUsed, LedgerBroken

Kind = Literal["gift_card", "credit"]
EntryKind = Literal["issued", "bonus", "reserved", "released", "taken", "returned", "refunded"]
MailReason = Literal["bought", "refund", "staff"]


class Entry(BaseModel):
    """One change of a card. `amount` in minor units changes the balance: a reservation is negative, `taken` is 0.

    `use` identifies the payment, refund or purchase.
    """

    entry_id: str
    kind: EntryKind
    use: str
    amount: int
    at: datetime


class Delivery(BaseModel):
    """To whom a gift card is mailed, and why."""

    email: str
    reason: MailReason
    locale: str = "en"
    sender: str | None = None
    message: str | None = None
    deliver_at: datetime | None = None

    def forgotten(self) -> "Delivery":
        """Return the delivery without names, address and message."""
        return self.model_copy(update={"email": "", "sender": None, "message": None})


class GiftCard(BaseModel):
    """A gift card, or the store credit of an account in one currency.

    `balance` is the sum of the entries, and never negative. `reserved` is the part of it that payments have reserved
    and not taken. `code_hash` is set when the code is mailed, `deliver_at` while that is still due. `owner` is the
    account that the credit belongs to; `buyer` bought the card.
    """

    id: str
    version: int = 1
    kind: Kind
    state: Literal["active", "blocked", "refunded"] = "active"
    currency: str
    balance: int = 0
    reserved: int = 0
    entries: list[Entry] = []
    owner: str | None = None
    buyer: Holder | None = None
    code_hash: str | None = None
    last_characters: str | None = None
    delivery: Delivery | None = None
    deliver_at: datetime | None = None
    mailed_at: datetime | None = None
    created_at: datetime

    @property
    def issued(self) -> int:
        """What the card was worth at first."""
        return sum(entry.amount for entry in self.entries if entry.kind in ("issued", "bonus"))

    @property
    def is_unused(self) -> bool:
        """Whether nothing was ever paid with the card, and no payment has reserved any of its money now."""
        return not self.reserved and all(
            entry.kind in ("issued", "bonus", "reserved", "released") for entry in self.entries
        )

    def has(self, kind: EntryKind, use: str) -> bool:
        """Whether the ledger has this entry."""
        return any(entry.entry_id == entry_id(kind, use) for entry in self.entries)


@dataclass(frozen=True)
class CardChange:
    """A rule's decision: entries to append, fields to set, and the change of the reserved money."""

    entries: list[Entry] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    reserved: int = 0

    @property
    def amount(self) -> int:
        """The change of the balance."""
        return sum(entry.amount for entry in self.entries)


def entry_id(kind: EntryKind, use: str) -> str:
    """Return the id of the one entry of this kind for this use."""
    return f"{use}-{kind}"


def new_entry(kind: EntryKind, use: str, amount: int, now: datetime) -> Entry:
    """Create an entry."""
    return Entry(entry_id=entry_id(kind, use), kind=kind, use=use, amount=amount, at=now)


def reserve(card: GiftCard, use: str, amount: int, now: datetime) -> CardChange | None:
    """Reserve money for a payment. Raises GiftCardUnusable, and GiftCardUsed when the balance is too low.

    A release that came first ends the use: it never reserves anything.
    """
    if card.has("reserved", use) and not card.has("released", use):
        return None
    if card.state != "active":
        raise GiftCardUnusable
    if card.balance < amount or card.has("released", use):
        raise GiftCardUsed
    return CardChange([new_entry("reserved", use, -amount, now)], reserved=amount)


def take(card: GiftCard, use: str, now: datetime) -> CardChange | None:
    """Take the money that was reserved for a payment. Raises LedgerBroken when it is not reserved."""
    if card.has("taken", use):
        return None
    if not card.has("reserved", use) or card.has("released", use):
        raise LedgerBroken(f"nothing is reserved for {use}")
    return CardChange([new_entry("taken", use, 0, now)], reserved=-_reserved(card, use))


def release(card: GiftCard, use: str, now: datetime) -> CardChange | None:
    """Release the money that was reserved for a payment. Raises LedgerBroken when it was taken."""
    if card.has("released", use):
        return None
    if card.has("taken", use):
        raise LedgerBroken(f"the money for {use} was already taken")
    reserved = _reserved(card, use)
    return CardChange([new_entry("released", use, reserved, now)], reserved=-reserved)


def _reserved(card: GiftCard, use: str) -> int:
    return -sum(entry.amount for entry in card.entries if entry.entry_id == entry_id("reserved", use))


def give(
    card: GiftCard, use: str, amount: int, now: datetime, *, kind: EntryKind = "returned", bonus: int = 0
) -> CardChange | None:
    """Add the money of a refund or purchase, and its bonus. A blocked card receives money, too."""
    if card.has(kind, use):
        return None
    entries = [new_entry(kind, use, amount, now)]
    return CardChange([*entries, new_entry("bonus", use, bonus, now)] if bonus else entries)


def void(card: GiftCard, use: str, now: datetime) -> CardChange | None:
    """End an unused card, whose price is refunded. Raises GiftCardUsed when it was used, and GiftCardUnusable."""
    if card.has("refunded", use):
        return None
    if not card.is_unused:
        raise GiftCardUsed("A gift card that was used cannot be refunded.")
    return CardChange([new_entry("refunded", use, -card.balance, now)], {"state": "refunded", "deliver_at": None})


def block(card: GiftCard) -> CardChange | None:
    """Block an active card: it cannot pay until it is unblocked."""
    return CardChange(fields={"state": "blocked"}) if card.state == "active" else None


def unblock(card: GiftCard) -> CardChange | None:
    """Let a blocked card pay again."""
    return CardChange(fields={"state": "active"}) if card.state == "blocked" else None
