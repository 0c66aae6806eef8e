"""The rules of money for one booking: what may be paid, what may go back, what Stripe's word changes.

Exception
├── Problem (contracts.errors)
│   └── PaymentProblem
│       ├── PaymentUnknown         404
│       ├── PaymentClosed          409
│       │   └── DeadlinePassed     409
│       ├── AlreadyPaid            409
│       ├── RefundTooLarge         409
│       ├── BadSignature           400
│       ├── BadPayload             400
│       ├── ProviderRefused        502
│       └── ProviderUnavailable    503
│           └── ProviderFailed     503
└── MoneyMismatch                  what Stripe says does not fit what we asked: a person must look

A rule takes the account and what happened and answers a `Change`, or None when there is nothing to change. States and
refunds only move forward, so news may come in any order, twice and late.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.booking import PaymentRequested
from contracts.envelope import Event
from contracts.errors import NotYet, Problem, RejectedEvent
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.types import Holder
from pydantic import BaseModel

from payment.news import IntentSeen, RefundSeen


class PaymentProblem(Problem):
    code, title = "payment_problem", "The payment could not be handled."


class PaymentUnknown(PaymentProblem):
    code, status, title = "payment_unknown", 404, "There is no such payment."


class PaymentClosed(PaymentProblem):
    code, status, title = "payment_closed", 409, "This booking can no longer be paid."


class DeadlinePassed(PaymentClosed):
    code, title = "payment_deadline_passed", "The time to pay for this booking is over."


class AlreadyPaid(PaymentProblem):
    code, status, title = "already_paid", 409, "This booking is paid already."


class RefundTooLarge(PaymentProblem):
    code, status, title = "refund_too_large", 409, "No more can be refunded than was paid and not yet refunded."


class BadSignature(PaymentProblem):
    code, status, title = "bad_signature", 400, "The webhook's signature is missing, wrong or too old."


class BadPayload(PaymentProblem):
    code, status, title = "bad_payload", 400, "The webhook's body is not a Stripe event."


class ProviderRefused(PaymentProblem):
    """Stripe said no to what we asked; asking again will not help."""

    code, status, title = "payment_provider_refused", 502, "The payment provider did not accept the request."


class ProviderUnavailable(PaymentProblem):
    """Stripe did not answer: whether it did what we asked is not known. The same idempotency key asks again."""

    code, status, title = "payment_provider_unavailable", 503, "The payment provider does not answer just now."


class ProviderFailed(ProviderUnavailable):
    """Stripe answered with an error of its own, and will repeat it for this idempotency key."""


class MoneyMismatch(Exception):
    """Stripe reports money that does not fit what was asked."""


class State(StrEnum):
    """In this order only. Late money wins over `cancelled`: it is there and must be known."""

    REQUESTED = "requested"
    INTENT_CREATED = "intent_created"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"


RefundState = Literal["asked", "pending", "succeeded", "failed"]
_FORWARD: dict[str, int] = {"asked": 0, "pending": 1, "succeeded": 2, "failed": 3}
Asker = Literal["booking", "staff", "provider"]


class Refund(BaseModel):
    """Money on its way back. `asked` is ours alone, the later states are Stripe's. `amount` in minor units."""

    amount: int
    state: RefundState
    asked_by: Asker
    at: datetime
    stripe_id: str | None = None
    attempt: int = 0


class Line(BaseModel):
    """A line of the ledger, written once: `entry_id` comes from the Stripe object that moved the money."""

    entry_id: str
    kind: Literal["captured", "refunded", "refund_failed"]
    amount: int
    stripe_id: str
    at: datetime


class Account(BaseModel):
    """The money of one booking. `refunding` is asked for or pending, `refunded` is done; both within `captured`.

    Without `holder` it is a tombstone: the booking took its request back before the request arrived.
    """

    id: str
    holder: Holder | None = None
    email: str = ""
    reference: str = ""
    amount: int = 0
    currency: str = ""
    payment_deadline_at: datetime | None = None
    state: State = State.REQUESTED
    cancel_requested: bool = False
    intent_id: str | None = None
    intent_attempt: int = 0
    last_failure: str | None = None
    captured: int = 0
    refunding: int = 0
    refunded: int = 0
    refunds: dict[str, Refund] = {}
    ledger: list[Line] = []
    checks: int = 0
    next_check_at: datetime | None = None
    last_checked_at: datetime | None = None

    @property
    def refundable(self) -> int:
        """What can still be asked back, in minor units."""
        return max(0, self.captured - self.refunded - self.refunding)

    @property
    def is_waiting(self) -> bool:
        """Whether Stripe still owes us an outcome."""
        awaits_money = self.state is State.INTENT_CREATED
        return awaits_money or any(refund.state in {"asked", "pending"} for refund in self.refunds.values())


def sent_back(account: Account) -> int:
    """What has gone back through Stripe as far as we know, pending included."""
    return sum(refund.amount for refund in account.refunds.values() if refund.state in {"pending", "succeeded"})


@dataclass(frozen=True)
class Change:
    """What a rule decided: fields to set, lines for the ledger, events to say."""

    fields: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


SOON = 0
SILENT = 2


def check_after(checks: int) -> timedelta:
    """How long to wait before asking Stripe once more: 5 s, 10 s, 20 s … 10 min. A new intent begins at 20 s."""
    return timedelta(seconds=min(5 * 2 ** min(checks, 16), 600))


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


def refund_key(refund_id: str, refund: Refund) -> str:
    """Stripe's idempotency key for a refund."""
    return f"refund-{refund_id}-{refund.amount}-{refund.attempt}"


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
    """The same for a refund that has not reached Stripe."""
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


def check(account: Account, now: datetime) -> Change | None:
    """Take the account's turn to be checked, so that no other replica does. None when it is not due."""
    if account.next_check_at is None or account.next_check_at > now:
        return None
    if not account.is_waiting:
        return Change({"next_check_at": None})
    checks = account.checks + 1
    return Change({"checks": checks, "last_checked_at": now, "next_check_at": now + check_after(checks)})


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
