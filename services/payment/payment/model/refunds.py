"""Refunds: never more than was captured, and each refund once."""

from datetime import datetime
from typing import Any, Literal

from contracts import currencies
from contracts.envelope import Event
from contracts.errors import NotYet
from contracts.payment import PaymentRefunded, PaymentRefundFailed, TenderKind

from payment.model.account import (
    CHECK_LATER,
    CHECK_SOON,
    Account,
    AccountChange,
    LedgerEntry,
    Refund,
    RefundRequester,
    RefundState,
    Transfer,
    check_delay,
)
from payment.model.problems import RefundInvalid, RefundTooLarge
from payment.model.shares import bonus_of, split_refund, transferred
from payment.model.updates import RefundUpdate

_STATE_ORDER: dict[str, int] = {"asked": 0, "pending": 1, "succeeded": 2, "failed": 3}


def refund_key(refund_id: str, refund: Refund) -> str:
    """Return the idempotency key for creating a refund."""
    return f"refund-{refund_id}-{refund.amount}-{refund.attempt}"


def refunded_at_stripe(account: Account) -> int:
    """Return the sum of the known refunds at Stripe, including pending ones."""
    return sum(
        refund.amount
        for refund in account.refunds.values()
        if refund.state in {"pending", "succeeded"} and not refund.to_credit
    )


def request_refund(account: Account, refund_id: str, amount: int | None, now: datetime) -> AccountChange | None:
    """Request staff's refund of `amount` (None: the refundable amount). Raises RefundTooLarge and RefundInvalid."""
    amount = account.refundable if amount is None else amount
    if not 0 < amount <= account.refundable:
        raise RefundTooLarge(refundable=account.refundable)
    if amount % (step := currencies.step(account.currency)):
        multiple = currencies.decimal(step, account.currency)
        raise RefundInvalid(f"A refund is a multiple of {multiple} {account.currency}.", step=step)
    if account.purchase:
        raise RefundInvalid("This is the payment of a gift card. Refund the gift card instead.")
    return _reserve(account, refund_id, amount, "staff", now)


def request_booking_refund(
    account: Account,
    refund_id: str,
    amount: int,
    now: datetime,
    *,
    credit_bonus: int | None = None,
    locale: str = "en",
) -> AccountChange | None:
    """Request booking's refund of `amount`, capped at the refundable amount: staff may have refunded a part.

    With `credit_bonus`, a percentage, the payment card's part becomes store credit. None when the refund already
    exists. Raises NotYet before any money is captured.
    """
    if refund_id in account.refunds:
        return None
    if not account.captured:
        raise NotYet(f"nothing captured for booking {account.id}")
    capped = min(amount, account.refundable)
    return _reserve(account, refund_id, capped, "booking", now, credit_bonus=credit_bonus, locale=locale)


def request_purchase_refund(account: Account, refund_id: str, now: datetime) -> AccountChange | None:
    """Request the refund of a gift card that was voided. None when it already exists."""
    if refund_id in account.refunds:
        return None
    return _reserve(account, refund_id, account.refundable, "booking", now)


def _reserve(
    account: Account,
    refund_id: str,
    amount: int,
    asked_by: RefundRequester,
    now: datetime,
    *,
    credit_bonus: int | None = None,
    locale: str = "en",
) -> AccountChange:
    returned, rest = split_refund(account, amount)
    transfers = [
        Transfer(kind="return", card_id=card_id, use=refund_id, amount=part) for card_id, part in returned.items()
    ]
    refund = Refund(amount=rest, returned=returned, state="asked", asked_by=asked_by, at=now)
    if credit_bonus is not None and rest:
        bonus = bonus_of(rest, credit_bonus, account.currency)
        refund = refund.model_copy(update={"to_credit": True, "bonus": bonus, "state": "succeeded"})
        transfers.append(
            Transfer(kind="credit", card_id=refund_id, use=refund_id, amount=rest, bonus=bonus, locale=locale)
        )
    ledger = _RefundLedger(account)
    ledger.set_refund(refund_id, refund)
    check = {"checks": CHECK_SOON, "next_check_at": now + check_delay(CHECK_SOON)}
    return ledger.change(**check | transferred(account, transfers, now))


def rotate_refund_key(account: Account, refund_id: str) -> AccountChange | None:
    """Use a new idempotency key for the refund's next try: Stripe stored a failure under the current key."""
    refund = account.refunds[refund_id]
    if refund.state != "asked":
        return None
    next_attempt = refund.model_copy(update={"attempt": refund.attempt + 1})
    return AccountChange({"refunds": account.refunds | {refund_id: next_attempt}})


