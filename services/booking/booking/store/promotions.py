"""Promotions in MongoDB, the cache of automatic ones, and the limit for guessing codes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from cachetools import TTLCache
from chassis.security.secrets import hash_secret
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from booking.model import Promotion, PromotionChanged, PromotionCodeTaken, PromotionUnknown, Terms, TooManyCodes
from booking.store.attempts import count_attempt
from booking.store.documents import code_attempts, promotions

AUTOMATIC_CACHE_S = 10.0
MAX_AUTOMATIC = 500
MAX_UNKNOWN_CODES = 20
ATTEMPTS_WINDOW = timedelta(minutes=10)


class Promotions:
    """Stores promotions. Caches the automatic ones, so that a checkout does not read them."""

    def __init__(self) -> None:
        self._automatic = TTLCache[str, list[Promotion]](1, AUTOMATIC_CACHE_S)

    async def automatic(self) -> list[Promotion]:
        """The active automatic promotions. Those that another replica changed are at most AUTOMATIC_CACHE_S old."""
        if (cached := self._automatic.get("all")) is None:
            where = {"is_active": True, "code": None}
            found = promotions.find(where, sort=[("_id", ASCENDING)], limit=MAX_AUTOMATIC)
            cached = self._automatic["all"] = [each async for each in found]
        return cached

    async def add(self, promotion: Promotion) -> Promotion:
        """Store a new promotion. Raises PromotionCodeTaken."""
        added = promotion.model_copy(update={"version": 1})
        if not await promotions.insert(added):
            raise PromotionCodeTaken
        self._automatic.clear()
        return added

    async def change(self, promotion_id: str, code: str | None, terms: Terms, version: int) -> Promotion:
        """Replace the terms and the code of the version. Raises PromotionCodeTaken and PromotionChanged."""
        change = {"$set": terms.model_dump() | {"code": code}, "$inc": {"version": 1}}
        where = {"_id": promotion_id, "version": version, "is_active": True}
        try:
            changed = await promotions.update_and_get(where, change)
        except DuplicateKeyError as error:
            raise PromotionCodeTaken from error
        self._automatic.clear()
        if changed is None:
            raise PromotionChanged
        return changed

    async def end(self, promotion_id: str) -> None:
        """End a promotion. Bookings keep their discounts, and its code can be used again."""
        change = {"$set": {"is_active": False}, "$inc": {"version": 1}}
        await promotions.update({"_id": promotion_id, "is_active": True}, change)
        self._automatic.clear()


async def find_promotion(promotion_id: str) -> Promotion:
    """The promotion. Raises PromotionUnknown."""
    found = await promotions.get(promotion_id)
    if found is None:
        raise PromotionUnknown
    return found


async def promotions_page(theaters: Sequence[str], before: str | None, limit: int) -> list[Promotion]:
    """At most `limit` promotions with ids below `before`, newest first; with theaters, only those limited to them."""
    where: dict[str, Any] = {"_id": {"$lt": before}} if before else {}
    if theaters:
        where["conditions.theater_ids"] = {"$not": {"$elemMatch": {"$nin": list(theaters)}}, "$ne": []}
    return [each async for each in promotions.find(where, sort=[("_id", DESCENDING)], limit=limit)]


async def promotions_of(codes: Sequence[str], network: str, moment: datetime) -> dict[str, Promotion | None]:
    """The active promotion of each code, None if there is none.

    Each attempt with an unknown code counts for the client network. Raises TooManyCodes.
    """
    key = hash_secret(f"codes {network}")
    entry = await count_attempt(key, moment, ATTEMPTS_WINDOW)
    if entry.attempts > MAX_UNKNOWN_CODES:
        raise TooManyCodes(retry_after=max(1, ceil((entry.expires_at - moment).total_seconds())))
    where = {"code": {"$in": list(codes), "$type": "string"}, "is_active": True}
    found = {each.code: each async for each in promotions.find(where)}
    if len(found) == len(codes):
        await code_attempts.update({"_id": key, "attempts": {"$gt": 0}}, {"$inc": {"attempts": -1}})
    return {code: found.get(code) for code in codes}
