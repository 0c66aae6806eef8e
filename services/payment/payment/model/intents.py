"""Money in: what may be paid, and what Stripe's word about an intent changes."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.claims import PaymentOrder
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentSucceeded
from contracts.types import Holder

from payment.model.account import SILENT, SOON, Account, Change, Line, State, StripeEvent, check_after
from payment.model.problems import (
    AlreadyPaid,
    DeadlinePassed,
    MoneyMismatch,
    OrderInvalid,
    OrderMismatch,
    PaymentClosed,
    PaymentProblem,
    PaymentUnknown,
)
from payment.news import IntentSeen


def account_of(order: PaymentOrder) -> Account:
    """The account that an order opens, without an intent. Raises OrderInvalid for a free booking."""
    if order.amount == 0:
        raise OrderInvalid("A free booking needs no payment.")
    return Account(
        id=order.booking_id,
        holder=order.holder,
        email=order.email,
        reference=order.reference,
        showtime_id=order.showtime_id,
        seats=order.seats,
        amount=order.amount,
        currency=order.currency,
        payment_deadline_at=order.payment_deadline_at,
    )


def complete(account: Account, order: PaymentOrder) -> Change | None:
    """Add from the order what the account lacks: it is from before 2026-12 or was restored from Stripe.

    Raises PaymentUnknown when the holder has been erased since, and OrderMismatch for another price.
    """
    if account.holder != order.holder:
        raise PaymentUnknown
    if (account.amount, account.currency) != (order.amount, order.currency):
        raise OrderMismatch
    if account.showtime_id and account.email:
        return None
    return Change({"showtime_id": order.showtime_id, "seats": order.seats, "email": order.email})


def lost_account(seen: IntentSeen, now: datetime) -> Account | None:
    """The account of an intent that only Stripe knows. None when the intent's metadata is not enough for one."""
    if seen.booking_id is None or not (ordered := _ordered(seen)):
        return None
    return Account(id=seen.booking_id, **ordered, **_attached(seen.id, now))


def _ordered(seen: IntentSeen) -> dict[str, Any]:
    """The order from the intent's metadata; empty when the metadata lacks it."""
    if seen.order is None:
        return {}
    holder = Holder(user_id=seen.order.user_id, secret_hash=seen.order.secret_hash)
    asked = seen.order.model_dump(include={"reference", "showtime_id", "seats", "payment_deadline_at"})
    return asked | {"holder": holder, "amount": seen.amount, "currency": seen.currency}


def refusal(account: Account, now: datetime) -> PaymentProblem | None:
    """Why the booking cannot be paid at `now`; None when it can."""
    if account.state is State.SUCCEEDED:
        return AlreadyPaid()
    if account.state is State.CANCELLED or account.cancel_requested:
        return PaymentClosed()
    if account.payment_deadline_at is None or account.payment_deadline_at <= now:
        return DeadlinePassed()
    return None


def check_payable(account: Account, now: datetime) -> None:
    """Raises AlreadyPaid, PaymentClosed or DeadlinePassed unless the booking can be paid at `now`."""
    if problem := refusal(account, now):
        raise problem


def intent_key(account: Account) -> str:
    """Stripe's idempotency key for the intent, made from the parameters, so that others never reuse it.

    Its metadata follows from the booking. Keys that begin with `intent-` had less metadata (before 2026-12).
    """
    return f"order-{account.id}-{account.amount}-{account.currency}-{account.intent_attempt}"


def attach_intent(account: Account, intent_id: str, now: datetime) -> Change | None:
    """Make the intent the booking's own. None when it has one already, or cannot be paid any more.

    Only after this write may anybody have the intent's client secret. So a cancellation that comes while Stripe is
    still being asked needs no lock: an intent whose secret nobody has takes no money.
    """
    if account.intent_id or refusal(account, now):
        return None
    return Change(_attached(intent_id, now))


def _attached(intent_id: str, now: datetime) -> dict[str, Any]:
    watched = {"checks": SILENT, "next_check_at": now + check_after(SILENT)}
    return {"state": State.INTENT_CREATED, "intent_id": intent_id} | watched


def spend_intent_key(account: Account, attempt: int) -> Change | None:
    """Stripe failed on this attempt's idempotency key and will repeat that: the next try needs a new one.

    None when another request has found that out already, or has an intent.
    """
    return (
        Change({"intent_attempt": attempt + 1})
        if (account.intent_id, account.intent_attempt) == (None, attempt)
        else None
    )


def cancel(account: Account, now: datetime) -> Change | None:
    """The booking wants no money. Without an intent it is over at once; with one, Stripe has the last word."""
    if account.state is State.REQUESTED:
        return Change({"state": State.CANCELLED, "cancel_requested": True}, events=[_cancelled(account)])
    if account.state is not State.INTENT_CREATED or account.cancel_requested:
        return None
    return Change({"cancel_requested": True, "checks": SOON, "next_check_at": now + check_after(SOON)})


def tombstone(booking_id: str) -> tuple[Account, PaymentCancelled]:
    """A booking that was closed before it had an intent: an account that refuses every order."""
    account = Account(id=booking_id, state=State.CANCELLED, cancel_requested=True)
    return account, _cancelled(account)


def _cancelled(account: Account) -> PaymentCancelled:
    return PaymentCancelled(booking_id=account.id)


def on_intent(account: Account, seen: IntentSeen, now: datetime) -> Change | None:
    """What an intent's state at Stripe changes. Raises MoneyMismatch when the money is not what was asked."""
    if seen.status == "succeeded":
        return _captured(account, seen, now)
    if account.state is not State.INTENT_CREATED or seen.id != account.intent_id:
        return None
    if seen.status == "canceled":
        return Change({"state": State.CANCELLED, "next_check_at": None}, events=[_cancelled(account)])
    if seen.failure_id in {None, account.last_failure}:
        return None
    failed = PaymentFailed(booking_id=account.id, code=seen.failure_code)
    return Change({"last_failure": seen.failure_id}, events=[failed])


def on_webhook(account: Account, seen: IntentSeen, event: StripeEvent) -> Change | None:
    """What an intent's webhook event changes, once. Raises MoneyMismatch."""
    if account.was_changed_by(event.id):
        return None
    change = on_intent(account, seen, event.processed_at)
    return replace(change, cause=event) if change else None


def _captured(account: Account, seen: IntentSeen, now: datetime) -> Change | None:
    if account.state is State.SUCCEEDED and account.intent_id == seen.id:
        return None
    ordered = {} if account.holder else _ordered(seen)  # a tombstone does not know what was ordered
    account = account.model_copy(update=ordered)
    if account.state is State.SUCCEEDED or (seen.amount_received, seen.currency) != (account.amount, account.currency):
        raise MoneyMismatch(f"{seen.id} brought {seen.amount_received} {seen.currency} for booking {account.id}")
    said = PaymentSucceeded(
        booking_id=account.id,
        amount=seen.amount_received,
        currency=account.currency,
        showtime_id=account.showtime_id,
        seats=account.seats,
        user_id=account.holder.user_id if account.holder else None,
    )
    stripe_id = seen.charge_id or seen.id
    line = Line(entry_id=stripe_id, kind="captured", amount=seen.amount_received, stripe_id=stripe_id, at=now)
    fields = {"state": State.SUCCEEDED, "intent_id": seen.id, "captured": seen.amount_received, "next_check_at": None}
    return Change(ordered | fields, [line], [said])
