"""The audit log: changes of rights, credentials, bookings and gift cards, and who viewed whom. It is append-only.

An action is recorded as an event by the write that performs it; identity consumes its own event and inserts it here. So
every action has exactly one line, even when its event is delivered twice.
"""

from datetime import datetime
from typing import Any

from beanie import Document
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.collection import Collection
from contracts import identity as contracts
from contracts.booking import HouseChangeActed, StaffActed
from contracts.identity import ActRecorded
from contracts.payment import GiftCardActed
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from identity.model import Grant


class AuditEntry(Document):
    """One action. It contains opaque ids only, so it can stay when people are deleted; later ids are later actions."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    action: str
    actor_id: str | None
    user_id: str | None = None
    booking_id: str | None = None
    showtime_id: str | None = None
    gift_card_id: str | None = None
    before: contracts.Grant | None = None
    after: contracts.Grant | None = None
    acted_at: datetime

    class Settings:
        name = "audit"
        indexes = [IndexModel([(name, ASCENDING), ("_id", DESCENDING)]) for name in ("user_id", "actor_id", "action")]


entries = Collection(AuditEntry)


def act(
    action: str, actor_id: str | None, user_id: str, *, before: Grant | None = None, after: Grant | None = None
) -> ActRecorded:
    """The event of an action."""
    moment = now()  # before the id, so that a search since this moment finds the action
    return ActRecorded(
        act_id=new_id(),
        action=action,
        actor_id=actor_id,
        user_id=user_id,
        before=_published(before),
        after=_published(after),
        acted_at=moment,
    )


def _published(grant: Grant | None) -> contracts.Grant | None:
    return contracts.Grant(roles=list(grant.roles), theaters=grant.theaters) if grant else None


async def record_look(action: str, actor_id: str, user_id: str | None = None) -> None:
    """Record that an admin viewed a person or a list."""
    entry = {"acted_at": now(), "id": new_id(), "action": action, "actor_id": actor_id, "user_id": user_id}
    await entries.insert(AuditEntry(**entry))


async def enter(event: ActRecorded | StaffActed | HouseChangeActed | GiftCardActed) -> None:
    """Insert an action, once."""
    await entries.insert(AuditEntry(id=event.act_id, **event.model_dump(exclude={"act_id", "change_id"})))


async def audit_page(
    where: dict[str, str], since: datetime | None, before: datetime | None, after_id: str | None, limit: int
) -> list[AuditEntry]:
    """Actions with these fields, the newest first, starting after `after_id`."""
    position: dict[str, Any] = {}
    if since:
        position["$gte"] = _first_id(since)
    if upper := min(filter(None, (after_id, before and _first_id(before))), default=None):
        position["$lt"] = upper
    where_at = where | ({"_id": position} if position else {})
    return [entry async for entry in entries.find(where_at, sort=[("_id", DESCENDING)], limit=limit)]


def _first_id(moment: datetime) -> str:
    """The lowest id of that time: a UUIDv7 begins with its milliseconds."""
    return f"{max(0, int(moment.timestamp() * 1000)):012x}".ljust(32, "0")
