"""The messages in MongoDB, and the guarded writes by which replicas claim them."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from beanie import Document
from chassis.ids import new_id
from chassis.mongo import writes
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne

from notifier.model import Kind, State

LINGER_S = 0.05
"""How long a new message waits for others, so that one command inserts them all. Recipients do not notice it."""


class Message(Document):
    """One mail. `event` is the JSON of the event that it is rendered from. `due_at` is set until the mail is sent or
    has failed.

    While a replica is sending, `due_at` is the end of its lease; after that, any replica may claim the message. MongoDB
    deletes the message at `expires_at`. Until then its key prevents a second mail when the event is repeated, even
    after the personal data was erased. Of several messages with one `topic`, only the one with the highest `turn` is
    sent.
    """

    id: str = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    key: str
    kind: Kind
    user_id: str | None = None
    address: str
    reference: str
    topic: str | None = None
    turn: int = 0
    event: str
    state: State = "queued"
    attempts: int = 0
    queued_at: datetime
    due_at: datetime | None = None
    sent_at: datetime | None = None
    reason: str | None = None
    expires_at: datetime | None = None

    class Settings:
        name = "messages"
        indexes = [
            IndexModel("key", unique=True),
            IndexModel("due_at", partialFilterExpression={"due_at": {"$exists": True}}),
            IndexModel([("state", ASCENDING), ("_id", DESCENDING)]),
            IndexModel(
                [("topic", ASCENDING), ("turn", ASCENDING)],
                partialFilterExpression={"topic": {"$type": "string"}},
            ),
            IndexModel("user_id", partialFilterExpression={"user_id": {"$type": "string"}}),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]

    async def queue(self) -> bool:
        """Insert the message; False when its key already exists."""
        document = {"_id": self.id} | self.model_dump(exclude={"id"}, exclude_none=True)
        return await writes.insert(self.get_pymongo_collection(), document, linger=LINGER_S)

    @classmethod
    async def is_any_due(cls, now: datetime) -> bool:
        """Whether any message is due."""
        return await cls.get_pymongo_collection().find_one({"due_at": {"$lte": now}}, {"_id": 1}) is not None

    @classmethod
    async def claim(cls, now: datetime, lease: timedelta, *, may_take_over: bool = True) -> Self | None:
        """Claim the message that has been due longest for the length of the lease; None when nothing is due.

        With `may_take_over`, also claim a message of another replica whose lease has ended.
        """
        states = ["queued", "sending"] if may_take_over else ["queued"]
        claimed = await cls.get_pymongo_collection().find_one_and_update(
            {"due_at": {"$lte": now}, "state": {"$in": states}},
            {"$set": {"state": "sending", "due_at": now + lease}, "$inc": {"attempts": 1}},
            sort={"due_at": 1},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(claimed) if claimed else None

    async def is_superseded(self) -> bool:
        """Whether a later message with the same topic exists."""
        if self.topic is None:
            return False
        later = {"topic": {"$eq": self.topic, "$type": "string"}, "turn": {"$gt": self.turn}}
        return await self.get_pymongo_collection().find_one(later, {"_id": 1}) is not None

    @classmethod
    async def record_sent(cls, accepted: Mapping[str, datetime]) -> None:
        """Record when the mail server accepted these messages, even if another replica has claimed them since."""
        changes = [
            UpdateOne({"_id": message_id}, _set_fields(state="sent", sent_at=moment, due_at=None, reason=None))
            for message_id, moment in accepted.items()
        ]
        await cls.get_pymongo_collection().bulk_write(changes, ordered=False)

    async def record_failed(self, reason: str) -> None:
        """Record a permanent failure."""
        await self._update(_set_fields(state="failed", due_at=None, reason=reason))

    async def schedule_retry(self, due_at: datetime, reason: str) -> None:
        """Make the message due again at that time."""
        await self._update(_set_fields(state="queued", due_at=due_at, reason=reason))

    async def release(self, now: datetime) -> None:
        """Release the claim of an attempt that has not begun; any replica may claim the message again."""
        await self._update(_set_fields(state="queued", due_at=now) | {"$inc": {"attempts": -1}})

    async def _update(self, change: dict[str, Any]) -> None:
        """Update the message unless another replica has claimed it after the lease ended."""
        lease = {"_id": self.id, "state": "sending", "attempts": self.attempts}
        await writes.update(self.get_pymongo_collection(), lease, change)

    @classmethod
    def of_person(cls, user_id: str) -> AsyncIterator[Self]:
        """Find a person's messages, oldest first."""
        return aiter(cls.find(_with_user(user_id)).sort("+_id"))

    @classmethod
    async def erase_person(cls, user_id: str) -> None:
        """Erase address and content of a person's messages that are sent or have failed."""
        where = _with_user(user_id) | {"state": {"$in": ["sent", "failed"]}}
        erased = {"address": "", "reference": "", "event": "{}"}
        await cls.get_pymongo_collection().update_many(where, {"$set": erased, "$unset": {"user_id": "", "reason": ""}})

    @classmethod
    async def newest(cls, state: State | None, after_id: str | None, limit: int) -> list[Self]:
        """Return a page of messages, newest first, starting after `after_id`."""
        where: dict[str, Any] = {"state": state} if state else {}
        if after_id is not None:
            where["_id"] = {"$lt": after_id}
        return await cls.find(where).sort("-_id").limit(limit).to_list()


def _set_fields(**fields: Any) -> dict[str, dict[str, Any]]:
    """Return the operators that set the fields and remove those that are None."""
    change = {
        "$set": {name: value for name, value in fields.items() if value is not None},
        "$unset": {name: "" for name, value in fields.items() if value is None},
    }
    return {operator: part for operator, part in change.items() if part}


def _with_user(user_id: str) -> dict[str, Any]:
    return {"user_id": {"$eq": user_id, "$type": "string"}}  # without the type, the partial index is not used


DOCUMENTS = [Message]
