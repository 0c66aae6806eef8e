"""Refunds that are not settled: under way, or failed and not repeated yet."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from pymongo import ASCENDING

from booking.model import Booking
from booking.store.bookings import MAX_COUNTED
from booking.store.documents import bookings

Unsettled = Literal["requested", "failed"]
UNSETTLED_REFUNDS: tuple[Unsettled, ...] = get_args(Unsettled)


async def refund_page(state: Unsettled, theaters: Sequence[str], after: str | None, limit: int) -> list[Booking]:
    """Return at most `limit` bookings with such refunds and ids above `after`, the oldest first.

    `theaters` are those to search in; empty for all.
    """
    where: dict[str, Any] = {"refunds": {"$elemMatch": _is_unsettled(state)}, "refunds.state": state}
    if after:
        where["_id"] = {"$gt": after}
    if theaters:
        where["theater_id"] = {"$in": theaters}
    order = [("_id", ASCENDING)]
    return [booking async for booking in bookings.find(where, sort=order, limit=limit, hint="refunds")]


async def unsettled_refunds() -> AsyncIterator[tuple[Unsettled, int, datetime]]:
    """Yield each of the two states with its number of refunds and the time since which the oldest one has had it.

    Counts those of at most MAX_COUNTED bookings, without refunds that wait for the end of a dispute.
    """
    groups: list[dict[str, Any]] = [
        {"$match": {"refunds.state": {"$in": list(UNSETTLED_REFUNDS)}}},
        {"$limit": MAX_COUNTED},
        {"$project": {"refunds": 1, "is_disputed": 1}},
        {"$unwind": "$refunds"},
        {"$replaceWith": {"$mergeObjects": ["$refunds", {"is_disputed": "$is_disputed"}]}},
        {"$match": {"$or": [_is_unsettled("requested") | {"is_disputed": {"$ne": True}}, _is_unsettled("failed")]}},
        {"$group": {"_id": "$state", "count": {"$sum": 1}, "since": {"$min": {"$ifNull": ["$settled_at", "$at"]}}}},
    ]
    async for group in bookings.aggregate(groups, hint="refunds"):
        yield group["_id"], group["count"], group["since"]


def _is_unsettled(state: Unsettled) -> dict[str, Any]:
    return {"state": state, "is_requested": True, "repeated_as": None}