def apply_refund(account: Account, update: RefundUpdate, now: datetime) -> AccountChange | None:
    """Apply the state of a refund at Stripe. It may have been created in the Dashboard, or be a lost dispute."""
    requested_id = update.refund_id if update.refund_id in account.refunds else None
    recorded_id = next((key for key, refund in account.refunds.items() if refund.stripe_id == update.id), None)
    refund_id = recorded_id or requested_id or update.id
    known = account.refunds.get(refund_id)
    if known and _STATE_ORDER[update.state] <= _STATE_ORDER[known.state]:
        return None
    if known is None and update.state == "failed":
        return None
    ledger = _RefundLedger(account)
    others = account.model_copy(update={"refunds": {i: r for i, r in account.refunds.items() if i != refund_id}})
    amount = max(0, min(update.amount, account.charged - refunded_at_stripe(others) - credited(others)))
    if known is None and amount == 0:
        return None
    asked_by: RefundRequester = known.asked_by if known else "provider"
    returned = known.returned if known else {}
    facts = {"amount": amount, "state": update.state, "stripe_id": update.id, "at": now}
    refund = Refund(asked_by=asked_by, returned=returned, **facts)
    ledger.set_refund(refund_id, refund)
    ledger.reduce_requested()
    check: dict[str, Any] = {}
    if update.state == "pending":
        check = {"checks": CHECK_LATER, "next_check_at": now + check_delay(CHECK_LATER)}
    if account.purchase and asked_by == "provider":
        check |= transferred(account, [Transfer(kind="block", card_id=account.id, use=refund_id)], now)
    return ledger.change(**check)


def credited(account: Account) -> int:
    """Return the part of the payment card's money that has become store credit."""
    return sum(refund.amount for refund in account.refunds.values() if refund.to_credit)


class _RefundLedger:
    """The refunds of an account while a rule changes them. Every change of a refund goes through `set_refund`."""

    def __init__(self, account: Account) -> None:
        self.account, self.refunds = account, dict(account.refunds)
        self.entries: list[LedgerEntry] = []
        self.succeeded: list[str] = []
        self.failed: list[str] = []

    def set_refund(self, refund_id: str, refund: Refund) -> None:
        before = self.refunds.get(refund_id)
        if refund.state == "asked" and refund.amount == 0:
            refund = refund.model_copy(update={"state": "succeeded"})
        self.refunds[refund_id] = refund
        stripe_id = refund.stripe_id or refund_id
        if before is None:
            self._record_returns(refund_id, refund)
        if refund.state == "succeeded":
            self.succeeded.append(refund_id)
            if refund.amount:
                self._record(stripe_id, "refunded", refund, stripe_id, "credit" if refund.to_credit else "card")
        if refund.state == "failed":
            self.failed.append(refund_id)
        if refund.state == "failed" and before and before.state == "succeeded":
            returned = before.model_copy(update={"at": refund.at})
            self._record(f"{stripe_id}-failed", "refund_failed", returned, stripe_id)

    def _record(
        self,
        entry_id: str,
        kind: Literal["refunded", "refund_failed"],
        refund: Refund,
        stripe_id: str,
        tender: TenderKind = "card",
    ) -> None:
        self.entries.append(
            LedgerEntry(
                entry_id=entry_id, kind=kind, amount=refund.amount, stripe_id=stripe_id, at=refund.at, tender=tender
            )
        )

    def _record_returns(self, refund_id: str, refund: Refund) -> None:
        kinds: dict[str, TenderKind] = {share.card_id: share.kind for share in self.account.shares}
        for card_id, amount in refund.returned.items():
            entry_id = f"{refund_id}-{card_id}"
            self.entries.append(
                LedgerEntry(
                    entry_id=entry_id,
                    kind="refunded",
                    amount=amount,
                    stripe_id=card_id,
                    at=refund.at,
                    tender=kinds[card_id],
                )
            )

    def reduce_requested(self) -> None:
        """Reduce refunds that are not at Stripe yet by the money that was refunded there in the meantime."""
        excess = self._total("asked", "pending", "succeeded") - self.account.charged
        for refund_id, refund in self.refunds.items():
            if excess > 0 and refund.state == "asked":
                amount = max(0, refund.amount - excess)
                excess -= refund.amount - amount
                self.set_refund(refund_id, refund.model_copy(update={"amount": amount}))

    def _total(self, *states: RefundState) -> int:
        return sum(refund.amount for refund in self.refunds.values() if refund.state in states)

    def _returned(self) -> int:
        return sum(sum(refund.returned.values()) for refund in self.refunds.values())

    def change(self, **fields: Any) -> AccountChange:
        refunded = self._total("succeeded") + self._returned()
        fields |= {"refunding": self._total("asked", "pending"), "refunded": refunded, "refunds": self.refunds}
        events: list[Event] = [
            *(PaymentRefunded.model_validate(self._facts(refund_id, refunded)) for refund_id in self.succeeded),
            *(PaymentRefundFailed.model_validate(self._facts(refund_id, refunded)) for refund_id in self.failed),
        ]
        return AccountChange(fields, self.entries, events)

    def _facts(self, refund_id: str, refunded: int) -> dict[str, Any]:
        """The facts of an event. Booking deducts its refunds that are under way as a whole, so these do not count."""
        refund = self.refunds[refund_id]
        settled = {key: each for key, each in self.refunds.items() if not each.is_under_way_for_booking}
        under_way = sum(sum(each.returned.values()) for key, each in self.refunds.items() if key not in settled)
        account = self.account.model_copy(update={"refunds": settled})
        has_failed = refund.state == "failed"
        return {
            "booking_id": self.account.id,
            "refund_id": refund_id,
            "amount": refund.amount if has_failed else refund.total,
            "returned": sum(refund.returned.values()) or None if has_failed else None,
            "refunded": refunded - under_way,
            "captured": self.account.captured,
            "currency": self.account.currency,
            "requested": refund.asked_by == "booking",
            "ledger_entries": len(self.account.ledger) + len(self.entries),
            "tenders": account.tenders,
        }
