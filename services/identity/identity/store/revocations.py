"""Revoked access tokens (ADR 8)."""

from datetime import timedelta

from chassis.clock import now

from identity.store.users import users

LONGEST_TOKEN = timedelta(hours=1)


async def revocations() -> dict[str, dict[str, int]]:
    """People whose access was revoked recently, with their first valid epoch."""
    where = {"revoked_at": {"$gt": now() - LONGEST_TOKEN, "$type": "date"}}
    return {"revoked": {row["_id"]: row["epoch"] async for row in users.rows(where, ["epoch"])}}
