"""The messages, and the writes by which replicas share them out."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from beanie import Document
from chassis import writes
from chassis.ids import new_id
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne

from notifier.model import Kind, State

LINGER_S = 0.05
"""How long a new message waits for others, so that one command inserts them all. No reader notices the delay."""


class Message(Document):
    """One mail: `event` is the JSON of what it tells. `due_at` is there as long as something is to be done.

    While a replica is sending, `due_at` is the end of its lease: whoever finds it passed may try. MongoDB deletes the
    message at `expires_at`; until then its key keeps a repeated event from becoming a second mail, also when what is
    personal was erased. Of several messages with one `topic`, only that with the highest `turn` is still news.
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
        """Keep the message for sending; False when its key is there already."""
        document = {"_id": self.id} | self.model_dump(exclude={"id"}, exclude_none=True)
        return await writes.insert(self.get_pymongo_collection(), document, linger=LINGER_S)

    @classmethod
    async def is_any_due(cls, now: datetime) -> bool:
        """Whether some message is due."""
        return await cls.get_pymongo_collection().find_one({"due_at": {"$lte": now}}, {"_id": 1}) is not None

    @classmethod
    async def claim(cls, now: datetime, lease: timedelta, *, may_take_over: bool = True) -> Self | None:
        """Take the message that has been due longest, for the time of the lease; None when nothing is due.

        `may_take_over`: also one that another replica is sending and whose lease has ended.
        """
        states = ["queued", "sending"] if may_take_over else ["queued"]
        claimed = await cls.get_pymongo_collection().find_one_and_update(
            {"due_at": {"$lte": now}, "state": {"$in": states}},
            {"$set": {"state": "sending", "due_at": now + lease}, "$inc": {"attempts": 1}},
            sort={"due_at": 1},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(claimed) if claimed else None

    async def is_overtaken(self) -> bool:
        """Whether there is a later message on its topic."""
        if self.topic is None:
            return False
        later = {"topic": {"$eq": self.topic, "$type": "string"}, "turn": {"$gt": self.turn}}
        return await self.get_pymongo_collection().find_one(later, {"_id": 1}) is not None

    @classmethod
    async def record_sent(cls, accepted: Mapping[str, datetime]) -> None:
        """The messages with these ids were accepted then, whoever else may be trying by now."""
        changes = [
            UpdateOne({"_id": message_id}, _change(state="sent", sent_at=moment, due_at=None, reason=None))
            for message_id, moment in accepted.items()
        ]
        await cls.get_pymongo_collection().bulk_write(changes, ordered=False)

    async def record_failed(self, reason: str) -> None:
        """Nobody tries again."""
        await self._update(_change(state="failed", due_at=None, reason=reason))

    async def put_off(self, due_at: datetime, reason: str) -> None:
        """Try again then."""
        await self._update(_change(state="queued", due_at=due_at, reason=reason))

    async def give_back(self, now: datetime) -> None:
        """Whoever is next may try: this attempt has not begun."""
        await self._update(_change(state="queued", due_at=now) | {"$inc": {"attempts": -1}})

    async def _update(self, change: dict[str, Any]) -> None:
        """Nothing happens once another replica took the message after a lapsed lease."""
        lease = {"_id": self.id, "state": "sending", "attempts": self.attempts}
        await writes.update(self.get_pymongo_collection(), lease, change)

    @classmethod
    def of_person(cls, user_id: str) -> AsyncIterator[Self]:
        """A person's messages, the oldest first."""
        return aiter(cls.find(_theirs(user_id)).sort("+_id"))

    @classmethod
    async def erase_person(cls, user_id: str) -> None:
        """Take out of a person's messages what they say and to whom, once nobody is to send them any more."""
        where = _theirs(user_id) | {"state": {"$in": ["sent", "failed"]}}
        nothing = {"address": "", "reference": "", "event": "{}"}
        await cls.get_pymongo_collection().update_many(
            where, {"$set": nothing, "$unset": {"user_id": "", "reason": ""}}
        )

    @classmethod
    async def newest(cls, state: State | None, after_id: str | None, limit: int) -> list[Self]:
        """A page of messages, the newest first, from the one after `after_id` on."""
        where: dict[str, Any] = {"state": state} if state else {}
        if after_id is not None:
            where["_id"] = {"$lt": after_id}
        return await cls.find(where).sort("-_id").limit(limit).to_list()


def _change(**fields: Any) -> dict[str, dict[str, Any]]:
    """The operators that set the fields, and take out those that are None."""
    change = {
        "$set": {name: value for name, value in fields.items() if value is not None},
        "$unset": {name: "" for name, value in fields.items() if value is None},
    }
    return {operator: part for operator, part in change.items() if part}


def _theirs(user_id: str) -> dict[str, Any]:
    return {"user_id": {"$eq": user_id, "$type": "string"}}  # the type: else the partial index is not used


DOCUMENTS = [Message]
