"""Changes that the cinema makes to a showtime with tickets: what they affect, and who approves them. No I/O."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from contracts.booking import TICKETS_FOR_ONE, HouseChangeKind
from contracts.catalog import CancelReason
from pydantic import BaseModel

from booking.model.booking import Booking, State

DRY_RUN_VALID_FOR = timedelta(minutes=30)

HouseChangeState = Literal["dry_run", "superseded", "awaiting_confirmation", "approved", "refused", "running", "done"]
RowState = Literal["pending", "done", "failed", "needs_person"]


class ChangeWanted(BaseModel):
    """What is to happen to the showtime. `reason` is that of a cancellation, `starts_at` the new start of a move."""

    kind: HouseChangeKind
    reason: CancelReason | None = None
    starts_at: datetime | None = None


class TenderTotal(BaseModel):
    """The money of the affected bookings on one tender, in minor units, without what was refunded."""

    kind: str
    currency: str
    amount: int


class MailCount(BaseModel):
    """How many customers get the mail in a language."""

    locale: str
    count: int


class Impact(BaseModel):
    """What a change affects. `checkouts` are bookings that are being paid.

    `guests` are bookings without an account, `checked_in` tickets whose bearers are inside. `unreachable` bookings have
    no e-mail address. `digest` is a hash of the facts.
    """

    bookings: int
    tickets: int
    checkouts: int
    guests: int
    checked_in: int
    unreachable: int
    money: list[TenderTotal]
    mails: list[MailCount]
    digest: str

    @property
    def needs_second_person(self) -> bool:
        """Whether a second person must confirm the change."""
        return self.tickets > TICKETS_FOR_ONE


UNSETTLED = (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING, State.EXCHANGING)


def impact_of(bookings: Sequence[Booking]) -> Impact:
    """What a change of the showtime with these bookings affects."""
    found = sorted((each for each in bookings if each.state is State.CONFIRMED), key=lambda each: each.id)
    unpaid = [each for each in bookings if each.state in UNSETTLED]
    money = Counter[tuple[str, str]]()
    for booking in found:
        for tender in booking.tenders:
            money[tender.kind, booking.currency or ""] += tender.captured - tender.refunded - tender.moved
    kept = [line for booking in found for line in booking.kept_lines]
    reachable = [booking for booking in found if booking.is_reachable]
    locales = Counter(booking.locale for booking in reachable)
    facts = [
        (booking.id, booking.amount, booking.refunded_amount, sorted(line.seat.seat_id for line in booking.kept_lines))
        for booking in found
    ]
    return Impact(
        bookings=len(found),
        tickets=len(kept),
        checkouts=len(unpaid),
        guests=sum(booking.holder.user_id is None for booking in found),
        checked_in=sum(line.checked_in_at is not None for line in kept),
        unreachable=len(found) - len(reachable),
        money=[TenderTotal(kind=kind, currency=code, amount=total) for (kind, code), total in sorted(money.items())],
        mails=[MailCount(locale=locale, count=count) for locale, count in sorted(locales.items())],
        digest=sha256(repr(facts).encode()).hexdigest(),
    )
