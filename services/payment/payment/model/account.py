"""The account of one booking: its money as data, and what a rule may change in it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.envelope import Event
from contracts.types import Holder
from pydantic import BaseModel


class State(StrEnum):
    """In this order only. Late money wins over `cancelled`: it is there and must be known."""

    REQUESTED = "requested"
    INTENT_CREATED = "intent_created"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"


RefundState = Literal["asked", "pending", "succeeded", "failed"]
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


class StripeEvent(BaseModel):
    """A webhook event that changed the account, kept by the same write. `id` and `created_at` are Stripe's."""

    id: str
    type: str
    created_at: datetime
    processed_at: datetime


class Account(BaseModel):
    """The money of one booking. `refunding` is asked for or pending, `refunded` is done; both within `captured`.

    Without `holder` it is a tombstone: the booking was closed before it had an intent. `showtime_id` and
    `seats` are missing in accounts from before 2026-12, `email` in those that were restored from Stripe.
    """

    id: str
    holder: Holder | None = None
    email: str = ""
    reference: str = ""
    showtime_id: str | None = None
    seats: list[str] = []
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
    stripe_events: list[StripeEvent] = []
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

    def was_changed_by(self, event_id: str) -> bool:
        """Whether it was a webhook event with this id that changed the account."""
        return any(event.id == event_id for event in self.stripe_events)


@dataclass(frozen=True)
class Change:
    """What a rule decided: fields to set, lines for the ledger, events to say; and the webhook event that caused it."""

    fields: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    cause: StripeEvent | None = None


SOON = 0
SILENT = 2


def check_after(checks: int) -> timedelta:
    """How long to wait before asking Stripe once more: 5 s, 10 s, 20 s … 10 min. A new intent begins at 20 s."""
    return timedelta(seconds=min(5 * 2 ** min(checks, 16), 600))


def check(account: Account, now: datetime) -> Change | None:
    """Take the account's turn to be checked, so that no other replica does. None when it is not due."""
    if account.next_check_at is None or account.next_check_at > now:
        return None
    if not account.is_waiting:
        return Change({"next_check_at": None})
    checks = account.checks + 1
    return Change({"checks": checks, "last_checked_at": now, "next_check_at": now + check_after(checks)})
