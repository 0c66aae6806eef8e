"""Cleaning up after a deleted account: first everything beside its document, at the end the document."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from identity.store.exports import export_parts, exports
from identity.store.invitations import invitations
from identity.store.links import links
from identity.store.sessions import sessions
from identity.store.users import users

KEPT = timedelta(days=1)
"""Longer than the lifetime of access tokens: the document says which of them are void."""
_SENT = {"outbox.0": {"$exists": False}}


async def deleted_people() -> AsyncIterator[str]:
    """The ids of deleted accounts whose documents still exist."""
    async for row in users.rows({"deleted_at": {"$type": "date"}}, ["_id"]):
        yield row["_id"]


async def forget_traces(user_id: str) -> None:
    """Delete everything that belonged to the account, once its events are published."""
    for owned in (sessions, links):
        await owned.delete_many({"user_id": user_id, **_SENT})
    for own in (exports, invitations):
        await own.delete({"_id": user_id, **_SENT})
    await export_parts.delete_many({"user_id": user_id})


async def drop_account(user_id: str, now: datetime) -> None:
    """Delete the document itself after KEPT."""
    await users.delete({"_id": user_id, "deleted_at": {"$lte": now - KEPT}, **_SENT})
