"""Revoked access tokens (ADR 8)."""

from datetime import timedelta
from typing import Any

from chassis.clock import now

from identity.store.sessions import ended_since
from identity.store.users import users

LONGEST_TOKEN = timedelta(hours=1)


async def revocations() -> dict[str, dict[str, Any]]:
    """People whose access was revoked recently, with their first valid epoch, and the sessions that ended recently."""
    since = now() - LONGEST_TOKEN
    where = {"revoked_at": {"$gt": since, "$type": "date"}}
    epochs = {row["_id"]: row["epoch"] async for row in users.rows(where, ["epoch"])}
    return {"revoked": epochs, "ended": await ended_since(since)}
