"""The live seat map as plain data: what the events say about a showtime's seats, merged in any order.

Each hold, sale or blocked seat is a claim. A claim is a set of registers, and each register only grows (lists compare
element by element, in Python and in MongoDB alike), so a second, late or overtaken event changes nothing:

    held      [revision, seats, expires_at]   the hold's seats as of its latest revision
    sold      [said_at, seats]
    blocked   [said_at, seats]
    released  [ends_a_sale, said_at]          0: the end of a hold; 1: may also be the end of a sale

Times are Unix milliseconds. `said_at` is when the event was recorded at its source: unlike the envelope's version it
stays the same when the outbox's sweeper sends the event again.

UnknownShowtime 404    raised by the store
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    PaymentRequested,
)
from contracts.catalog import ShowtimeCancelled
from contracts.envelope import Event
from contracts.errors import Problem
from contracts.inventory import HoldChanged, SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold, SeatsUnblocked
from contracts.types import Holder

State = Literal["held", "blocked", "sold"]
BookingState = (
    PaymentRequested
    | BookingPaid
    | BookingConfirmed
    | BookingExpired
    | BookingCancelled
    | BookingExchanged
    | BookingRefunded
)
Claim = dict[str, list[Any]]
Claims = dict[str, Claim]
Message = dict[str, Any]

STATES: tuple[State, ...] = ("held", "blocked", "sold")
FORGET_ENDED_HOLD_AFTER = timedelta(hours=1)
FORGET_SILENT_HOLD_AFTER = timedelta(hours=2)
"""Longer than any checkout may pin a hold. Should its release be lost, the hold ends here all the same."""


class UnknownShowtime(Problem):
    code, status, title = "showtime_not_found", 404, "There is no such showtime."


class UnknownSeat(Problem):
    code, status, title = "seat_not_found", 422, "There is no such seat in this auditorium."


class NotSubscribed(Problem):
    code, status, title = "not_subscribed", 409, "Subscribe to the showtime first."


@dataclass(frozen=True)
class News:
    """What one event, or everything that was stored so far, says about a showtime. `version` is inventory's."""

    showtime_id: str
    version: int = 0
    claims: Claims = field(default_factory=dict)
    cancelled: bool = False


def news_of(event: Event, *, version: int, said_at: datetime) -> News:
    """An event of inventory, or the end of a showtime, as news. Raises TypeError for any other event."""
    at = millis(said_at)
    match event:
        case SeatsHeld() | HoldChanged():
            revision = event.revision if isinstance(event, HoldChanged) else 0
            held = [revision, [seat.seat_id for seat in event.seats], millis(event.expires_at)]
            claims = {event.hold_id: {"held": held}}
        case SeatsSold():
            claims = {event.hold_id: {"sold": [at, list(event.seats)]}}
        case SeatsReleased():
            claims = {event.hold_id: {"released": [int(event.reason == "cancelled"), at]}}
        case SeatsBlocked():
            claims = {f"{event.block_id}:{seat}": {"blocked": [at, [seat]]} for seat in event.seats}
        case SeatsUnblocked():
            claims = {f"{event.block_id}:{seat}": {"released": [0, at]} for seat in event.seats}
        case ShowtimeCancelled():
            return News(event.showtime_id, cancelled=True)
        case _:
            raise TypeError(f"{event.type} says nothing about seats")
    return News(event.showtime_id, version, claims)


