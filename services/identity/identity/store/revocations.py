"""Whose access tokens are void before they run out: people with a new `epoch` since the longest token was signed."""

from datetime import datetime, timedelta

from identity.store.users import User

LONGEST_TOKEN = timedelta(hours=1)


async def revoked(now: datetime) -> dict[str, int]:
    """Everybody whose access was revoked lately, and the first epoch of theirs that counts."""
    found = User.collection().find({"revoked_at": {"$gt": now - LONGEST_TOKEN}}, {"epoch": 1})
    return {document["_id"]: document["epoch"] async for document in found}
