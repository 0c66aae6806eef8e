"""How many seats one person, guest or client network can hold at the same time, over all showtimes.

A hold counts under each of its `keys`: one is its holder's, the other one its client network's. A hold of a caller
without limits has no keys. Holds that expire unpaid again and again make the next ones shorter.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal

from contracts.types import Holder

from inventory.model.problems import LimitReached

SHORTEST = timedelta(minutes=1)
REMEMBERED = timedelta(hours=1)
"""How long a hold that expired unpaid is remembered."""
CallerKind = Literal["account", "guest", "exempt"]
_NETWORK = "network:"
_HASH_CHARS = 24
"""96 bits as hex: enough to tell callers apart, and the index of keys is read and written often."""


def holder_key(holder: Holder) -> str:
    """Return the key under which this holder's holds are counted."""
    return f"user:{holder.user_id}" if holder.user_id else f"guest:{(holder.secret_hash or '')[:_HASH_CHARS]}"


def network_key(keyed_hash: str) -> str:
    """Return the key under which the holds from a client network are counted. It does not reveal the address."""
    return f"{_NETWORK}{keyed_hash[:_HASH_CHARS]}"


@dataclass(frozen=True)
class HoldOwner:
    """The caller who asks for a hold. A guest who gets its secret now has no other hold."""

    holder: Holder
    keys: tuple[str, ...] = ()
    new_secret: str | None = None

    @property
    def checkout_key(self) -> str | None:
        """The key under which the holder may have an unpaid checkout."""
        return self.keys[0] if self.keys and self.new_secret is None else None

    @property
    def kind(self) -> CallerKind:
        """The kind of the caller, for metrics."""
        return caller_kind(self.holder, self.keys)


def caller_kind(holder: Holder, keys: Collection[str]) -> CallerKind:
    """Return the kind of the caller who made a hold."""
    if not keys:
        return "exempt"
    return "account" if holder.user_id else "guest"


@dataclass(frozen=True)
class CountedHold:
    """A live hold, as it counts for a limit."""

    seats: int
    ends_at: datetime


@dataclass(frozen=True)
class Limit:
    """The maximum number of live holds and of their seats. Beyond it, requests get `problem`."""

    holds: int
    seats: int
    problem: type[LimitReached]

    def exceeded(self, others: Iterable[CountedHold], seats: int, now: datetime) -> LimitReached | None:
        """Return a problem when a hold of so many seats does not fit beside the other holds. It says when it fits."""
        live = sorted((hold for hold in others if hold.ends_at > now), key=lambda hold: hold.ends_at)
        if self._fits(live, seats):
            return None
        unit = "holds" if len(live) >= self.holds else "seats"
        limit = self.holds if unit == "holds" else self.seats
        for ended, last in enumerate(live, 1):
            if self._fits(live[ended:], seats):
                return self.problem(
                    f"The limit is {limit} {unit} at a time. There is room again at {last.ends_at:%H:%M:%S} UTC.",
                    unit=unit,
                    limit=limit,
                    **until(last.ends_at, now),
                )
        return self.problem(f"The limit is {limit} {unit} at a time.", unit=unit, limit=limit)

    def _fits(self, others: Collection[CountedHold], seats: int) -> bool:
        return len(others) < self.holds and sum(hold.seats for hold in others) + seats <= self.seats


def until(ends_at: datetime, now: datetime) -> dict[str, Any]:
    """Return the members of a problem that ends at a known time."""
    return {
        "ends_at": ends_at.isoformat().replace("+00:00", "Z"),
        "retry_after": max(1, ceil((ends_at - now).total_seconds())),
    }


@dataclass(frozen=True)
class HoldLimits:
    """Limits of a hold: how long it lasts, how often it is renewed, and what its holder and network can have."""

    hold: timedelta
    cap: timedelta
    renewals: int
    per_holder: Limit
    per_network: Limit

    def of(self, key: str) -> Limit:
        """Return the limit of a key."""
        return self.per_network if key.startswith(_NETWORK) else self.per_holder

    def shortened(self, lapses: Mapping[str, int]) -> "HoldLimits":
        """Return the limits after so many recent lapses per key.

        A key can have as many lapses as live holds. Each further one halves the next holds, down to SHORTEST.
        """
        halvings = max((count - self.of(key).holds for key, count in lapses.items()), default=0)
        if halvings <= 0:
            return self
        hold = max(self.hold / 2 ** min(halvings, 16), min(self.hold, SHORTEST))
        return replace(self, hold=hold, cap=self.cap * (hold / self.hold))