def millis(moment: datetime) -> int:
    """Unix milliseconds: what MongoDB keeps of a time, so that a stored event and a fresh one agree."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def standing(claim: Claim) -> tuple[State, list[str]] | None:
    """What a claim takes, or None when it takes nothing (any more).

    A late payment may still sell the seats of a hold that has lapsed or was given back; only what was said after the
    sale, and may end one, ends it.
    """
    released = claim.get("released")
    if sold := claim.get("sold"):
        ended = released is not None and released > [1, sold[0]]
        return None if ended else ("sold", sold[1])
    if released:
        return None
    if blocked := claim.get("blocked"):
        return "blocked", blocked[1]
    return ("held", claim["held"][1]) if "held" in claim else None


def seats_of(claims: Claims) -> dict[str, State]:
    """Every seat that is not free, with its state. Where events overtook each other the firmer claim shows."""
    taken = sorted(filter(None, map(standing, claims.values())), key=lambda stands: STATES.index(stands[0]))
    return {seat: state for state, seats in taken for seat in seats}


def forgettable(claims: Claims, now: datetime) -> list[str]:
    """Ids of the holds that ended, or fell silent, so long ago that no event about them can be on its way.

    Sales and blocks that ended stay, so that a dead letter replayed days later cannot bring them back.
    """
    ended_before = millis(now - FORGET_ENDED_HOLD_AFTER)
    silent_since = millis(now - FORGET_SILENT_HOLD_AFTER)

    def over(claim: Claim) -> bool:
        if "sold" in claim or "blocked" in claim:
            return False
        if released := claim.get("released"):
            return released[1] < ended_before
        return claim["held"][2] < silent_since

    return [claim_id for claim_id, claim in claims.items() if over(claim)]


@dataclass(frozen=True)
class Said:
    """What clients were told of a showtime last."""

    version: int = 0
    seats: Mapping[str, State] = field(default_factory=dict)
    cancelled: bool = False


@dataclass
class SeatMap:
    """The state of one showtime's seats as an instance shows it. `seat_ids` are all seats, once they are known."""

    showtime_id: str
    version: int = 0
    cancelled: bool = False
    seat_ids: Set[str] = frozenset()
    claims: Claims = field(default_factory=dict)
    _said: Said = Said()

    def learn(self, news: News) -> None:
        """Take in news."""
        for claim_id, registers in news.claims.items():
            claim = self.claims.setdefault(claim_id, {})
            for register, value in registers.items():
                claim[register] = max(claim.get(register, value), value)
        self.version = max(self.version, news.version)
        self.cancelled |= news.cancelled

    def unsaid(self) -> list[Message]:
        """The messages that bring clients from where the last call left them up to now; none when nothing changed."""
        before, self._said = self._said, Said(self.version, seats_of(self.claims), cancelled=self.cancelled)
        if self.cancelled != before.cancelled:
            return [self.snapshot()]
        messages: list[Message] = []
        for kind, change in changes(before.seats, self._said.seats):
            since = self.version if messages else before.version
            about = {"showtime_id": self.showtime_id, "version": self.version, "since": since}
            messages.append({"type": kind, **about, **change})
        if not messages:
            # What is said next follows on what was said last, not on what changed nothing.
            self._said = before
        return messages

    def forget(self, now: datetime) -> None:
        """Let go of holds that are long over."""
        for claim_id in forgettable(self.claims, now):
            del self.claims[claim_id]

    def snapshot(self) -> Message:
        """The whole state as a message: the seats that are not free."""
        return {
            "type": "showtime:update",
            "showtime_id": self.showtime_id,
            "version": self.version,
            "cancelled": self.cancelled,
            "capacity": len(self.seat_ids) or None,
            "seats": seats_of(self.claims),
        }


def changes(before: Mapping[str, State], after: Mapping[str, State]) -> Iterable[tuple[str, Message]]:
    """What turns one state of the seats into another, as message type and fields."""
    if freed := [seat for seat in before if seat not in after]:
        yield "seat:release", {"seats": freed}
    for state in STATES:
        if seats := [seat for seat, now in after.items() if now == state and before.get(seat) != state]:
            yield (
                ("seat:book", {"seats": seats}) if state == "sold" else ("seat:lock", {"seats": seats, "state": state})
            )


class Recent:
    """The latest news that an instance heard, for maps that are read from the database before it has them all."""

    def __init__(self, size: int) -> None:
        self._news: deque[News] = deque(maxlen=size)

    def add(self, news: News) -> None:
        """Remember; the oldest is let go."""
        self._news.append(news)

    def of(self, showtime_id: str) -> Sequence[News]:
        """What is remembered of one showtime."""
        return [news for news in self._news if news.showtime_id == showtime_id]


def owner_key(holder: Holder) -> str:
    """How the private stream of a holder is found. A guest's key is the hash of the secret, never the secret."""
    return f"user:{holder.user_id}" if holder.user_id is not None else f"guest:{holder.secret_hash}"


def booking_update(event: Event, *, version: int) -> Message:
    """An event of booking as a message to its owner. Raises TypeError for an event that has no owner to tell."""
    match event:
        case PaymentRequested():
            state, more = "awaiting_payment", {"reference": event.reference}
        case BookingPaid():
            state, more = "confirming", {}
        case BookingConfirmed():
            state, more = "confirmed", {"reference": event.reference}
        case BookingExpired():
            state, more = "expired", {}
        case BookingCancelled():
            state, more = "cancelled", {"reason": event.reason}
        case BookingExchanged():
            state, more = "exchanged", {"replaced_by": event.replaced_by}
        case BookingRefunded():
            state, more = "refunded", {"amount": event.amount, "currency": event.currency}
        case _:
            raise TypeError(f"{event.type} is no news for a customer")
    return {"type": "booking:update", "booking_id": event.booking_id, "state": state, "version": version, **more}
