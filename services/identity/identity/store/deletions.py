"""Cleaning up after a deleted account: first everything beside its document, at the end the document."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from chassis.mongo.outbox import Aggregate

from identity.store.exports import Export, ExportPart
from identity.store.invitations import Invitation
from identity.store.links import Link
from identity.store.sessions import Session
from identity.store.users import User

KEPT = timedelta(days=1)
"""Longer than the lifetime of access tokens: the document says which of them are void."""
_SENT = {"outbox.0": {"$exists": False}}


async def deleted_people() -> AsyncIterator[str]:
    """The ids of deleted accounts whose documents still exist."""
    where = {"deleted_at": {"$type": "date"}}
    async for document in User.collection().find(where, {"_id": 1}):
        yield document["_id"]


async def forget_traces(user_id: str) -> None:
    """Delete everything that belonged to the account, once its events are published."""
    belongings: list[type[Aggregate]] = [Session, Link]
    for kind in belongings:
        await kind.collection().delete_many({"user_id": user_id, **_SENT})
    for kind in (Export, Invitation):
        await kind.collection().delete_many({"_id": user_id, **_SENT})
    await ExportPart.get_pymongo_collection().delete_many({"user_id": user_id})


async def drop_account(user_id: str, now: datetime) -> None:
    """Delete the document itself after KEPT."""
    await User.collection().delete_one({"_id": user_id, "deleted_at": {"$lte": now - KEPT}, **_SENT})
