"""The rules of a showtime's seats as plain data and pure functions. The time is always a parameter."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.catalog import OrphanRule
from contracts.types import Holder
from pydantic import BaseModel

from inventory.model.auditorium import AuditoriumMap
from inventory.model.limits import CallerKind, HoldLimits, caller_kind, holder_key
from inventory.model.problems import (
    MAX_SEATS,
    CouchDivided,
    HoldInCheckout,
    HoldLapsed,
    OfferFixed,
    RenewalUsedUp,
    SalesClosed,
    SeatCountWrong,
    SeatsTaken,
    SeatsUnknown,
)

SeatState = Literal["held", "sold", "blocked"]
PinFailure = Literal["lapsed", "mismatch"]
MARK = "waitlist"
"""The owner of seats that became free while a party waits for seats. No hold or block has this id."""


class SeatEntry(BaseModel):
    """A seat that is not free. `by` is the id of a hold (and of its booking) or of a block. Only held seats expire."""

    by: str
    state: SeatState
    until: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether the seat can be held again, although its release has not been written yet."""
        return self.until is not None and self.until <= now


class Hold(BaseModel):
    """Seats held for a person or a guest until `expires_at`. Renewals never extend it beyond `cap_at`.

    The limits count it under its `keys`. `revision` counts changes, starting at 0. A pinned hold belongs to a checkout;
    only the checkout can end it. `is_offer`: the holder waited for it; it cannot be renewed and gets no further seats.
    """

    id: str
    holder: Holder
    keys: list[str] = []
    seats: list[str]
    expires_at: datetime
    cap_at: datetime
    renewals: int = 0
    revision: int = 0
    pinned: bool = False
    is_offer: bool = False

    def is_live(self, now: datetime) -> bool:
        """Whether the hold has not expired."""
        return now < self.expires_at

    def adopted_by(self, user_id: str) -> "Hold":
        """Return the hold as the account's. It still counts for the client network in which it was made."""
        holder = Holder(user_id=user_id)
        keys = [holder_key(holder), *self.keys[1:]] if self.keys else []
        return self.model_copy(update={"holder": holder, "keys": keys, "revision": self.revision + 1})

    @property
    def caller_kind(self) -> CallerKind:
        """The kind of the caller who made the hold, for metrics."""
        return caller_kind(self.holder, self.keys)


class Block(BaseModel):
    """Seats that staff took off sale."""

    id: str
    seats: list[str]
    reason: str
    blocked_by: str
    blocked_at: datetime


@dataclass(frozen=True)
class SeatChange:
    """The seats of a hold after a change, and the difference. All lists are sorted."""

    seats: list[str]
    added: list[str]
    dropped: list[str]


@dataclass(frozen=True)
class SaleDecision:
    """The decision on a paid booking. With `lost` seats the sale is rejected; then `to_release` are all its seats."""

    lost: list[str]
    to_release: list[str]


class Seating(BaseModel):
    """The seats of one showtime that are not free, and the facts on which sales depend.

    `ended` are bookings that can never get seats again; their money is refunded. `closed` are checkouts that ended
    unpaid: a late payment request does not hold seats for them, but a late payment can still buy seats.

    `waitlist_at` is set while parties wait for seats: the time of the next round. Then an expired hold's seats are not
    free before its release, because they go to the waitlist. `waitlist_version` counts the changes of the waitlist and
    of its marked seats.
    """

    sales_open_at: datetime
    sales_close_at: datetime
    cancelled: bool = False
    taken: dict[str, SeatEntry] = {}
    holds: list[Hold] = []
    blocks: list[Block] = []
    ended: list[str] = []
    closed: list[str] = []
    waitlist_at: datetime | None = None
    waitlist_version: int = 0

    def hold(self, hold_id: str) -> Hold | None:
        """Return the hold with this id, expired or not."""
        return next((hold for hold in self.holds if hold.id == hold_id), None)

    def seats_of(self, owner_id: str) -> list[str]:
        """Return the seats that belong to this hold, booking or block."""
        return in_order(seat for seat, taken in self.taken.items() if taken.by == owner_id)

    def unavailable(self, seats: Iterable[str], now: datetime, owner_id: str = "") -> list[str]:
        """Return the seats that belong to an owner other than `owner_id`."""
        others = {
            seat
            for seat, taken in self.taken.items()
            if taken.by != owner_id and (self.waitlist_at is not None or not taken.is_expired(now))
        }
        return in_order(others.intersection(seats))

    def sales_problem(self, now: datetime) -> SalesClosed | None:
        """Return a problem when the showtime is not on sale."""
        if self.cancelled:
            return SalesClosed("This showtime has been cancelled.", reason="cancelled")
        if now < self.sales_open_at:
            return SalesClosed("Sales have not started yet.", reason="not_open")
        if now >= self.sales_close_at:
            return SalesClosed("Sales have ended.", reason="closed")
        return None

    def taken_problem(self, seats: Iterable[str], auditorium: AuditoriumMap, now: datetime) -> SeatsTaken | None:
        """Return a problem that names the seats that are not free."""
        if lost := self.unavailable(seats, now):
            return SeatsTaken(f"Already taken: {auditorium.names_of(lost)}.", seats=lost)
        return None

    def is_sold(self, booking_id: str) -> bool:
        """Whether the booking has bought its seats."""
        return any(taken.by == booking_id and taken.state == "sold" for taken in self.taken.values())

    def is_settled(self, booking_id: str) -> bool:
        """Whether a checkout has ended: it is sold, closed or ended."""
        return booking_id in self.ended or booking_id in self.closed or self.is_sold(booking_id)

    def decide_sale(self, booking_id: str, seats: Collection[str], now: datetime) -> SaleDecision | None:
        """Decide whether a paid booking gets all of its seats or none. Returns None when it already has its seats.

        Every payment for an ended booking or a cancelled showtime is rejected, so that the money is refunded.
        """
        if self.is_sold(booking_id):
            return None
        never = self.cancelled or booking_id in self.ended
        lost = in_order(seats) if never else self.unavailable(seats, now, booking_id)
        own = self.seats_of(booking_id)
        return SaleDecision(lost=lost, to_release=own if lost else [seat for seat in own if seat not in seats])

    def pin_failure(self, wanted: Hold, now: datetime, *, has_lapsed: bool) -> PinFailure | None:
        """Return the reason that the seats of an unsettled checkout cannot be pinned; None when they can.

        An expired hold can be pinned as long as nobody else has its seats. If it is no longer here, it must have
        lapsed: one that its holder released counts for no limit any more.
        """
        hold = self.hold(wanted.id)
        if hold and hold.seats != wanted.seats:
            return "mismatch"
        is_over = self.cancelled or not (hold or has_lapsed) or self._has_other_checkout(wanted, now)
        return "lapsed" if is_over or self.unavailable(wanted.seats, now, wanted.id) else None

    def _has_other_checkout(self, wanted: Hold, now: datetime) -> bool:
        key = holder_key(wanted.holder)
        return any(
            hold.pinned and key in hold.keys and hold.id != wanted.id and hold.is_live(now) for hold in self.holds
        )


