"""Money back: at most what came in, each refund once."""

from datetime import datetime
from typing import Any, Literal

from contracts.errors import NotYet
from contracts.payment import PaymentRefunded

from payment.model.account import SILENT, SOON, Account, Asker, Change, Line, Refund, RefundState, check_after
from payment.model.problems import RefundTooLarge
from payment.news import RefundSeen

_FORWARD: dict[str, int] = {"asked": 0, "pending": 1, "succeeded": 2, "failed": 3}


def refund_key(refund_id: str, refund: Refund) -> str:
    """Stripe's idempotency key for a refund."""
    return f"refund-{refund_id}-{refund.amount}-{refund.attempt}"


def sent_back(account: Account) -> int:
    """What has gone back through Stripe as far as we know, pending included."""
    return sum(refund.amount for refund in account.refunds.values() if refund.state in {"pending", "succeeded"})


def ask_refund(account: Account, refund_id: str, amount: int | None, now: datetime) -> Change | None:
    """Staff give back `amount` (None: all that is left). Raises RefundTooLarge beyond what is left."""
    amount = account.refundable if amount is None else amount
    if not 0 < amount <= account.refundable:
        raise RefundTooLarge(refundable=account.refundable)
    return _reserve(account, refund_id, Refund(amount=amount, state="asked", asked_by="staff", at=now), now)


def ask_booking_refund(account: Account, refund_id: str, amount: int, now: datetime) -> Change | None:
    """Booking gives back `amount`, or what is left of it when someone gave part of it back by hand.

    None when the refund is known. Raises NotYet while no money has been captured.
    """
    if refund_id in account.refunds:
        return None
    if not account.captured:
        raise NotYet(f"nothing captured for booking {account.id}")
    capped = min(amount, account.refundable)
    return _reserve(account, refund_id, Refund(amount=capped, state="asked", asked_by="booking", at=now), now)


def _reserve(account: Account, refund_id: str, refund: Refund, now: datetime) -> Change:
    books = _Books(account)
    books.put(refund_id, refund)
    return books.change(checks=SOON, next_check_at=now + check_after(SOON))


def spend_refund_key(account: Account, refund_id: str) -> Change | None:
    """Stripe failed on the refund's idempotency key and will repeat that: the next try needs a new one."""
    refund = account.refunds[refund_id]
    if refund.state != "asked":
        return None
    tried = refund.model_copy(update={"attempt": refund.attempt + 1})
    return Change({"refunds": account.refunds | {refund_id: tried}})


def on_refund(account: Account, seen: RefundSeen, now: datetime) -> Change | None:
    """What a refund's state at Stripe changes, ours or one made there by hand (a lost dispute counts as one)."""
    ours = seen.refund_id if seen.refund_id in account.refunds else None
    entered = next((known_id for known_id, refund in account.refunds.items() if refund.stripe_id == seen.id), None)
    refund_id = entered or ours or seen.id
    known = account.refunds.get(refund_id)
    if known and _FORWARD[seen.state] <= _FORWARD[known.state]:
        return None
    if known is None and seen.state == "failed":
        return None
    books = _Books(account)
    others = account.model_copy(update={"refunds": {i: r for i, r in account.refunds.items() if i != refund_id}})
    amount = max(0, min(seen.amount, account.captured - sent_back(others)))
    if known is None and amount == 0:
        return None
    asked_by: Asker = known.asked_by if known else "provider"
    books.put(refund_id, Refund(amount=amount, state=seen.state, asked_by=asked_by, at=now, stripe_id=seen.id))
    books.shrink()
    waiting: dict[str, Any] = {}
    if seen.state == "pending":
        waiting = {"checks": SILENT, "next_check_at": now + check_after(SILENT)}
    return books.change(**waiting)


class _Books:
    """The sums of an account while refunds move. Every way to give money back goes through `put`."""

    def __init__(self, account: Account) -> None:
        self.account, self.refunds = account, dict(account.refunds)
        self.lines: list[Line] = []
        self.done: list[str] = []

    def put(self, refund_id: str, refund: Refund) -> None:
        before = self.refunds.get(refund_id)
        if refund.state == "asked" and refund.amount == 0:
            refund = refund.model_copy(update={"state": "succeeded"})
        self.refunds[refund_id] = refund
        stripe_id = refund.stripe_id or refund_id
        if refund.state == "succeeded":
            self.done.append(refund_id)
            if refund.amount:
                self._enter(stripe_id, "refunded", refund, stripe_id)
        if refund.state == "failed" and before and before.state == "succeeded":
            taken_back = before.model_copy(update={"at": refund.at})
            self._enter(f"{stripe_id}-failed", "refund_failed", taken_back, stripe_id)

    def _enter(self, entry_id: str, kind: Literal["refunded", "refund_failed"], refund: Refund, stripe_id: str) -> None:
        self.lines.append(Line(entry_id=entry_id, kind=kind, amount=refund.amount, stripe_id=stripe_id, at=refund.at))

    def shrink(self) -> None:
        """Money that left by hand cannot leave again: what we have only asked for gives way."""
        over = self._total("asked", "pending", "succeeded") - self.account.captured
        for refund_id, refund in self.refunds.items():
            if over > 0 and refund.state == "asked":
                amount = max(0, refund.amount - over)
                over -= refund.amount - amount
                self.put(refund_id, refund.model_copy(update={"amount": amount}))

    def _total(self, *states: RefundState) -> int:
        return sum(refund.amount for refund in self.refunds.values() if refund.state in states)

    def change(self, **fields: Any) -> Change:
        refunded = self._total("succeeded")
        fields |= {"refunding": self._total("asked", "pending"), "refunded": refunded, "refunds": self.refunds}
        return Change(fields, self.lines, [self._said(refund_id, refunded) for refund_id in self.done])

    def _said(self, refund_id: str, refunded: int) -> PaymentRefunded:
        refund = self.refunds[refund_id]
        return PaymentRefunded(
            booking_id=self.account.id,
            refund_id=refund_id,
            amount=refund.amount,
            refunded=refunded,
            captured=self.account.captured,
            currency=self.account.currency,
            requested=refund.asked_by == "booking",
        )
