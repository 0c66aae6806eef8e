"""Changes of people that depend on what is stored: read, decide, and write with the read version as the guard."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.http.problems import Unavailable
from contracts.envelope import Event
from contracts.identity import AccessRevoked

from identity.model import UserUnknown
from identity.store import admins
from identity.store.users import User, users

ATTEMPTS = 10


@dataclass(frozen=True)
class Change:
    """Fields to set, and the events to publish with them."""

    fields: dict[str, Any]
    events: list[Event]


Decide = Callable[[User], Change | None]


async def find_person(user_id: str) -> User:
    """The account, even a closed one. Raises UserUnknown."""
    user = await users.find_one({"_id": user_id, "deleted_at": None})
    if user is None:
        raise UserUnknown
    return user


async def change_person(user_id: str, decide: Decide) -> User:
    """Read, decide, write; again after a concurrent write. `decide` returns None when there is nothing to change.

    Raises UserUnknown, LastAdmin, Unavailable and what `decide` raises.
    """
    for _ in range(ATTEMPTS):
        before = await find_person(user_id)
        change = decide(before)
        if change is None:
            return before
        after = before.model_copy(update=change.fields)
        if before.is_acting_admin and not after.is_acting_admin:
            await admins.leave(before)
        where = {"_id": user_id, "version": before.version}
        if changed := await users.update_and_get(where, {"$set": change.fields}, events=change.events):
            if changed.is_acting_admin:
                await admins.join(changed)
            return changed
    raise Unavailable(retry_after=1)


def revoked(user: User, moment: datetime) -> tuple[dict[str, Any], AccessRevoked]:
    """Void all issued access tokens, in every service."""
    epoch = user.epoch + 1
    return {"epoch": epoch, "revoked_at": moment}, AccessRevoked(user_id=user.id, epoch=epoch)


def signed_out(user: User, moment: datetime, *, but: str | None = None) -> tuple[dict[str, Any], AccessRevoked]:
    """End all sessions, or all but one, and void all issued access tokens.

    The sessions' documents are deleted afterwards. That only saves space: a session that still exists is over.
    """
    fields, event = revoked(user, moment)
    return fields | {"signed_out_at": moment, "kept_session_id": but}, event
