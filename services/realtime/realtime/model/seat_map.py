"""The live seat map as plain data: inventory's latest snapshot of a showtime's seats, and the changes received since.

Changes are transient: they may be lost, repeated or reordered. A snapshot is complete as of its `version`, which is
inventory's count of the showtime's changes, and replaces every change up to it. The next snapshot
corrects a wrong map.

UnknownShowtime  404    raised by the store
ShowtimeNotReady 503    raised by the store: the event about a new showtime has not arrived
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingTicketsCancelled,
    BookingTicketTransferred,
    PaymentRequested,
)
from contracts.catalog import ShowtimeCancelled
from contracts.envelope import Event
from contracts.errors import Problem
from contracts.inventory import SeatsChanged
from contracts.types import Holder

State = Literal["held", "blocked", "sold"]
SeatState = State | Literal["free"]
BookingState = (
    PaymentRequested
    | BookingPaid
    | BookingConfirmed
    | BookingExpired
    | BookingCancelled
    | BookingExchanged
    | BookingRefunded
    | BookingTicketsCancelled
    | BookingTicketTransferred
)
ShownChange = SeatsChanged | ShowtimeCancelled
Message = dict[str, Any]

_MESSAGES: dict[SeatState, Message] = {
    "free": {"type": "seat:release"},
    "held": {"type": "seat:lock", "state": "held"},
    "blocked": {"type": "seat:lock", "state": "blocked"},
    "sold": {"type": "seat:book"},
}
"""The message for each new state of a seat, in the order in which they are sent."""


class UnknownShowtime(Problem):
    code, status, title = "showtime_not_found", 404, "There is no such showtime."


class ShowtimeNotReady(Problem):
    code, status, title = "showtime_not_ready", 503, "This showtime is on its way. Please try again."


class UnknownSeat(Problem):
    code, status, title = "seat_not_found", 422, "There is no such seat in this auditorium."


class NotSubscribed(Problem):
    code, status, title = "not_subscribed", 409, "Subscribe to the showtime first."


@dataclass(frozen=True)
class Snapshot:
    """The seats of a showtime that are not free, as of inventory's `version`."""

    showtime_id: str
    version: int = 0
    seats: Mapping[str, State] = field(default_factory=dict)
    is_cancelled: bool = False


class SeatMap:
    """The state of one showtime's seats as a replica shows it.

    `version` is the latest one known, `snapshot_version` that of the snapshot below the changes. `seat_ids` are all
    seats, or none while the layout is unknown.
    """

    def __init__(self, snapshot: Snapshot, *, seat_ids: Set[str] = frozenset()) -> None:
        self.showtime_id, self.seat_ids = snapshot.showtime_id, seat_ids
        self.version = self.snapshot_version = snapshot.version
        self.is_cancelled = snapshot.is_cancelled
        self._seats: dict[str, State] = dict(snapshot.seats)
        self._changes: dict[str, tuple[int, SeatState]] = {}
        self._sent_version, self._sent_cancelled = self.version, self.is_cancelled
        self._sent: dict[str, SeatState] = {}  # of the seats that changed since: the state that clients know

    def apply(self, change: ShownChange) -> None:
        """Apply a change, unless the snapshot or a later change of the same seat includes it."""
        if isinstance(change, ShowtimeCancelled):
            self.is_cancelled = True
        elif change.version > self.snapshot_version:
            self.version = max(self.version, change.version)
            for seat, state in change.seats.items():
                if seat not in self._changes or change.version >= self._changes[seat][0]:
                    self._changes[seat] = change.version, state
                    self._put(seat, state)

    def replace(self, snapshot: Snapshot) -> None:
        """Replace everything that a newer snapshot includes; an older one changes nothing."""
        self.is_cancelled |= snapshot.is_cancelled
        if snapshot.version <= self.snapshot_version:
            return
        self.snapshot_version, self.version = snapshot.version, max(self.version, snapshot.version)
        self._changes = {seat: change for seat, change in self._changes.items() if change[0] > snapshot.version}
        later = {seat: state for seat, (_, state) in self._changes.items()}
        for seat in {*self._seats, *snapshot.seats} - later.keys():
            self._put(seat, snapshot.seats.get(seat, "free"))

    def _put(self, seat: str, state: SeatState) -> None:
        self._sent.setdefault(seat, self._seats.get(seat, "free"))
        if state == "free":
            self._seats.pop(seat, None)
        else:
            self._seats[seat] = state

    def unsent(self) -> list[Message]:
        """The messages for what has changed since the last call; none when nothing has."""
        before, self._sent = self._sent, {}
        if self.is_cancelled != self._sent_cancelled:
            self._sent_version, self._sent_cancelled = self.version, self.is_cancelled
            return [self.message()]
        changed: defaultdict[SeatState, list[str]] = defaultdict(list)
        for seat, old in before.items():
            new: SeatState = self._seats.get(seat, "free")
            if new != old:
                changed[new].append(seat)
        messages: list[Message] = []
        for state, kind in _MESSAGES.items():
            if seats := changed.get(state):
                versions = {"version": self.version, "since": self._sent_version}
                messages.append({**kind, "showtime_id": self.showtime_id, **versions, "seats": seats})
                self._sent_version = self.version
        return messages

    def message(self) -> Message:
        """The whole state as a message: the seats that are not free."""
        return {
            "type": "showtime:update",
            "showtime_id": self.showtime_id,
            "version": self.version,
            "cancelled": self.is_cancelled,
            "capacity": len(self.seat_ids) or None,
            "seats": dict(self._seats),
        }


class RecentChanges:
    """The latest changes that a replica received, for maps whose stored snapshot does not include them yet."""

    def __init__(self, size: int) -> None:
        self._changes: deque[ShownChange] = deque(maxlen=size)

    def add(self, change: ShownChange) -> None:
        """Remember a change; the oldest is dropped."""
        self._changes.append(change)

    def of(self, showtime_id: str) -> Sequence[ShownChange]:
        """The remembered changes of one showtime, in the order of their arrival."""
        return [change for change in self._changes if change.showtime_id == showtime_id]


def owner_key(holder: Holder) -> str:
    """The key of a holder's private messages. A guest's key contains the hash of the secret, never the secret."""
    return f"user:{holder.user_id}" if holder.user_id is not None else f"guest:{holder.secret_hash}"


def booking_update(event: Event, *, version: int) -> Message:
    """A booking event as a message to its owner. Raises TypeError for an event that customers do not see."""
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
        case BookingTicketsCancelled():
            state, more = (
                ("confirmed" if event.remaining else "refunding"),
                {"cancelled": [seat.seat_id for seat in event.seats]},
            )
        case BookingTicketTransferred():
            state, more = "confirmed", {}
        case BookingExchanged():
            state, more = "exchanged", {"replaced_by": event.replaced_by}
        case BookingRefunded():
            state, more = "refunded", {"amount": event.amount, "currency": event.currency}
        case _:
            raise TypeError(f"{event.type} is not shown to customers")
    return {"type": "booking:update", "booking_id": event.booking_id, "state": state, "version": version, **more}
