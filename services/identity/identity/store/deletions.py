"""What is left to do when an account was deleted: everything beside its document, and at last the document."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from chassis.outbox import Aggregate

from identity.store.exports import Export, ExportPart
from identity.store.invitations import Invitation
from identity.store.links import Link
from identity.store.sessions import Session
from identity.store.users import User

KEPT = timedelta(days=1)
"""Longer than any access token lasts: the document tells which of them are void."""
_SENT = {"outbox.0": {"$exists": False}}


async def deleted_people() -> AsyncIterator[str]:
    """The ids of accounts that were deleted and whose documents are still there."""
    where = {"deleted_at": {"$type": "date"}}
    async for document in User.collection().find(where, {"_id": 1}):
        yield document["_id"]


async def forget_traces(user_id: str) -> None:
    """Delete what belonged to the account, as soon as what it still has to say is said."""
    belongings: list[type[Aggregate]] = [Session, Link]
    for kind in belongings:
        await kind.collection().delete_many({"user_id": user_id, **_SENT})
    for kind in (Export, Invitation):
        await kind.collection().delete_many({"_id": user_id, **_SENT})
    await ExportPart.get_pymongo_collection().delete_many({"user_id": user_id})


async def drop_account(user_id: str, now: datetime) -> None:
    """Delete the document itself in its time."""
    await User.collection().delete_one({"_id": user_id, "deleted_at": {"$lte": now - KEPT}, **_SENT})
