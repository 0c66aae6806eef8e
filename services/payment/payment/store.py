"""Payment's documents. Every change of an account is one write under the version that it was decided on."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from beanie import Document
from chassis.outbox import Aggregate
from prometheus_client import Counter
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from payment.model import Account, Change, check, check_after
from payment.news import News

KEPT = timedelta(days=90)
_moved = Counter("usher_payment_moved_total", "Money in minor units, by what the ledger calls it", ["kind", "currency"])


class Payment(Account, Aggregate):
    """The account of one booking; its id is the booking's."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]

    class Settings:
        name = "payments"
        indexes = [
            IndexModel([("next_check_at", ASCENDING)], partialFilterExpression={"next_check_at": {"$type": "date"}}),
            IndexModel(
                [("holder.user_id", ASCENDING), ("_id", ASCENDING)],
                name="owner",
                partialFilterExpression={"holder.user_id": {"$type": "string"}},
            ),
            IndexModel([("intent_id", ASCENDING)], partialFilterExpression={"intent_id": {"$type": "string"}}),
        ]


class WebhookEvent(Document):
    """An event as Stripe's webhook brought it. Its id is Stripe's, so it is stored once.

    `outcome` is None until it has been worked off, and `next_try_at` says when that is tried (again); an event with
    neither is parked: a person must look.
    """

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    type: str
    created_at: datetime
    received_at: datetime
    news: Annotated[News, Field(discriminator="kind")] | None
    outcome: str | None = None
    processed_at: datetime | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    last_error: str = ""

    class Settings:
        name = "webhook_events"
        indexes = [
            IndexModel([("next_try_at", ASCENDING)], partialFilterExpression={"next_try_at": {"$type": "date"}}),
            IndexModel("processed_at", expireAfterSeconds=int(KEPT.total_seconds())),
        ]


DOCUMENTS = [Payment, WebhookEvent]
# MongoDB uses a partial index only for a query that says the index's own condition again, here the `$type`.
Decide = Callable[[Payment], Change | None]


async def find(booking_id: str) -> Payment | None:
    """The payment, or None."""
    document = await Payment.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return Payment.parse(document) if document else None


async def change(booking_id: str, decide: Decide, known: Payment | None = None) -> Payment | None:
    """Read, decide, write; again when another write came between. None when there is no such payment.

    `known` spares the first read: the payment as it was read a moment ago. Raises what `decide` raises. `decide`
    answers None when there is nothing to change.
    """
    while (payment := known or await find(booking_id)) is not None:
        known = None
        decided = decide(payment)
        if decided is None:
            return payment
        if written := await write(payment, decided):
            return written
    return None


async def write(payment: Payment, decided: Change) -> Payment | None:
    """Make one change, if the account is still the one that it was decided on.

    A line enters the ledger once, and no more goes back than came in: both stand in the write's own filter.
    """
    where: dict[str, Any] = {"_id": payment.id, "version": payment.version}
    update: dict[str, Any] = {"$set": {name: _plain(value) for name, value in decided.fields.items()}}
    if decided.lines:
        where["ledger.entry_id"] = {"$nin": [line.entry_id for line in decided.lines]}
        update["$push"] = {"ledger": {"$each": [_plain(line) for line in decided.lines]}}
    if "refunded" in decided.fields:
        where["captured"] = {"$gte": decided.fields["refunded"] + decided.fields["refunding"]}
    document = await Payment.commit(where, update, events=decided.events)
    if document is None:
        return None
    for line in decided.lines:
        _moved.labels(line.kind, payment.currency).inc(line.amount)
    return Payment.parse(document)


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


async def open_account(account: Account, *events: Any) -> bool:
    """Store a new account; False when the booking has one."""
    return await Payment.add(Payment(**account.model_dump()), events=events)


async def by_intent(intent_id: str) -> Payment | None:
    """The payment that the intent was made for."""
    return await Payment.find_one({"intent_id": {"$eq": intent_id, "$type": "string"}})


async def claim_due(payment: Payment, now: datetime) -> bool:
    """Whether it is this caller's turn to check a payment that is due."""
    turn = check(payment, now)
    return turn is not None and await write(payment, turn) is not None and payment.is_waiting


async def due_payments(now: datetime, limit: int) -> list[Payment]:
    """Payments to be checked at Stripe, the longest waiting first."""
    return (
        await Payment.find({"next_check_at": {"$lte": now, "$type": "date"}})
        .sort("next_check_at")
        .limit(limit)
        .to_list()
    )


def _owned_by(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}


async def owned_by(user_id: str) -> AsyncIterator[Payment]:
    """A person's payments, the oldest first."""
    async for document in Payment.collection().find(_owned_by(user_id), {"outbox": 0}, sort=[("_id", ASCENDING)]):
        yield Payment.parse(document)


async def forget_owner(user_id: str) -> None:
    """Take out of a person's payments who they were; the ledger stays. What is just being changed is decided again."""
    nobody = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": "",
        "version": {"$add": ["$version", 1]},
    }
    await Payment.collection().update_many(_owned_by(user_id), [{"$set": nobody}])


async def keep(event: WebhookEvent) -> bool:
    """Store an event; False when it is stored already."""
    try:
        await event.insert()
    except DuplicateKeyError:
        return False
    return True


async def due_events(now: datetime, limit: int) -> list[WebhookEvent]:
    """Stored events that nobody has worked off in time, the longest waiting first."""
    return (
        await WebhookEvent.find({"next_try_at": {"$lte": now, "$type": "date"}})
        .sort("next_try_at")
        .limit(limit)
        .to_list()
    )


async def waiting_events() -> tuple[int, datetime | None]:
    """How many stored events have not been worked off, parked ones left out, and when the first of them came."""
    groups = [
        {"$match": {"next_try_at": {"$type": "date"}}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "since": {"$min": "$received_at"}}},
    ]
    async for group in await WebhookEvent.get_pymongo_collection().aggregate(groups):
        return group["count"], group["since"]
    return 0, None


async def claim_event(event: WebhookEvent, now: datetime) -> bool:
    """Whether it is this caller's turn to work off an event that is due."""
    later = {"$set": {"next_try_at": now + check_after(event.tries + 1)}, "$inc": {"tries": 1}}
    claimed = await WebhookEvent.get_pymongo_collection().update_one(
        {"_id": event.id, "next_try_at": event.next_try_at}, later
    )
    return claimed.matched_count == 1


async def close_event(event_id: str, outcome: str, now: datetime) -> None:
    """The event's effect is durable."""
    done = {"outcome": outcome, "processed_at": now, "next_try_at": None}
    await WebhookEvent.get_pymongo_collection().update_one({"_id": event_id}, {"$set": done})


async def note_failure(event_id: str, reason: str, *, park: bool) -> None:
    """Remember why an event could not be worked off; a parked one is not tried again by itself."""
    noted: dict[str, Any] = {"last_error": reason} | ({"next_try_at": None} if park else {})
    await WebhookEvent.get_pymongo_collection().update_one({"_id": event_id}, {"$set": noted})
