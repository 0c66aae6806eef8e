"""Payments: what may be paid, and what an update of an intent changes."""

from datetime import datetime
from typing import Any

from contracts.claims import PaymentOrder
from contracts.payment import PaymentCancelled, PaymentFailed
from contracts.types import Holder

from payment.model.account import (
    CHECK_LATER,
    CHECK_SOON,
    Account,
    AccountChange,
    LedgerEntry,
    State,
    StripeEvent,
    Transfer,
    check_delay,
)
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
from payment.model.shares import captured_shares, payment_succeeded, releases, transferred
from payment.model.updates import IntentUpdate


def new_account(order: PaymentOrder) -> Account:
    """Create the account of an order, without an intent. Raises OrderInvalid for a free booking."""
    if order.amount == 0:
        raise OrderInvalid("A free booking needs no payment.")
    return Account(
        id=order.booking_id,
        holder=order.holder,
        was_guests=order.was_guests or False,
        email=order.email,
        reference=order.reference,
        showtime_id=order.showtime_id,
        seats=order.seats,
        amount=order.amount,
        currency=order.currency,
        payment_deadline_at=order.payment_deadline_at,
    )


def complete_account(account: Account, order: PaymentOrder) -> AccountChange | None:
    """Add the order's fields to an account that lacks them: one from before 2026-12, or restored from Stripe.

    When a guest signs in, booking signs orders for the account, and the guest's earlier order stays usable. Raises
    PaymentUnknown when the holder has been erased, and OrderMismatch for another price.
    """
    is_adopted = account.holder is not None and account.holder.user_id is None and order.holder.user_id is not None
    is_older = order.holder.user_id is None and account.is_adopted
    if account.holder != order.holder and not is_adopted and not is_older:
        raise PaymentUnknown
    if (account.amount, account.currency) != (order.amount, order.currency):
        raise OrderMismatch
    fields: dict[str, Any] = {"holder": order.holder, "was_guests": True} if is_adopted else {}
    if not (account.showtime_id and account.email):
        fields |= {"showtime_id": order.showtime_id, "seats": order.seats, "email": order.email}
    return AccountChange(fields) if fields else None


def restore_account(update: IntentUpdate, now: datetime) -> Account | None:
    """Create the account of an intent that has none here. None when the intent's metadata is not sufficient."""
    if update.booking_id is None or not (ordered := _order_fields(update)):
        return None
    return Account(id=update.booking_id, **ordered, **_intent_fields(update.id, now))


def _order_fields(update: IntentUpdate) -> dict[str, Any]:
    """Return the account's fields from the intent's metadata; empty when the metadata has no order."""
    order = update.order
    if order is None:
        return {}
    holder = Holder(user_id=order.user_id, secret_hash=order.secret_hash)
    fields = order.model_dump(include={"reference", "showtime_id", "seats", "payment_deadline_at"})
    amount = update.amount + sum(share.amount for share in order.shares)
    fields |= {"holder": holder, "amount": amount, "currency": update.currency}
    if order.shares:
        fields |= {"shares": order.shares, "plan": order.plan, "are_shares_reserved": True}
    return fields


def reason_not_payable(account: Account, now: datetime) -> PaymentProblem | None:
    """Return why the booking cannot be paid at `now`; None when it can."""
    if account.state is State.SUCCEEDED:
        return AlreadyPaid()
    if account.state is State.CANCELLED or account.cancel_requested:
        return PaymentClosed()
    if account.payment_deadline_at is None or account.payment_deadline_at <= now:
        return DeadlinePassed()
    return None


def check_payable(account: Account, now: datetime) -> None:
    """Raise AlreadyPaid, PaymentClosed or DeadlinePassed unless the booking can be paid at `now`."""
    if problem := reason_not_payable(account, now):
        raise problem


def intent_key(account: Account) -> str:
    """Return the idempotency key for creating the intent. It contains the parameters, so no other request shares it.

    The metadata is determined by the booking and by whether its guest has signed in. Intents with less metadata (before
    2026-12) used keys with `intent-`.
    """
    adopted = "-adopted" if account.was_guests else ""
    plan = f"-plan{account.plan}" if account.shares else ""
    return f"order-{account.id}-{account.due}-{account.currency}-{account.intent_attempt}{adopted}{plan}"


