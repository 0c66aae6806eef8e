"""The rule that there is always an active admin, across people who are a document each.

One small document lists the active admins. Whoever stops being one leaves it *before* their own document changes, in a
write whose filter asks for another one; whoever becomes one enters it *after*. So the list never names somebody who is
no admin, and its last name never goes. `seen` keeps the two from overtaking each other: it holds the version of the
person's document that a departure was decided on, and nobody enters for a version that is not later.
(docs/adr/0011-the-last-admin.md)
"""

from typing import Any

from beanie import Document
from pydantic import Field
from pymongo.errors import DuplicateKeyError

from identity.model import LastAdmin
from identity.store.users import User

_ONLY = "admins"


class Admins(Document):
    """The one list: ids of active admins, and user id → version."""

    id: str = Field(default=_ONLY)  # pyright: ignore[reportIncompatibleVariableOverride]
    active: list[str] = []
    seen: dict[str, int] = {}

    class Settings:
        name = "admins"


def somebody_else(user_id: str) -> dict[str, Any]:
    """The guard: another active admin is there."""
    return {"active": {"$elemMatch": {"$ne": user_id}}}


async def leave(user: User) -> None:
    """Strike an admin off before they stop being one. Raises LastAdmin."""
    left = await Admins.get_pymongo_collection().update_one(
        {"_id": _ONLY, **somebody_else(user.id)},
        {"$pull": {"active": user.id}, "$max": {f"seen.{user.id}": user.version}},
    )
    if not left.matched_count:
        raise LastAdmin


async def join(user: User) -> None:
    """Enter an admin who has just become one, unless their document has changed on since."""
    seen = f"seen.{user.id}"
    where = {"_id": _ONLY, "$or": [{seen: {"$exists": False}}, {seen: {"$lt": user.version}}]}
    change = {"$addToSet": {"active": user.id}, "$set": {seen: user.version}}
    try:
        await Admins.get_pymongo_collection().update_one(where, change, upsert=True)
    except DuplicateKeyError:
        return  # the list is there, and has seen a later version


async def enter_missing() -> None:
    """Enter the admins whom a crash, or a departure that was not completed, has left out.

    Their documents' versions move first, so that a departure that was decided on the old one is decided again.
    """
    known = await Admins.get(_ONLY)
    where = {"roles": "admin", "is_active": True, "_id": {"$nin": known.active if known else []}}
    async for left_out in User.collection().find(where, {"version": 1}):
        if document := await User.commit({"_id": left_out["_id"], "version": left_out["version"]}, {}):
            await join(User.parse(document))
