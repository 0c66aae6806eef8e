"""The audit log: what was done to people's rights and ways in, and who looked. It is only ever added to.

An act is recorded as an event in the very write that does it; identity hears its own event and enters it here. So no
act goes without its line, and one that is heard twice has one.
"""

from datetime import datetime
from typing import Any

from beanie import Document
from chassis.clock import now
from chassis.ids import new_id
from contracts import identity as contracts
from contracts.identity import ActRecorded
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from identity.model import Grant


class AuditEntry(Document):
    """One act. Ids are opaque, so that a line can stay when its people are gone; later ids are later acts."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    action: str
    actor_id: str | None
    user_id: str | None
    before: contracts.Grant | None
    after: contracts.Grant | None
    acted_at: datetime

    class Settings:
        name = "audit"
        indexes = [IndexModel([(name, ASCENDING), ("_id", DESCENDING)]) for name in ("user_id", "actor_id", "action")]


def act(
    action: str, actor_id: str | None, user_id: str, *, before: Grant | None = None, after: Grant | None = None
) -> ActRecorded:
    """The event of an act."""
    return ActRecorded(
        act_id=new_id(),
        action=action,
        actor_id=actor_id,
        user_id=user_id,
        before=_told(before),
        after=_told(after),
        acted_at=now(),
    )


def _told(grant: Grant | None) -> contracts.Grant | None:
    return contracts.Grant(roles=list(grant.roles), theaters=grant.theaters) if grant else None


async def record_look(action: str, actor_id: str, user_id: str | None = None) -> None:
    """Enter that an admin looked at a person, or through a list: an act that changes nothing."""
    entry = {"id": new_id(), "action": action, "actor_id": actor_id, "user_id": user_id, "acted_at": now()}
    await AuditEntry(**entry, before=None, after=None).insert()


async def enter(event: ActRecorded) -> None:
    """Enter an act, once."""
    try:
        await AuditEntry(id=event.act_id, **event.model_dump(exclude={"act_id"})).insert()
    except DuplicateKeyError:
        return


async def audit_page(
    where: dict[str, str], since: datetime | None, before: datetime | None, after_id: str | None, limit: int
) -> list[AuditEntry]:
    """Acts with these fields, the newest first, from the one after `after_id` on."""
    position: dict[str, Any] = {}
    if since:
        position["$gte"] = _first_id(since)
    if upper := min(filter(None, (after_id, before and _first_id(before))), default=None):
        position["$lt"] = upper
    found = AuditEntry.find(where | ({"_id": position} if position else {}))
    return await found.sort("-_id").limit(limit).to_list()


def _first_id(moment: datetime) -> str:
    """The lowest id that can have been made then: a UUIDv7 begins with its milliseconds."""
    return f"{max(0, int(moment.timestamp() * 1000)):012x}".ljust(32, "0")
