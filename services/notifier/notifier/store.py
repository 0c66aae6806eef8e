"""The messages in MongoDB, and the guarded writes by which replicas claim them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.notifier import MailFailed
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne

from notifier.model import Kind, State

LINGER_S = 0.05
"""How long a new message waits for others, so that one command inserts them all. Recipients do not notice it."""


class Message(Aggregate):
    """One mail. `event` is the JSON of the event that it is rendered from. `due_at` is set until the mail is sent or
    has failed.

    While a replica is sending, `due_at` is the end of its lease; after that, any replica may claim the message. MongoDB
    deletes the message at `expires_at`. Until then its key prevents a second mail when the event is repeated, even
    after the personal data was erased. Of several messages with one `topic`, only the one with the highest `turn` is
    sent.
    """

    key: str
    kind: Kind
    user_id: str | None = None
    address: str
    reference: str
    booking_id: str | None = None
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
            IndexModel("booking_id", partialFilterExpression={"booking_id": {"$type": "string"}}),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]

    async def queue(self) -> bool:
        """Insert the message; False when its key already exists."""
        return await messages.insert(self, linger=LINGER_S)

    @classmethod
    async def is_any_due(cls, now: datetime) -> bool:
        """Whether any message is due."""
        return await messages.exists({"due_at": {"$lte": now}})

    @classmethod
    async def claim(cls, now: datetime, lease: timedelta, *, may_take_over: bool = True) -> "Message | None":
        """Claim the message that has been due longest for the length of the lease; None when nothing is due.

        With `may_take_over`, also claim a message of another replica whose lease has ended.
        """
        states = ["queued", "sending"] if may_take_over else ["queued"]
        return await messages.update_and_get(
            {"due_at": {"$lte": now}, "state": {"$in": states}},
            {"$set": {"state": "sending", "due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )

    async def is_superseded(self) -> bool:
        """Whether a later message with the same topic exists."""
        if self.topic is None:
            return False
        later = {"topic": {"$eq": self.topic, "$type": "string"}, "turn": {"$gt": self.turn}}
        return await messages.exists(later)

    @classmethod
    async def record_sent(cls, accepted: Mapping[str, datetime]) -> None:
        """Record when the mail server accepted these messages, even if another replica has claimed them since."""
        changes = [
            UpdateOne({"_id": message_id}, _set_fields(state="sent", sent_at=moment, due_at=None, reason=None))
            for message_id, moment in accepted.items()
        ]
        await messages.bulk_write(changes)

    async def record_failed(self, reason: str, events: Sequence[MailFailed] = ()) -> None:
        """Record a permanent failure."""
        await self._update(_set_fields(state="failed", due_at=None, reason=reason), events)

    async def schedule_retry(self, due_at: datetime, reason: str) -> None:
        """Make the message due again at that time."""
        await self._update(_set_fields(state="queued", due_at=due_at, reason=reason))

    async def release(self, now: datetime) -> None:
        """Release the claim of an attempt that has not begun; any replica may claim the message again."""
        await self._update(_set_fields(state="queued", due_at=now) | {"$inc": {"attempts": -1}})

    async def _update(self, change: dict[str, Any], events: Sequence[MailFailed] = ()) -> None:
        """Update the message unless another replica has claimed it after the lease ended."""
        lease = {"_id": self.id, "state": "sending", "attempts": self.attempts}
        await messages.update(lease, change, events=events)

    @classmethod
    async def adopt(cls, booking_id: str, user_id: str) -> None:
        """Make the mails about a guest's booking a person's: they are exported and erased with the account."""
        guests = {"booking_id": {"$eq": booking_id, "$type": "string"}, "user_id": None}
        await messages.update_many(guests, {"$set": {"user_id": user_id}})

    @classmethod
    def of_person(cls, user_id: str) -> AsyncIterator["Message"]:
        """Find a person's messages, oldest first."""
        return messages.find(_with_user(user_id), sort=[("_id", ASCENDING)])

    @classmethod
    async def erase_person(cls, user_id: str) -> None:
        """Erase address and content of a person's messages that are sent or have failed."""
        where = _with_user(user_id) | {"state": {"$in": ["sent", "failed"]}}
        erased = {"address": "", "reference": "", "event": "{}"}
        await messages.update_many(where, {"$set": erased, "$unset": {"user_id": "", "reason": ""}})

    @classmethod
    async def newest(cls, state: State | None, after_id: str | None, limit: int) -> list["Message"]:
        """Return a page of messages, newest first, starting after `after_id`."""
        where: dict[str, Any] = {"state": state} if state else {}
        if after_id is not None:
            where["_id"] = {"$lt": after_id}
        return [message async for message in messages.find(where, sort=[("_id", DESCENDING)], limit=limit)]


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
messages = Collection(Message)