class Showtime(Seating):
    """A showtime: the seats that are not free, and the facts on which sales depend.

    `timed_at` is the time at which catalog set the times; older events are ignored. `is_stale`: seats have changed
    since the last `seat_map_updated`.
    """

    id: str
    layout_id: str
    auditorium_id: str
    theater_id: str
    starts_at: datetime
    timed_at: datetime
    orphan_rule: OrphanRule = "off"
    is_stale: bool = False


def in_order(seats: Iterable[str]) -> list[str]:
    """Sort the ids, without duplicates. Holds store their seats in this order; people see them in the layout's."""
    return sorted(set(seats), key=_row_and_number)


def _row_and_number(seat: str) -> tuple[int, str, int]:
    row = seat.rstrip("0123456789")
    return len(row), row, int(seat[len(row) :])


def validate_seats(seats: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the seats in order. Raises SeatsUnknown for seats that are not in the layout."""
    asked = in_order(seats)
    if unknown := [seat for seat in asked if seat not in known]:
        raise SeatsUnknown(f"This auditorium has no {', '.join(unknown)}.", seats=unknown)
    return asked


def check_couches(seats: Iterable[str], auditorium: AuditoriumMap) -> None:
    """Check that the seats have both halves of each couch that is sold only whole. Raises CouchDivided."""
    if not (pairs := auditorium.pairs):
        return
    chosen = set(seats)
    if missing := in_order(pairs[seat] for seat in chosen & pairs.keys() if pairs[seat] not in chosen):
        raise CouchDivided(f"Not without the other half of the couch: {auditorium.names_of(missing)}.", seats=missing)


def seat_change(hold: Hold, add: Iterable[str], drop: Iterable[str]) -> SeatChange:
    """Return the seats of the hold after adding and dropping seats. Raises SeatCountWrong and
    OfferFixed.

    Adding a seat of the hold or dropping any other seat changes nothing, so requests can be repeated.
    """
    before = set(hold.seats)
    after = (before | set(add)) - set(drop)
    if hold.is_offer and not after <= before:
        raise OfferFixed
    if not 1 <= len(after) <= MAX_SEATS:
        raise SeatCountWrong
    return SeatChange(seats=in_order(after), added=in_order(after - before), dropped=in_order(before - after))


def renewed_deadline(hold: Hold, now: datetime, limits: HoldLimits) -> datetime:
    """Return the hold's deadline after a renewal. Raises RenewalUsedUp."""
    until = min(now + limits.hold, hold.cap_at)
    if hold.is_offer or hold.renewals >= limits.renewals or until <= hold.expires_at:
        raise RenewalUsedUp
    return until


def check_changeable(hold: Hold, now: datetime) -> None:
    """Check that the holder can change the hold. Raises HoldInCheckout and HoldLapsed."""
    if hold.pinned:
        raise HoldInCheckout
    if not hold.is_live(now):
        raise HoldLapsed(seats=hold.seats)
