"""The rules of a showtime's seats as plain data and pure functions; the time is always a parameter."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from contracts.types import Holder
from pydantic import BaseModel

from inventory.model.problems import (
    MAX_SEATS,
    HoldInCheckout,
    HoldLapsed,
    RenewalUsedUp,
    SalesClosed,
    SeatCountWrong,
    SeatsTaken,
    SeatsUnknown,
    TooManyHolds,
)

SeatState = Literal["held", "sold", "blocked"]
PinFailure = Literal["lapsed", "mismatch"]


class SeatEntry(BaseModel):
    """A seat that is not free. `by` is a hold's (which is its booking's) or a block's id; only held seats lapse."""

    by: str
    state: SeatState
    until: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether the seat can be had again although its release was not written yet."""
        return self.until is not None and self.until <= now


class Hold(BaseModel):
    """Seats kept for somebody until `expires_at`; renewals never reach beyond `cap_at`.

    `revision` counts every change from 0. A pinned hold belongs to a checkout, which alone may end it.
    """

    id: str
    holder: Holder
    seats: list[str]
    expires_at: datetime
    cap_at: datetime
    renewals: int = 0
    revision: int = 0
    pinned: bool = False

    def is_live(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return now < self.expires_at


class Block(BaseModel):
    """Seats that staff took out of sale."""

    id: str
    seats: list[str]
    reason: str
    blocked_by: str
    blocked_at: datetime


@dataclass(frozen=True)
class HoldLimits:
    """What a hold may be. `holds_per_holder` counts live holds in one showtime."""

    hold: timedelta
    cap: timedelta
    renewals: int
    holds_per_holder: int


@dataclass(frozen=True)
class SeatChange:
    """A hold's seats after a change, and what the change is. All in the order of the seats."""

    seats: list[str]
    added: list[str]
    dropped: list[str]


@dataclass(frozen=True)
class SaleDecision:
    """What a paid booking gets. With `lost` seats it gets nothing and gives back `to_release`, all that it still has."""

    lost: list[str]
    to_release: list[str]


class Seating(BaseModel):
    """The seats of one showtime that are not free, and what selling them depends on.

    `ended` are bookings that can never have seats again: their money goes back. `closed` are checkouts that ended
    unpaid: a late payment request takes no seats for them; late money may still buy.
    """

    sales_open_at: datetime
    sales_close_at: datetime
    cancelled: bool = False
    taken: dict[str, SeatEntry] = {}
    holds: list[Hold] = []
    blocks: list[Block] = []
    ended: list[str] = []
    closed: list[str] = []

    def hold(self, hold_id: str) -> Hold | None:
        """The hold with this id, lapsed or not."""
        return next((hold for hold in self.holds if hold.id == hold_id), None)

    def seats_of(self, owner_id: str) -> list[str]:
        """The seats that are the hold's, booking's or block's own."""
        return in_order(seat for seat, taken in self.taken.items() if taken.by == owner_id)

    def unavailable(self, seats: Iterable[str], now: datetime, owner_id: str = "") -> list[str]:
        """Which of the seats belong to somebody else than `owner_id`."""
        others = {seat for seat, taken in self.taken.items() if taken.by != owner_id and not taken.is_expired(now)}
        return in_order(others.intersection(seats))

    def sales_problem(self, now: datetime) -> SalesClosed | None:
        """The reason that no seat can be held now."""
        if self.cancelled:
            return SalesClosed("This showtime has been cancelled.", reason="cancelled")
        if now < self.sales_open_at:
            return SalesClosed("Sales have not begun yet.", reason="not_open")
        if now >= self.sales_close_at:
            return SalesClosed("Sales are over.", reason="closed")
        return None

    def taken_problem(self, seats: Iterable[str], now: datetime) -> SeatsTaken | None:
        """The seats that cannot be taken now, as a problem."""
        if lost := self.unavailable(seats, now):
            return SeatsTaken(f"Already taken: {', '.join(lost)}.", seats=lost)
        return None

    def hold_limit_problem(self, holder: Holder, now: datetime, limits: HoldLimits) -> TooManyHolds | None:
        """The reason that this holder can have no more holds now."""
        if sum(hold.holder == holder and hold.is_live(now) for hold in self.holds) >= limits.holds_per_holder:
            return TooManyHolds(limit=limits.holds_per_holder)
        return None

    def is_sold(self, booking_id: str) -> bool:
        """Whether the booking has bought its seats."""
        return any(taken.by == booking_id and taken.state == "sold" for taken in self.taken.values())

    def is_settled(self, booking_id: str) -> bool:
        """Whether a checkout is over: it is sold, closed or ended."""
        return booking_id in self.ended or booking_id in self.closed or self.is_sold(booking_id)

    def decide_sale(self, booking_id: str, seats: Collection[str], now: datetime) -> SaleDecision | None:
        """What a paid booking gets: all of its seats or none. None when it has its seats.

        A booking that has ended, or whose showtime is cancelled, gets nothing however often it is paid, so that its
        money goes back.
        """
        if self.is_sold(booking_id):
            return None
        never = self.cancelled or booking_id in self.ended
        lost = in_order(seats) if never else self.unavailable(seats, now, booking_id)
        own = self.seats_of(booking_id)
        return SaleDecision(lost=lost, to_release=own if lost else [seat for seat in own if seat not in seats])

    def pin_failure(self, booking_id: str, seats: list[str], now: datetime) -> PinFailure | None:
        """Why a checkout that is not settled cannot have its seats kept; None when it can.

        A hold whose time is over is as good as a live one while nobody else has its seats, even if it was released.
        """
        hold = self.hold(booking_id)
        if hold and hold.seats != seats:
            return "mismatch"
        return "lapsed" if self.cancelled or self.unavailable(seats, now, booking_id) else None


def in_order(seats: Iterable[str]) -> list[str]:
    """Seats without repeats, by row (A to Z, then AA) and number. The one order in which holds keep them."""
    return sorted(set(seats), key=_row_and_number)


def _row_and_number(seat: str) -> tuple[int, str, int]:
    row = seat.rstrip("0123456789")
    return len(row), row, int(seat[len(row) :])


def validate_seats(seats: Iterable[str], known: Collection[str]) -> list[str]:
    """The seats in order. Raises SeatsUnknown for names that the layout does not have."""
    asked = in_order(seats)
    if unknown := [seat for seat in asked if seat not in known]:
        raise SeatsUnknown(f"This auditorium has no {', '.join(unknown)}.", seats=unknown)
    return asked


def seat_change(hold: Hold, add: Iterable[str], drop: Iterable[str]) -> SeatChange:
    """What adding and dropping comes to. Seats that are there already, or not there any more, change nothing, so a
    repeated request does no harm. Raises SeatCountWrong.
    """
    before = set(hold.seats)
    after = (before | set(add)) - set(drop)
    if not 1 <= len(after) <= MAX_SEATS:
        raise SeatCountWrong
    return SeatChange(seats=in_order(after), added=in_order(after - before), dropped=in_order(before - after))


def renewed_deadline(hold: Hold, now: datetime, limits: HoldLimits) -> datetime:
    """The hold's deadline after a renewal. Raises RenewalUsedUp."""
    until = min(now + limits.hold, hold.cap_at)
    if hold.renewals >= limits.renewals or until <= hold.expires_at:
        raise RenewalUsedUp
    return until


def check_changeable(hold: Hold, now: datetime) -> None:
    """Raises HoldInCheckout or HoldLapsed when the holder cannot change the hold any more."""
    if hold.pinned:
        raise HoldInCheckout
    if not hold.is_live(now):
        raise HoldLapsed(seats=hold.seats)
