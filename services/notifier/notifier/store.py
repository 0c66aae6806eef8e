"""The messages and the planned reminders in MongoDB, and the guarded writes by which replicas claim them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import hash_secret
from contracts.booking import (
    BookingConfirmed,
    BookingEmailChanged,
    BookingRescheduled,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
    BookingTicketTransferred,
    Screening,
)
from contracts.envelope import Event
from contracts.types import Seat
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne

from notifier.model import Kind, Reminder, Slot, State, is_too_late, next_reminder

LINGER_S = 0.05
"""How long a new message waits for others, so that one command inserts them all. Recipients do not notice it."""
AFTER_SHOWTIME = timedelta(days=1)
START = {"screening", "moves", "told_at", "slot", "due_at", "expires_at"}
"""The fields of a plan that follow from the start of the showtime."""
ENDED_KEPT = timedelta(days=30)
"""How long an ended booking is remembered whose confirmation has not arrived: longer than events are repeated."""


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

    async def record_failed(self, reason: str, events: Sequence[Event] = ()) -> None:
        """Record a permanent failure."""
        await self._update(_set_fields(state="failed", due_at=None, reason=reason), events)

    async def schedule_retry(self, due_at: datetime, reason: str) -> None:
        """Make the message due again at that time."""
        await self._update(_set_fields(state="queued", due_at=due_at, reason=reason))

    async def release(self, now: datetime) -> None:
        """Release the claim of an attempt that has not begun; any replica may claim the message again."""
        await self._update(_set_fields(state="queued", due_at=now) | {"$inc": {"attempts": -1}})

    async def _update(self, change: dict[str, Any], events: Sequence[Event] = ()) -> None:
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


class ReminderPlan(Document):
    """What the reminders of a booking need, from the events about it. Its id is the booking's.

    Events can arrive in any order, so each one changes only what it decides: `screening` is that of the highest
    `moves`, `email` that of the newest `mailing_id`; `seats` are empty until the confirmation arrives;
    `cancelled` are the ids of the seats that have no ticket any more. After a transfer, `kept` are the ids of the seats
    that the customer keeps, by the highest `transfers`. `told_at` is when the customer was told the start. `slot` is
    the reminder that is due at `due_at`; both are missing when none is left. MongoDB deletes the plan at `expires_at`.
    """

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: str | None = None
    email: str = ""
    name: str | None = None
    locale: str = "en"
    mailing_id: str = ""
    reference: str = ""
    sealed_link: str | None = None
    seats: list[Seat] = []
    cancelled: list[str] = []
    kept: list[str] | None = None
    transfers: int = 0
    screening: Screening | None = None
    moves: int = -1
    told_at: datetime | None = None
    slot: Slot | None = None
    due_at: datetime | None = None
    is_ended: bool = False
    is_off: bool = False
    expires_at: datetime

    class Settings:
        name = "reminders"
        indexes = [
            IndexModel("due_at", partialFilterExpression={"due_at": {"$type": "date"}}),
            IndexModel("user_id", partialFilterExpression={"user_id": {"$type": "string"}}),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]

    @property
    def valid_seats(self) -> list[Seat]:
        """The seats for which the customer has a valid ticket."""
        seats = [seat for seat in self.seats if seat.seat_id not in self.cancelled]
        return seats if self.kept is None else [seat for seat in seats if seat.seat_id in self.kept]

    @classmethod
    async def confirm(cls, event: BookingConfirmed, now: datetime) -> None:
        """Plan the reminders of a confirmed booking, unless that is done or the booking has ended."""
        facts = {
            "user_id": event.holder.user_id,
            "email": event.email,
            "name": event.name,
            "locale": event.locale,
            "reference": event.reference,
            "sealed_link": event.sealed_link,
            "seats": [ticket.seat for ticket in event.tickets],
        }
        plan = cls.model_validate({"id": event.booking_id} | facts | _start(event.screening, event.moves, now))
        if await plans.insert(plan, linger=LINGER_S):
            return
        known = {"_id": plan.id, "is_ended": False}
        await plans.update(known | {"moves": {"$lt": plan.moves}}, {"$set": plan.model_dump(include=START)})
        await plans.update(known | {"seats": []}, {"$set": plan.model_dump(include=set(facts))})

    @classmethod
    async def reschedule(cls, event: BookingRescheduled, now: datetime) -> None:
        """Plan the reminders for the new start, unless a later change of time is known."""
        plan = cls.model_validate({"id": event.booking_id} | _start(event.screening, event.moves, now))
        start = plan.model_dump(include=START)
        others = plan.model_dump(exclude={"id", *start})
        where = {"_id": plan.id, "moves": {"$lt": event.moves}}
        change = {"$set": start, "$setOnInsert": others}
        # The insert fails when another event has inserted the plan in between.
        while not await plans.update(where, change, upsert=True) and await plans.exists(where):
            continue

    @classmethod
    async def cancel_tickets(cls, event: BookingTicketsCancelled | BookingTicketsExchanged) -> None:
        """Leave out seats whose tickets were cancelled or exchanged."""
        plan = cls(id=event.booking_id, expires_at=event.screening.ends_at + AFTER_SHOWTIME)
        others = plan.model_dump(exclude={"id", "cancelled"})
        added = {"cancelled": {"$each": [seat.seat_id for seat in event.seats]}}
        await plans.update({"_id": plan.id}, {"$addToSet": added, "$setOnInsert": others}, upsert=True)

    @classmethod
    async def transfer_tickets(cls, event: BookingTicketTransferred) -> None:
        """Leave out seats whose tickets other people have, unless a later change is known."""
        plan = cls(id=event.booking_id, expires_at=event.screening.ends_at + AFTER_SHOWTIME)
        change = {"kept": [seat.seat_id for seat in event.seats], "transfers": event.transfers}
        others = plan.model_dump(exclude={"id", *change})
        where = {"_id": plan.id, "transfers": {"$not": {"$gte": event.transfers}}}  # earlier plans have no count
        # The insert fails when another event has inserted the plan in between.
        while not await plans.update(where, {"$set": change, "$setOnInsert": others}, upsert=True):
            if not await plans.exists(where):
                return

    @classmethod
    async def readdress(cls, event: BookingEmailChanged) -> None:
        """Send the reminders to the new address, unless a later change is known. The ids of changes grow with time."""
        where = {"_id": event.booking_id, "is_ended": False, "mailing_id": {"$lt": event.mailing_id}}
        await plans.update(where, {"$set": {"email": event.new_email, "mailing_id": event.mailing_id}})

    @classmethod
    async def adopt(cls, booking_id: str, user_id: str) -> None:
        """Give the reminders of a guest's booking to an account. The guest's link no longer opens the booking."""
        where = {"_id": booking_id, "is_ended": False}
        await plans.update(where, {"$set": {"user_id": user_id, "sealed_link": None}})

    @classmethod
    async def end(cls, booking_id: str, now: datetime) -> None:
        """Plan no more reminders, and erase the personal data. A confirmation that arrives later changes nothing."""
        plan = cls(id=booking_id, is_ended=True, expires_at=now + ENDED_KEPT)
        kept = {"moves": plan.moves, "expires_at": plan.expires_at, "is_off": plan.is_off}
        change = {"$set": plan.model_dump(exclude={"id", *kept}), "$setOnInsert": kept}
        await plans.update({"_id": booking_id}, change, upsert=True)

    @classmethod
    def due(cls, now: datetime, limit: int) -> AsyncIterator["ReminderPlan"]:
        """Find plans with a due reminder, the longest due first."""
        return plans.find({"due_at": {"$lte": now, "$type": "date"}}, sort=[("due_at", ASCENDING)], limit=limit)

    async def advance(self, now: datetime) -> None:
        """Plan the next reminder, unless the plan has changed."""
        assert self.screening and self.told_at and self.due_at  # noqa: S101 - for the type checker: the plan was due
        following = next_reminder(self.screening.starts_at, self.screening.time_zone, self.told_at, self.due_at)
        where = {"_id": self.id, "due_at": self.due_at, "moves": self.moves}
        await plans.update(where, {"$set": _due(following)})

    async def obstacle(self, slot: Slot, starts_at: datetime, now: datetime) -> str | None:
        """Return why the reminder of a start is not sent, by the facts as they are now; None to send it."""
        if self.is_ended or not self.valid_seats or self.screening is None:
            return "the booking has no tickets"
        if self.screening.starts_at != starts_at:
            return "the showtime has a new time"
        if is_too_late(slot, starts_at, now):
            return "too late for a reminder"
        if self.is_off or await ReminderRefusal.exists(self.user_id, address_hash(self.email)):
            return "reminders are turned off"
        return None

    @classmethod
    async def turn(cls, booking_id: str, *, is_off: bool) -> None:
        """Turn the reminders of a booking off or on."""
        await plans.update({"_id": booking_id}, {"$set": {"is_off": is_off}})

    @classmethod
    def of_person(cls, user_id: str) -> AsyncIterator["ReminderPlan"]:
        """Find the plans of a person's bookings, oldest first."""
        return plans.find(_with_user(user_id), sort=[("_id", ASCENDING)])

    @classmethod
    async def erase_person(cls, user_id: str) -> None:
        """Delete the plans of a person's bookings. People who have deleted their account get no reminders."""
        await plans.delete_many(_with_user(user_id))


