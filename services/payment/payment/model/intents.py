"""Money in: what may be paid, and what Stripe's word about an intent changes."""

from dataclasses import replace
from datetime import datetime

from contracts.booking import PaymentRequested
from contracts.errors import RejectedEvent
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentSucceeded

from payment.model.account import SILENT, SOON, Account, Change, Line, State, StripeEvent, check_after
from payment.model.problems import AlreadyPaid, DeadlinePassed, MoneyMismatch, PaymentClosed, PaymentProblem
from payment.news import IntentSeen


def account_of(event: PaymentRequested) -> Account:
    """The account that a checkout opens. Raises RejectedEvent for a free booking: it never reaches payment."""
    if event.amount == 0:
        raise RejectedEvent("A free booking needs no payment.")
    asked = event.model_dump(exclude={"booking_id", "showtime_id", "seats", "holder"})
    return Account(id=event.booking_id, holder=event.holder, **asked)


def identify(account: Account, event: PaymentRequested) -> Change | None:
    """A request for a booking that is known: a repetition, or the one that its own cancellation overtook.

    Raises RejectedEvent when it asks for other money than before.
    """
    asked = account_of(event)
    if account.holder is not None:
        if (account.amount, account.currency) != (asked.amount, asked.currency):
            raise RejectedEvent("This booking's price was final.")
        return None
    return Change(
        asked.model_dump(include={"holder", "email", "reference", "amount", "currency", "payment_deadline_at"})
    )


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
    """Stripe's idempotency key for the intent: from what is asked, so that other parameters never reuse it."""
    return f"intent-{account.id}-{account.amount}-{account.currency}-{account.intent_attempt}"


def attach_intent(account: Account, intent_id: str, now: datetime) -> Change | None:
    """Make the intent the booking's own. None when it has one already, or cannot be paid any more.

    Only after this write may anybody have the intent's client secret. So a cancellation that comes while Stripe is
    still being asked needs no lock: an intent whose secret nobody has takes no money.
    """
    if account.intent_id or refusal(account, now):
        return None
    fields = {"state": State.INTENT_CREATED, "intent_id": intent_id}
    return Change(fields | {"checks": SILENT, "next_check_at": now + check_after(SILENT)})


def spend_intent_key(account: Account) -> Change | None:
    """Stripe failed on the intent's idempotency key and will repeat that: the next try needs a new one."""
    return None if account.intent_id else Change({"intent_attempt": account.intent_attempt + 1})


def cancel(account: Account, now: datetime) -> Change | None:
    """The booking wants no money. Without an intent it is over at once; with one, Stripe has the last word."""
    if account.state is State.REQUESTED:
        return Change({"state": State.CANCELLED, "cancel_requested": True}, events=[_cancelled(account)])
    if account.state is not State.INTENT_CREATED or account.cancel_requested:
        return None
    return Change({"cancel_requested": True, "checks": SOON, "next_check_at": now + check_after(SOON)})


def tombstone(booking_id: str) -> tuple[Account, PaymentCancelled]:
    """A cancellation that overtook its payment request: the request will find the door shut."""
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
    if account.state is State.SUCCEEDED or (seen.amount_received, seen.currency) != (account.amount, account.currency):
        raise MoneyMismatch(f"{seen.id} brought {seen.amount_received} {seen.currency} for booking {account.id}")
    said = PaymentSucceeded(booking_id=account.id, amount=seen.amount_received, currency=account.currency)
    stripe_id = seen.charge_id or seen.id
    line = Line(entry_id=stripe_id, kind="captured", amount=seen.amount_received, stripe_id=stripe_id, at=now)
    fields = {"state": State.SUCCEEDED, "intent_id": seen.id, "captured": seen.amount_received, "next_check_at": None}
    return Change(fields, [line], [said])
