"""The account of one booking: its money as plain data, and the changes that a rule can decide."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.envelope import Event
from contracts.payment import OPEN_DISPUTES, TenderAmounts, TenderKind, dispute_rank
from contracts.types import Holder
from pydantic import BaseModel

from payment.model.gift_cards import Delivery


class State(StrEnum):
    """A state only moves forward, in this order. So money that arrives late changes `cancelled` to `succeeded`."""

    REQUESTED = "requested"
    INTENT_CREATED = "intent_created"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"


RefundState = Literal["asked", "pending", "succeeded", "failed"]
RefundRequester = Literal["booking", "staff", "provider"]


class Refund(BaseModel):
    """A refund. `asked`: requested here, not yet at Stripe; the later states are Stripe's. Amounts in minor units.

    `amount` is the card's part. With `to_credit` it becomes store credit with the `bonus`, and never goes to Stripe.
    `returned` is what gift cards and credit get back, by their ids: at once, even if the card's part fails.
    """

    amount: int
    returned: dict[str, int] = {}
    to_credit: bool = False
    bonus: int = 0
    state: RefundState
    asked_by: RefundRequester
    at: datetime
    stripe_id: str | None = None
    attempt: int = 0

    @property
    def total(self) -> int:
        """The sum of the parts of all tenders."""
        return self.amount + sum(self.returned.values())

    @property
    def is_under_way_for_booking(self) -> bool:
        """Whether booking has requested it and no event about it was published yet."""
        return self.asked_by == "booking" and self.state in ("asked", "pending")


class Share(BaseModel):
    """The part of a booking's price that a gift card or store credit pays. `last_characters` are those of the code."""

    card_id: str
    kind: Literal["gift_card", "credit"]
    last_characters: str | None = None
    amount: int


class Transfer(BaseModel):
    """A change of a gift card or credit that the account has decided and the card's ledger does not have yet.

    `use` identifies the reservation, refund or purchase, so that the ledger has each change once. `credit` and `issue`
    create the card or credit if there is none; `bonus` is credited beside `amount`.
    """

    kind: Literal["take", "release", "return", "credit", "issue", "block", "void"]
    card_id: str
    use: str
    amount: int = 0
    bonus: int = 0
    locale: str = "en"


class Dispute(BaseModel):
    """A dispute of the charge. `status` is Stripe's word; staff must answer it at Stripe before `respond_by`.

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
    """An entry of the ledger, inserted once. `entry_id` is derived from the Stripe object that moved the money.

    Entries about gift cards and credit have the card's id as `stripe_id`.
    """

    entry_id: str
    kind: Literal["captured", "refunded", "refund_failed"]
    amount: int
    stripe_id: str
    at: datetime
    tender: TenderKind = "card"


class StripeEvent(BaseModel):
    """A webhook event that changed the account, stored by the same write. `id` and `created_at` are Stripe's."""

    id: str
    type: str
    created_at: datetime
    processed_at: datetime


class Account(BaseModel):
    """The money of one booking, or of the purchase of one gift card (`purchase`).

    `refunding` is requested or pending, `refunded` is completed; both within `captured`.

    An account without `holder` is a tombstone: the booking was closed before it had an intent. Accounts from before
    2026-12 lack `showtime_id` and `seats`. Accounts that were restored from Stripe lack `email`. `was_guests`: a guest
    made the booking before signing in.

    `shares`: what gift cards and credit pay of `amount`. They are planned, then reserved in the cards' ledgers; then
    `are_shares_reserved`. `plan` counts the plans, so that each reserves anew. `transfers` must still be carried out.
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
    shares: list[Share] = []
    are_shares_reserved: bool = False
    plan: int = 0
    transfers: list[Transfer] = []
    purchase: Delivery | None = None
    ledger: list[LedgerEntry] = []
    stripe_events: list[StripeEvent] = []
    checks: int = 0
    next_check_at: datetime | None = None
    last_checked_at: datetime | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether the holder signed in after a guest had begun the checkout, and has not been erased since."""
        return self.was_guests and self.holder is not None and not self.is_erased

    @property
    def is_erased(self) -> bool:
        """Whether the holder has deleted their account."""
        return self.holder is not None and (self.holder.user_id or "").startswith("erased-")

    @property
    def due(self) -> int:
        """What the card pays: the price without the shares."""
        return self.amount - sum(share.amount for share in self.shares)

    @property
    def charged(self) -> int:
        """What the card has paid."""
        return self.due if self.captured else 0

    @property
    def use(self) -> str:
        """The name of the present plan's reservations in the cards' ledgers."""
        return f"{self.id}-{self.plan}"

    @property
    def tenders(self) -> list[TenderAmounts] | None:
        """The captured and refunded money by means of payment; None when a card paid everything."""
        if not self.shares:
            return None
        found: list[TenderAmounts] = []
        for kind in ("gift_card", "credit"):
            ids = [share.card_id for share in self.shares if share.kind == kind]
            paid = sum(share.amount for share in self.shares if share.kind == kind)
            back = sum(refund.returned.get(each, 0) for refund in self.refunds.values() for each in ids)
            found.append(TenderAmounts(kind=kind, captured=paid, refunded=back))
        card = sum(refund.amount for refund in self.refunds.values() if refund.state == "succeeded")
        found.append(TenderAmounts(kind="card", captured=self.due, refunded=card))
        return [tender for tender in found if tender.captured]

    @property
    def refundable(self) -> int:
        """The amount that can still be refunded, in minor units."""
        return max(0, self.captured - self.refunded - self.refunding)

    @property
    def is_waiting(self) -> bool:
        """Whether the outcome of the intent, a refund, a dispute or a transfer is still open."""
        awaits_money = self.state is State.INTENT_CREATED or self.is_disputed or bool(self.transfers)
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
