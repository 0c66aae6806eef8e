"""Wrong codes of gift cards, counted by the client's network and by the account."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from beanie import Document
from chassis.mongo.collection import Collection
from chassis.security.secrets import hash_secret
from pydantic import Field
from pymongo import IndexModel

from payment.model import TooManyAttempts

MAX_FAILURES = 20
WINDOW = timedelta(hours=1)


class AttemptsDocument(Document):
    """The wrong codes from one network or of one account since the first one; deleted after WINDOW."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    failures: int = 0
    expires_at: datetime

    class Settings:
        name = "code_attempts"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]


attempts = Collection(AttemptsDocument)


async def check_attempts(callers: Sequence[str], now: datetime) -> None:
    """Raise TooManyAttempts, with the remaining seconds, after MAX_FAILURES wrong codes of one of the callers."""
    ids = [hash_secret(caller) for caller in callers]
    where = {"_id": {"$in": ids}, "failures": {"$gte": MAX_FAILURES}, "expires_at": {"$gt": now}}
    if found := await attempts.find_one(where):
        raise TooManyAttempts(retry_after=max(1, ceil((found.expires_at - now).total_seconds())))


async def count_failure(callers: Sequence[str], now: datetime) -> None:
    """Count a wrong code of each of the callers."""
    for caller in callers:
        key = hash_secret(caller)
        await attempts.delete({"_id": key, "expires_at": {"$lte": now}})  # MongoDB deletes it within a minute only
        change = {"$inc": {"failures": 1}, "$setOnInsert": {"expires_at": now + WINDOW}}
        await attempts.update({"_id": key}, change, upsert=True)