class ReminderRefusal(Document):
    """A person or an address that gets no reminders. The address is stored as a hash only."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    refused_at: datetime

    class Settings:
        name = "reminder_refusals"

    @classmethod
    async def exists(cls, user_id: str | None, hashed_address: str) -> bool:
        """Whether the person or the address gets no reminders."""
        return await refusals.exists({"_id": {"$in": _refusal_ids(user_id, hashed_address)}})

    @classmethod
    async def turn(cls, user_id: str | None, hashed_address: str, now: datetime, *, is_off: bool) -> None:
        """Turn all reminders to the person and the address off or on."""
        ids = _refusal_ids(user_id, hashed_address)
        if not is_off:
            await refusals.delete_many({"_id": {"$in": ids}})
            return
        for each in ids:
            await refusals.insert(cls(id=each, refused_at=now))

    @classmethod
    async def erase_person(cls, user_id: str) -> None:
        """Delete a person's choice."""
        await refusals.delete({"_id": f"user:{user_id}"})


def address_hash(address: str) -> str:
    """Return the hash that is stored for an address that gets no reminders."""
    return hash_secret(f"reminders to {address.lower()}")


def _refusal_ids(user_id: str | None, hashed_address: str) -> list[str]:
    return [f"address:{hashed_address}", *([f"user:{user_id}"] if user_id else [])]


def _start(screening: Screening, moves: int, now: datetime) -> dict[str, Any]:
    """Return the fields START."""
    reminder = next_reminder(screening.starts_at, screening.time_zone, now, now)
    start = {"screening": screening, "moves": moves, "told_at": now, "expires_at": screening.ends_at + AFTER_SHOWTIME}
    return start | _due(reminder)


def _due(reminder: Reminder | None) -> dict[str, Any]:
    return {"slot": reminder.slot if reminder else None, "due_at": reminder.due_at if reminder else None}


DOCUMENTS: list[type[Document]] = [Message, ReminderPlan, ReminderRefusal]
messages = Collection(Message)
plans = Collection(ReminderPlan)
refusals = Collection(ReminderRefusal)