def attach_intent(account: Account, intent: IntentUpdate, now: datetime) -> AccountChange | None:
    """Attach an intent to the account. None when it has one, can no longer be paid, or another amount is due.

    The client secret is returned only after this write. So a cancellation during the call to Stripe needs no lock:
    an intent cannot be paid without its client secret.
    """
    if account.intent_id or reason_not_payable(account, now) or intent.amount != account.due:
        return None
    if account.shares and not account.are_shares_reserved:
        return None
    return AccountChange(_intent_fields(intent.id, now))


def _intent_fields(intent_id: str, now: datetime) -> dict[str, Any]:
    check = {"checks": CHECK_LATER, "next_check_at": now + check_delay(CHECK_LATER)}
    return {"state": State.INTENT_CREATED, "intent_id": intent_id} | check


def rotate_intent_key(account: Account, attempt: int) -> AccountChange | None:
    """Use a new idempotency key for the next try: Stripe stored a failure under this attempt's key.

    None when another request has already done that, or has created the intent.
    """
    if (account.intent_id, account.intent_attempt) != (None, attempt):
        return None
    return AccountChange({"intent_attempt": attempt + 1})


def request_cancel(account: Account, now: datetime) -> AccountChange | None:
    """Cancel the payment: immediately when it has no intent; else Stripe decides the outcome."""
    if account.state is State.REQUESTED:
        fields = {"state": State.CANCELLED, "cancel_requested": True} | releases(account, now)
        return AccountChange(fields, events=[_cancelled_event(account)])
    if account.state is not State.INTENT_CREATED or account.cancel_requested:
        return None
    return AccountChange(
        {"cancel_requested": True, "checks": CHECK_SOON, "next_check_at": now + check_delay(CHECK_SOON)}
    )


def create_tombstone(booking_id: str) -> tuple[Account, PaymentCancelled]:
    """Create the account of a booking that was closed before it had an intent. It refuses every order."""
    account = Account(id=booking_id, state=State.CANCELLED, cancel_requested=True)
    return account, _cancelled_event(account)


def _cancelled_event(account: Account) -> PaymentCancelled:
    return PaymentCancelled(booking_id=account.id)


def apply_intent(
    account: Account, update: IntentUpdate, now: datetime, cause: StripeEvent | None = None
) -> AccountChange | None:
    """Apply the state of an intent at Stripe; a webhook event (`cause`) at most once.

    Raises MoneyMismatch when the amount or currency is not the order's, or the order's gift cards were released.
    """
    if cause and account.was_changed_by(cause.id):
        return None
    if update.status == "succeeded":
        return _capture(account, update, now, cause)
    if account.state is not State.INTENT_CREATED or update.id != account.intent_id:
        return None
    if update.status == "canceled":
        fields = {"state": State.CANCELLED, "next_check_at": None} | releases(account, now)
        if account.purchase:
            fields["purchase"] = account.purchase.forgotten()
        return AccountChange(fields, events=[_cancelled_event(account)], cause=cause)
    if update.failure_id in {None, account.last_failure}:
        return None
    failed = PaymentFailed(booking_id=account.id, code=update.failure_code)
    return AccountChange({"last_failure": update.failure_id}, events=[failed], cause=cause)


def _capture(account: Account, update: IntentUpdate, now: datetime, cause: StripeEvent | None) -> AccountChange | None:
    if account.state is State.SUCCEEDED and account.intent_id == update.id:
        return None
    if account.state is State.CANCELLED and account.shares:
        raise MoneyMismatch(f"{update.id} was paid after the gift cards of booking {account.id} were released")
    ordered = {} if account.holder else _order_fields(update)  # a tombstone has no order yet
    account = account.model_copy(update=ordered)
    received = update.amount_received, update.currency
    if account.state is State.SUCCEEDED or received != (account.due, account.currency):
        raise MoneyMismatch(f"{update.id} captured {received[0]} {received[1]} for booking {account.id}")
    amount, stripe_id = update.amount_received, update.charge_id or update.id
    entry = LedgerEntry(entry_id=stripe_id, kind="captured", amount=amount, stripe_id=stripe_id, at=now)
    fields, entries = captured_shares(account, now)
    if account.purchase:
        issue = Transfer(kind="issue", card_id=account.id, use=account.id, amount=amount)
        fields |= transferred(account, [issue], now)
    fields |= {"state": State.SUCCEEDED, "intent_id": update.id, "captured": account.amount}
    return AccountChange(ordered | fields, [entry, *entries], [payment_succeeded(account)], cause)
