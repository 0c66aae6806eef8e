"""Events that payment publishes. The subject is the booking that is paid or refunded."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Code, Currency, Id, Moment, Seats, Shape

TenderKind = Literal["gift_card", "credit", "card"]


class TenderAmounts(Shape):
    """The money of one means of payment in minor units: what it paid, and what was returned to it."""

    kind: TenderKind
    captured: Amount
    refunded: Amount = 0


class PaymentSucceeded(Event, type="payment.succeeded.v1", subject="booking_id"):
    """The full amount was captured. The other fields come from the payment order.

    `user_id` is the holder, unless that is a guest. `showtime_id` is missing in events of payments from before 2026-12.
    `amount` is the sum of all `tenders`, which are missing when a card paid everything.
    """

    booking_id: Id
    amount: Amount
    currency: Currency
    showtime_id: Id | None = None
    seats: Seats = []
    user_id: Id | None = None
    tenders: list[TenderAmounts] | None = None


class PaymentFailed(Event, type="payment.failed.v1", subject="booking_id"):
    """A payment attempt was declined; the customer can retry. `code` is Stripe's, e.g. `insufficient_funds`."""

    booking_id: Id
    code: str


class PaymentCancelled(Event, type="payment.cancelled.v1", subject="booking_id"):
    """The payment was cancelled. Nothing was charged and nothing will be."""

    booking_id: Id


class PaymentRefunded(Event, type="payment.refunded.v1", subject="booking_id"):
    """A refund was made: `amount` in this refund, `refunded` in total so far, out of `captured`.

    `ledger_entries` is the length of the account's ledger: of two events about an account, the one with more entries
    is the later one. `tenders` are missing when a card paid everything. A refund that booking requested counts as a
    whole once it is accepted: what gift cards and credit got back earlier is in no sum until then.
    """

    booking_id: Id
    refund_id: Id
    amount: Amount
    refunded: Amount
    captured: Amount
    currency: Currency
    requested: bool
    ledger_entries: int | None = None
    tenders: list[TenderAmounts] | None = None


class PaymentRefundFailed(Event, type="payment.refund_failed.v1", subject="booking_id"):
    """A refund failed at the bank, perhaps after it had been accepted. The fields are those of `payment.refunded`.

    `amount` is the card's part, which is still owed; gift cards and credit got back `returned` beside it.
    """

    booking_id: Id
    refund_id: Id
    amount: Amount
    refunded: Amount
    captured: Amount
    currency: Currency
    requested: bool
    ledger_entries: int | None = None
    tenders: list[TenderAmounts] | None = None
    returned: Amount | None = None


OPEN_DISPUTES = ("warning_needs_response", "warning_under_review", "needs_response", "under_review")
"""The states of a dispute before its end, in their order. `warning_…` is an inquiry."""


def dispute_rank(status: str) -> int:
    """Return the place of the status in a dispute's life, which only moves forward. All ends are the last place."""
    return OPEN_DISPUTES.index(status) if status in OPEN_DISPUTES else len(OPEN_DISPUTES)


class PaymentDisputed(Event, type="payment.disputed.v1", subject="booking_id"):
    """A dispute of the payment was opened, changed or ended. `status` and `reason` are Stripe's.

    `is_open`: whether any dispute of the payment is open, so that the provider may refuse refunds. Staff answer it at
    the provider until `respond_by`. The money of a lost dispute is also a `payment.refunded`.
    """

    booking_id: Id
    dispute_id: Id
    amount: Amount
    currency: Currency
    status: str
    reason: str | None = None
    is_open: bool
    respond_by: Moment | None = None


class GiftCardMailed(Event, type="payment.gift_card_mailed.v1", subject="gift_card_id"):
    """A gift card has a new code, which must be mailed to `email`. `mail_id` identifies the mail.

    `user_id` is the person to whom it was issued; missing for guests and for presents. `reason`: it was bought as a
    present, it is the refund of a guest's booking, or staff issued it.
    """

    gift_card_id: Id
    mail_id: Id
    reason: Literal["bought", "refund", "staff"]
    amount: Amount
    currency: Currency
    email: str
    user_id: Id | None = None
    locale: str = "en"
    sender: str | None = None
    message: str | None = None
    sealed_code: Annotated[
        str,
        Field(
            description="the code, encrypted with LINK_KEY: only payment and notifier can read it",
            repr=False,
        ),
    ]


class GiftCardActed(Event, type="payment.gift_card_acted.v1", subject="gift_card_id"):
    """Staff issued, blocked, unblocked, mailed again or refunded a gift card. Identity records it in its audit log."""

    act_id: Id
    action: Code
    actor_id: Id
    gift_card_id: Id
    acted_at: Moment


class PaymentDataExported(PersonalData, type="payment.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data export: their payments."""
