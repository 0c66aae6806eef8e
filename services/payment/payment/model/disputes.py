"""Disputes: the customer's bank asks for the money back. A lost dispute counts as a refund at the provider."""

from datetime import datetime
from typing import Any

from contracts.payment import PaymentDisputed

from payment.model.account import CHECK_SOON, Account, AccountChange, Dispute, Transfer, check_delay
from payment.model.refunds import apply_refund
from payment.model.shares import transferred
from payment.model.updates import DisputeUpdate, RefundUpdate


def apply_dispute(account: Account, update: DisputeUpdate, now: datetime) -> AccountChange | None:
    """Apply the state of a dispute at Stripe, which only moves forward. Its end lets waiting refunds go on at once."""
    dispute = Dispute(**update.model_dump(include=set(Dispute.model_fields)), at=now)
    known = account.disputes.get(update.id)
    if known and dispute.rank <= known.rank:
        return None
    lost = None
    if dispute.status == "lost":
        refund = RefundUpdate(
            id=update.id, intent_id=update.intent_id, refund_id=None, amount=update.amount, state="succeeded"
        )
        lost = apply_refund(account, refund, now)
    lost = lost or AccountChange({})
    disputes = account.disputes | {update.id: dispute}
    timer: dict[str, Any] = {"checks": CHECK_SOON, "next_check_at": now + check_delay(CHECK_SOON)}
    if account.purchase and dispute.status != "won":  # a stolen card may have paid for it
        timer |= transferred(account, [Transfer(kind="block", card_id=account.id, use=update.id)], now)
    event = PaymentDisputed(
        booking_id=account.id,
        dispute_id=update.id,
        amount=update.amount,
        currency=account.currency,
        status=update.status,
        reason=update.reason,
        is_open=any(each.is_open for each in disputes.values()),
        respond_by=update.respond_by,
    )
    return AccountChange(lost.fields | timer | {"disputes": disputes}, lost.entries, [*lost.events, event])
