"""Whose access tokens are void (chassis.revocations)."""

from datetime import timedelta

from chassis.clock import now

from identity.store.users import User

LONGEST_TOKEN = timedelta(hours=1)


async def revocations() -> dict[str, dict[str, int]]:
    """Everybody whose access was revoked lately, and the first epoch of theirs that counts, as services read it."""
    where = {"revoked_at": {"$gt": now() - LONGEST_TOKEN, "$type": "date"}}
    found = User.collection().find(where, {"epoch": 1})
    return {"revoked": {document["_id"]: document["epoch"] async for document in found}}
