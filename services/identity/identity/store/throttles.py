"""Counters of attempts, shared by all replicas.

An attempt is counted before it is made, so that a thousand concurrent ones cannot all see zero. Success resets the
counter.
"""

from datetime import UTC, datetime
from math import ceil
from typing import Any

from beanie import Document
from chassis.mongo.collection import Collection
from pymongo import IndexModel

from identity.model import Allowance, TooManyAttempts

LONG_AGO = datetime.fromtimestamp(0, UTC)


class Throttle(Document):
    """The attempts of a key (hash of an account or address) within the window that ends at `expires_at`."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    attempts: int
    blocked_until: datetime
    expires_at: datetime

    class Settings:
        name = "throttles"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]


_throttles = Collection(Throttle)


async def charge(key: str, allowance: Allowance, now: datetime) -> datetime:
    """Count an attempt; returns the time before which the next one is refused.

    Raises TooManyAttempts, with the remaining seconds, during the delay after the last attempt.
    """
    while (blocked_until := await _counted(key, allowance, now)) is None:
        if (found := await _throttles.get(key)) and min(found.blocked_until, found.expires_at) > now:
            raise TooManyAttempts(retry_after=ceil((found.blocked_until - now).total_seconds()))
        # Another request has just inserted the entry, or it has just expired.
    return blocked_until


async def _counted(key: str, allowance: Allowance, now: datetime) -> datetime | None:
    """The end of the delay after this attempt; None when the key is blocked or another request inserts its entry."""
    waits = allowance.waits()
    is_over: dict[str, Any] = {"$lte": [{"$ifNull": ["$expires_at", now]}, now]}
    count = {
        "attempts": {"$cond": [is_over, 1, {"$add": ["$attempts", 1]}]},
        "expires_at": {"$cond": [is_over, now + allowance.window, "$expires_at"]},
    }
    charged = {"$min": [{"$subtract": ["$attempts", allowance.free + 1]}, len(waits) - 1]}
    wait = {"$cond": [{"$lt": [charged, 0]}, 0, {"$arrayElemAt": [waits, charged]}]}
    # Without a delay it stays in the past; otherwise concurrent attempts would block each other by a millisecond.
    blocked_until = {"$cond": [{"$gt": [wait, 0]}, {"$add": [now, wait]}, LONG_AGO]}
    entry = await _throttles.update_and_get(
        {"_id": key, "$or": [{"blocked_until": {"$lte": now}}, {"expires_at": {"$lte": now}}]},
        [{"$set": count}, {"$set": {"blocked_until": blocked_until}}],
        upsert=True,
    )
    return entry.blocked_until if entry else None


async def forgive(key: str) -> None:
    """Reset the counter of the key."""
    await _throttles.delete({"_id": key})


async def refund(key: str, blocked_until: datetime) -> None:
    """Take back one attempt and its delay, unless a later attempt has caused a longer one."""
    wait = {"$cond": [{"$eq": ["$blocked_until", blocked_until]}, LONG_AGO, "$blocked_until"]}
    await _throttles.update(
        {"_id": key, "attempts": {"$gt": 0}},
        [{"$set": {"attempts": {"$subtract": ["$attempts", 1]}, "blocked_until": wait}}],
    )
