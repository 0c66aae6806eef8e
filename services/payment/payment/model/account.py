"""The account of one booking: its money as plain data, and the changes that a rule can decide."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.envelope import Event
from contracts.payment import OPEN_DISPUTES, dispute_rank
from contracts.types import Holder
from pydantic import BaseModel


class State(StrEnum):
    """A state only moves forward, in this order. So money that arrives late changes `cancelled` to `succeeded`."""

    REQUESTED = "requested"
    INTENT_CREATED = "intent_created"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"


RefundState = Literal["asked", "pending", "succeeded", "failed"]
RefundRequester = Literal["booking", "staff", "provider"]


class Refund(BaseModel):
    """A refund. `asked`: requested here, not yet at Stripe; the later states are Stripe's. `amount` in minor units."""

    amount: int
    state: RefundState
    asked_by: RefundRequester
    at: datetime
    stripe_id: str | None = None
    attempt: int = 0


class Dispute(BaseModel):
    """A dispute of the charge. `status` is Stripe's word; staff must answer it at Stripe until `respond_by`.

    While it is open and the charge is not refundable, Stripe refuses refunds.
    """

    amount: int
    status: str
    reason: str
    is_charge_refundable: bool = False
    respond_by: datetime | None = None
    at: datetime

    @property
    def rank(self) -> int:
        """The place of the status in a dispute's life."""
        return dispute_rank(self.status)

    @property
    def is_open(self) -> bool:
        """Whether the bank has not decided yet."""
        return self.status in OPEN_DISPUTES


class LedgerEntry(BaseModel):
    """An entry of the ledger, inserted once. `entry_id` is derived from the Stripe object that moved the money."""

    entry_id: str
    kind: Literal["captured", "refunded", "refund_failed"]
    amount: int
    stripe_id: str
    at: datetime


class StripeEvent(BaseModel):
    """A webhook event that changed the account, stored by the same write. `id` and `created_at` are Stripe's."""

    id: str
    type: str
    created_at: datetime
    processed_at: datetime


class Account(BaseModel):
    """The money of one booking. `refunding` is requested or pending, `refunded` is completed; both within `captured`.

    An account without `holder` is a tombstone: the booking was closed before it had an intent. Accounts from before
    2026-12 lack `showtime_id` and `seats`. Accounts that were restored from Stripe lack `email`. `was_guests`: a guest
    made the booking before signing in.
    """

    id: str
    version: int = 1
    holder: Holder | None = None
    was_guests: bool = False
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
    disputes: dict[str, Dispute] = {}
    ledger: list[LedgerEntry] = []
    stripe_events: list[StripeEvent] = []
    checks: int = 0
    next_check_at: datetime | None = None
    last_checked_at: datetime | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether the holder signed in after a guest had begun the checkout, and has not been erased since."""
        return self.was_guests and self.holder is not None and not (self.holder.user_id or "").startswith("erased-")

    @property
    def refundable(self) -> int:
        """The amount that can still be refunded, in minor units."""
        return max(0, self.captured - self.refunded - self.refunding)

    @property
    def is_waiting(self) -> bool:
        """Whether the outcome of the intent, a refund or a dispute is still open."""
        awaits_money = self.state is State.INTENT_CREATED or self.is_disputed
        return awaits_money or any(refund.state in {"asked", "pending"} for refund in self.refunds.values())

    @property
    def is_disputed(self) -> bool:
        """Whether a dispute is open."""
        return any(dispute.is_open for dispute in self.disputes.values())

    @property
    def is_refund_blocked(self) -> bool:
        """Whether Stripe refuses refunds until a dispute ends."""
        return any(each.is_open and not each.is_charge_refundable for each in self.disputes.values())

    def was_changed_by(self, event_id: str) -> bool:
        """Whether the webhook event with this id has changed the account."""
        return any(event.id == event_id for event in self.stripe_events)


@dataclass(frozen=True)
class AccountChange:
    """A rule's decision: fields to set, new ledger entries, events to publish, and the webhook event that caused it."""

    fields: dict[str, Any]
    entries: list[LedgerEntry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    cause: StripeEvent | None = None


CHECK_SOON = 0
CHECK_LATER = 2
CHECK_DISPUTE_EVERY = timedelta(hours=1)
"""A dispute takes weeks, and Stripe reports its end by a webhook."""


def check_delay(checks: int) -> timedelta:
    """Return the wait before the next check at Stripe: 5 s, 10 s, 20 s … 10 min. A new intent begins at 20 s."""
    return timedelta(seconds=min(5 * 2 ** min(checks, 16), 600))


def claim_next_check(account: Account, now: datetime) -> AccountChange | None:
    """Schedule the check after the one that is due, so that one replica runs it. None when no check is due."""
    if account.next_check_at is None or account.next_check_at > now:
        return None
    if not account.is_waiting:
        return AccountChange({"next_check_at": None})
    checks = account.checks + 1
    delay = CHECK_DISPUTE_EVERY if account.is_disputed else check_delay(checks)
    return AccountChange({"checks": checks, "last_checked_at": now, "next_check_at": now + delay})
