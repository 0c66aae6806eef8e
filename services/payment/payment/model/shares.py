"""Gift cards and credit in the payment of a booking: what each pays, and what each gets back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts import currencies
from contracts.payment import PaymentSucceeded

from payment.model.account import Account, AccountChange, LedgerEntry, Share, State, Transfer
from payment.model.gift_cards import GiftCard
from payment.model.problems import GiftCardUnusable, WrongCurrency


def plan_shares(amount: int, currency: str, cards: Sequence[GiftCard]) -> list[Share]:
    """Split a price over cards in their order; the rest is for the payment card.

    That rest is 0 or at least the smallest amount that can be charged. Raises WrongCurrency and GiftCardUnusable.
    """
    shares: list[Share] = []
    left = amount
    for card in cards:
        if card.currency != currency:
            raise WrongCurrency
        if card.state != "active":
            raise GiftCardUnusable
        if share := min(card.balance, left):
            facts = card.model_dump(include={"kind", "last_characters"})
            shares.append(Share(card_id=card.id, amount=share, **facts))
            left -= share
    missing = currencies.minimum(currency) - left if left else 0
    while missing > 0 and shares:
        last = shares.pop()
        kept = max(0, last.amount - missing)
        missing -= last.amount - kept
        if kept:
            shares.append(last.model_copy(update={"amount": kept}))
    return shares


def set_shares(account: Account, shares: list[Share]) -> AccountChange | None:
    """Plan the shares of a payment that has not begun. None when it has begun, with shares or with an intent."""
    if account.shares or account.intent_id or account.state is not State.REQUESTED:
        return None
    return AccountChange({"shares": shares, "plan": account.plan + 1, "are_shares_reserved": False})


def drop_shares(account: Account, plan: int, now: datetime) -> AccountChange | None:
    """Give up a plan of which a card could not reserve its part. None when that has already been done."""
    if not _is_planned(account, plan):
        return None
    return AccountChange(releases(account, now) | {"shares": []})


def _is_planned(account: Account, plan: int) -> bool:
    return account.plan == plan and not account.are_shares_reserved and account.state is State.REQUESTED


def confirm_shares(account: Account, plan: int, now: datetime) -> AccountChange | None:
    """Record that all parts are reserved. Without a rest for the payment card, the booking is paid."""
    if not _is_planned(account, plan) or not account.shares:
        return None
    reserved = {"are_shares_reserved": True}
    if account.due:
        return AccountChange(reserved)
    paid = account.model_copy(update=reserved)
    fields, entries = captured_shares(paid, now)
    fields |= reserved | {"state": State.SUCCEEDED, "captured": account.amount}
    return AccountChange(fields, entries, [payment_succeeded(paid)])


def captured_shares(account: Account, now: datetime) -> tuple[dict[str, Any], list[LedgerEntry]]:
    """Return the changes of an account that is paid: its shares are taken."""
    if not account.shares:
        return {"next_check_at": None}, []
    taken = [Transfer(kind="take", card_id=share.card_id, use=account.use) for share in account.shares]
    entries = [
        LedgerEntry(
            entry_id=f"{account.use}-{share.card_id}",
            kind="captured",
            amount=share.amount,
            stripe_id=share.card_id,
            at=now,
            tender=share.kind,
        )
        for share in account.shares
    ]
    return transferred(account, taken, now), entries


def payment_succeeded(account: Account) -> PaymentSucceeded:
    """Build the event of a payment with all its tenders."""
    return PaymentSucceeded(
        booking_id=account.id,
        amount=account.amount,
        currency=account.currency,
        showtime_id=account.showtime_id,
        seats=account.seats,
        user_id=account.holder.user_id if account.holder else None,
        tenders=account.tenders,
    )


def releases(account: Account, now: datetime) -> dict[str, Any]:
    """Return the changes of an account whose payment ends without success: its shares are released."""
    released = [Transfer(kind="release", card_id=share.card_id, use=account.use) for share in account.shares]
    return transferred(account, released, now) if released else {}


def transferred(account: Account, transfers: list[Transfer], now: datetime) -> dict[str, Any]:
    """Return the fields that add transfers, which are due at once."""
    if not transfers:
        return {}
    return {"transfers": [*account.transfers, *transfers], "checks": 0, "next_check_at": now}


def request_void(account: Account, now: datetime) -> AccountChange | None:
    """Request that the card of this purchase ends, if it is unused, and that its price is refunded."""
    if account.state is not State.SUCCEEDED or any(each.kind == "void" for each in account.transfers):
        return None
    return AccountChange(transferred(account, [Transfer(kind="void", card_id=account.id, use=account.id)], now))


def finish_transfer(account: Account, transfer: Transfer) -> AccountChange | None:
    """Remove a transfer that was carried out. An erased buyer's purchase forgets the recipient of the issued card."""
    if transfer not in account.transfers:
        return None
    fields: dict[str, Any] = {"transfers": [each for each in account.transfers if each != transfer]}
    if transfer.kind == "issue" and account.purchase and account.is_erased:
        fields["purchase"] = account.purchase.forgotten()
    return AccountChange(fields)


def split_refund(account: Account, amount: int) -> tuple[dict[str, int], int]:
    """Split a refund: gift cards and credit get back their money first, the rest is the payment card's part."""
    returned: dict[str, int] = {}
    for share in account.shares:
        before = sum(refund.returned.get(share.card_id, 0) for refund in account.refunds.values())
        if part := min(share.amount - before, amount):
            returned[share.card_id] = part
            amount -= part
    return returned, amount


def bonus_of(amount: int, percent: int, currency: str) -> int:
    """Return the bonus on an amount that becomes store credit, rounded down to what can be charged."""
    return amount * percent // 100 // currencies.step(currency) * currencies.step(currency)
