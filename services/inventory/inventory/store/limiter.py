"""Counts live holds by holder and client network before a new one is written, without a further durable write.

A replica counts the holds in MongoDB and those that it is writing. Replicas do not see what others are writing at the
same time, so with n replicas a limit can be exceeded n times at most. While a key's holds from this replica use at most
half of its limit, the next one needs no read: two replicas together stay within the limit.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from cachetools import LRUCache
from chassis.clock import now
from chassis.ids import new_id

from inventory.model import REMEMBERED, CountedHold, HoldLimits
from inventory.store.documents import lapsed_holds, showtimes

KEYS_KNOWN = 50_000
Counted = defaultdict[str, dict[str, CountedHold]]
"""By key and hold id."""


@dataclass(frozen=True)
class Reservation:
    """Room for a hold. `limits` apply to it, shortened after recent lapses."""

    hold_id: str
    limits: HoldLimits


@dataclass
class _Stored:
    """What MongoDB has: live holds, and the number of recent lapses by key."""

    holds: Counted = field(default_factory=lambda: Counted(dict))
    lapses: Counter[str] = field(default_factory=Counter[str])


class HoldLimiter:
    """Enforces the limits of live holds at one replica."""

    def __init__(self) -> None:
        self._made: LRUCache[str, dict[str, CountedHold]] = LRUCache(KEYS_KNOWN)
        self._reserved: Counted = defaultdict(dict)
        self._next_read: tuple[set[str], asyncio.Task[_Stored]] | None = None
        # A read may miss a hold that is written at the same time. So a reservation counts until all checks that began
        # before its end are over.
        self._checks = 0
        self._running: dict[int, None] = {}
        self._ended: deque[tuple[int, Sequence[str], str]] = deque()

    def move(self, before: Sequence[str], after: Sequence[str], hold_id: str, counted: CountedHold) -> None:
        """Count a hold under other keys: its holder has changed."""
        self.release(before, hold_id)
        self._count(after, hold_id, counted)

    @asynccontextmanager
    async def reserved(
        self, keys: Sequence[str], seats: int, limits: HoldLimits, hold_id: str | None = None
    ) -> AsyncIterator[Reservation]:
        """Reserve room for a hold of so many seats while it is written; `hold_id`: the existing hold that grows.

        Raises TooManyHolds and NetworkIsFull.
        """
        hold_id = hold_id or new_id()
        limits = await self._reserve(keys, hold_id, seats, limits)
        try:
            yield Reservation(hold_id, limits)
        except BaseException:
            self._forget(keys, hold_id)
            self.release(keys, hold_id)
            raise
        self._ended.append((self._checks, keys, hold_id))
        self._forget_ended()

    def release(self, keys: Sequence[str], hold_id: str) -> None:
        """Stop counting a hold that has been released. One that has expired unpaid counts for an hour."""
        for key in keys:
            self._made.get(key, {}).pop(hold_id, None)

    def _count(self, keys: Sequence[str], hold_id: str, counted: CountedHold) -> None:
        for key in keys:
            self._made.setdefault(key, {})[hold_id] = counted

    async def _reserve(self, keys: Sequence[str], hold_id: str, seats: int, limits: HoldLimits) -> HoldLimits:
        self._checks += 1
        self._running[check := self._checks] = None
        try:
            is_near = any(self._is_near(key, hold_id, seats, limits, now()) for key in keys)
            stored = await self._read(keys) if is_near else _Stored()
            moment = now()
            for key in keys:
                others = stored.holds.get(key, {}) | self._reserved.get(key, {})
                others.pop(hold_id, None)
                if problem := limits.of(key).exceeded(others.values(), seats, moment):
                    raise problem
            counted = CountedHold(seats, moment + limits.hold)
            for key in keys:
                self._reserved[key][hold_id] = counted
            self._count(keys, hold_id, counted)
            return limits.shortened({key: stored.lapses[key] for key in keys})
        finally:
            del self._running[check]
            self._forget_ended()

    def _is_near(self, key: str, hold_id: str, seats: int, limits: HoldLimits, moment: datetime) -> bool:
        """Whether the key's holds from this replica use more than half of a limit together with the new one."""
        made = self._made.get(key, {})
        for each in [each for each, hold in made.items() if hold.ends_at + REMEMBERED <= moment]:
            del made[each]
        others, limit = [hold.seats for each, hold in made.items() if each != hold_id], limits.of(key)
        return bool(others) and (2 * (len(others) + 1) > limit.holds or 2 * (sum(others) + seats) > limit.seats)

    def _forget_ended(self) -> None:
        oldest = next(iter(self._running), self._checks + 1)
        while self._ended and self._ended[0][0] < oldest:
            _, keys, hold_id = self._ended.popleft()
            self._forget(keys, hold_id)

    def _forget(self, keys: Sequence[str], hold_id: str) -> None:
        for key in keys:
            if (reserved := self._reserved.get(key)) and reserved.pop(hold_id, None) and not reserved:
                del self._reserved[key]

    async def _read(self, keys: Sequence[str]) -> _Stored:
        """Read what MongoDB has. Concurrent calls share a read."""
        if self._next_read is None:
            wanted: set[str] = set()
            self._next_read = wanted, asyncio.create_task(self._read_all(wanted))
        wanted, task = self._next_read
        wanted.update(keys)
        return await asyncio.shield(task)

    async def _read_all(self, wanted: Set[str]) -> _Stored:
        await asyncio.sleep(0)
        self._next_read = None
        return _Stored(*await asyncio.gather(_live_holds(wanted), _lapses(wanted)))


async def _live_holds(wanted: Set[str]) -> Counted:
    keys, counted = list(wanted), Counted(dict)
    is_wanted = {"$ne": [{"$setIntersection": [{"$ifNull": ["$$hold.keys", []]}, keys]}, []]}
    fields = {"holds": {"$filter": {"input": "$holds", "as": "hold", "cond": is_wanted}}}
    async for row in showtimes.rows({"holds.keys": {"$in": keys}}, fields):
        for hold in row["holds"]:
            for key in wanted & set(hold["keys"]):
                counted[key][hold["id"]] = CountedHold(len(hold["seats"]), hold["expires_at"])
    return counted


async def _lapses(wanted: Set[str]) -> Counter[str]:
    rows = lapsed_holds.rows({"keys": {"$in": list(wanted)}, "until": {"$gt": now()}}, ("keys",))
    return Counter([key async for row in rows for key in row["keys"]])
