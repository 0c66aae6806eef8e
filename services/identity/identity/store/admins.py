"""Guarantees that there is always an active admin, although each person is a separate document.

One small document lists the active admins. A person who stops being an admin is removed *before* their own document
changes, in a write whose filter requires another admin; a new admin is added *after*. So the list never contains
somebody who is not an admin, and its last id is never removed. `seen` keeps an addition from overtaking a removal: it
stores the version of the person's document at the removal, and additions need a later version.
(docs/adr/0011-the-last-admin.md)
"""

from typing import Any

from beanie import Document
from chassis.mongo.collection import Collection
from pydantic import Field

from identity.model import LastAdmin
from identity.store.users import User, users

_ONLY = "admins"


class Admins(Document):
    """The one list: ids of active admins, and user id → version."""

    id: str = Field(default=_ONLY)  # pyright: ignore[reportIncompatibleVariableOverride]
    active: list[str] = []
    seen: dict[str, int] = {}

    class Settings:
        name = "admins"


_lists = Collection(Admins)


def somebody_else(user_id: str) -> dict[str, Any]:
    """Filter: the list contains another admin."""
    return {"active": {"$elemMatch": {"$ne": user_id}}}


async def leave(user: User) -> None:
    """Remove an admin from the list, before they stop being one. Raises LastAdmin."""
    where = {"_id": _ONLY, **somebody_else(user.id)}
    if not await _lists.update(where, {"$pull": {"active": user.id}, "$max": {f"seen.{user.id}": user.version}}):
        raise LastAdmin


async def join(user: User) -> None:
    """Add a new admin to the list, unless a removal has seen this or a later version of their document."""
    seen = f"seen.{user.id}"
    where = {"_id": _ONLY, "$or": [{seen: {"$exists": False}}, {seen: {"$lt": user.version}}]}
    await _lists.update(where, {"$addToSet": {"active": user.id}, "$set": {seen: user.version}}, upsert=True)


async def enter_missing() -> None:
    """Add the admins who are missing in the list after a crash or an incomplete removal.

    Their documents' versions are incremented first, so that a concurrent removal is decided again.
    """
    known = await _lists.get(_ONLY)
    where = {"roles": "admin", "is_active": True, "_id": {"$nin": known.active if known else []}}
    async for missing in users.rows(where, ["version"]):
        if admin := await users.update_and_get(missing, {}):
            await join(admin)
