"""MongoDB documents of payment. Each change of an account is one write, conditional on the version it was read at."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from beanie import Document
from chassis.mongo import writes
from chassis.mongo.outbox import Aggregate
from chassis.recent import Recent
from contracts.errors import NotYet, RejectedEvent
from prometheus_client import Counter
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from payment.model import Account, AccountChange, MoneyMismatch, PaymentProblem, check_delay, claim_next_check
from payment.updates import StripeUpdate

EVENT_RETENTION = timedelta(days=90)
MAX_STRIPE_EVENTS = 50
"""The limit exists because each declined card is an event, and a customer may try many cards."""
_moved = Counter("usher_payment_moved_total", "Money in minor units, by kind of ledger entry", ["kind", "currency"])


class Payment(Account, Aggregate):
    """The account of one booking. Its id is the booking's id."""

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
    """An event of Stripe's webhook. Its id is Stripe's, so it is stored once.

    An event that changed an account immediately is stored there instead, by the same write (`Account.stripe_events`).
    `news` is its update, under the name that earlier releases stored. `outcome` is None until the event is processed.
    `next_try_at` is the time of the next try. An event with neither is parked: a person must look at it.
    """

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    type: str
    created_at: datetime
    received_at: datetime
    news: Annotated[StripeUpdate, Field(discriminator="kind")] | None
    outcome: str | None = None
    processed_at: datetime | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    last_error: str = ""

    class Settings:
        name = "webhook_events"
        indexes = [
            IndexModel([("next_try_at", ASCENDING)], partialFilterExpression={"next_try_at": {"$type": "date"}}),
            IndexModel("processed_at", expireAfterSeconds=int(EVENT_RETENTION.total_seconds())),
            IndexModel(
                [("news.order.user_id", ASCENDING)],
                name="owner",
                partialFilterExpression={"news.order.user_id": {"$type": "string"}},
            ),
        ]


DOCUMENTS = [Payment, WebhookEvent]
# MongoDB uses a partial index only for queries that repeat the index's condition, here the `$type`.
Decide = Callable[[Payment], AccountChange | None]
recent: Recent[Payment] = Recent()


async def find(booking_id: str) -> Payment | None:
    """Return the payment of a booking, or None."""
    document = await Payment.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return Payment.parse(document) if document else None


async def change(booking_id: str, decide: Decide, known: Payment | None = None) -> Payment | None:
    """Read, decide, write; repeat when another write came first. Returns None when there is no such payment.

    `known` is the payment as it was just read, and saves the first read. `decide` returns None when there is nothing
    to change. Raises what `decide` raises.
    """
    last = None if known else recent.get(booking_id)
    if last and (decided := _decide_from_cache(decide, last)) and (written := await write(last, decided)):
        return written
    while (payment := known or await find(booking_id)) is not None:
        known = None
        decided = decide(payment)
        if decided is None:
            return payment
        if written := await write(payment, decided):
            return written
    return None


def _decide_from_cache(decide: Decide, last: Payment) -> AccountChange | None:
    """Decide on the payment as this replica last wrote it. Errors are ignored: the stored payment decides then."""
    try:
        return decide(last)
    except (PaymentProblem, RejectedEvent, NotYet, MoneyMismatch):
        return None


async def write(payment: Payment, decided: AccountChange) -> Payment | None:
    """Write one change if the account still has the version that it was decided on.

    The filter of the write guarantees that a ledger entry is inserted once, that a webhook event changes the account
    once, and that no more is refunded than was captured.
    """
    where: dict[str, Any] = {"_id": payment.id, "version": payment.version}
    pushed: dict[str, Any] = {}
    if decided.entries:
        where["ledger.entry_id"] = {"$nin": [entry.entry_id for entry in decided.entries]}
        pushed["ledger"] = {"$each": _to_plain(decided.entries)}
    if decided.cause:
        where["stripe_events.id"] = {"$ne": decided.cause.id}
        pushed["stripe_events"] = {"$each": _to_plain([decided.cause]), "$slice": -MAX_STRIPE_EVENTS}
    if "refunded" in decided.fields:
        where["captured"] = {"$gte": decided.fields["refunded"] + decided.fields["refunding"]}
    update = {"$set": _to_plain(decided.fields), "$push": pushed}
    if not await Payment.write(where, update, events=decided.events):
        recent.forget(payment.id)
        return None
    for entry in decided.entries:
        _moved.labels(entry.kind, payment.currency).inc(entry.amount)
    after = _after(payment, decided)
    recent.keep(after.id, after)
    return after


def _after(payment: Payment, decided: AccountChange) -> Payment:
    """Return the payment as it is after the write."""
    fields: dict[str, Any] = decided.fields | {"version": payment.version + 1}
    if decided.entries:
        fields["ledger"] = [*payment.ledger, *decided.entries]
    if decided.cause:
        fields["stripe_events"] = [*payment.stripe_events, decided.cause][-MAX_STRIPE_EVENTS:]
    return payment.model_copy(update=fields)


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_to_plain(each) for each in value]
    return value.model_dump() if isinstance(value, BaseModel) else value


async def open_account(account: Account, *events: Any) -> bool:
    """Insert a new account; return False when the booking already has one."""
    payment = Payment(**account.model_dump())
    if not await Payment.add(payment, events=events):
        return False
    recent.keep(payment.id, payment.model_copy(update={"version": 1}))
    return True


async def find_by_intent(intent_id: str) -> Payment | None:
    """Return the payment of an intent, or None."""
    return await Payment.find_one({"intent_id": {"$eq": intent_id, "$type": "string"}})


async def claim_check(payment: Payment, now: datetime) -> bool:
    """Claim a due check for this caller; return whether the payment waits for Stripe."""
    claim = claim_next_check(payment, now)
    return claim is not None and await write(payment, claim) is not None and payment.is_waiting


async def due_payments(now: datetime, limit: int) -> list[Payment]:
    """Return payments whose check at Stripe is due, the longest waiting first."""
    return (
        await Payment.find({"next_check_at": {"$lte": now, "$type": "date"}})
        .sort("next_check_at")
        .limit(limit)
        .to_list()
    )


def _by_owner(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}


async def find_by_owner(user_id: str) -> AsyncIterator[Payment]:
    """Yield a person's payments, the oldest first."""
    async for document in Payment.collection().find(_by_owner(user_id), {"outbox": 0}, sort=[("_id", ASCENDING)]):
        yield Payment.parse(document)


async def erase_owner(user_id: str) -> None:
    """Remove a person's data from their payments; the ledger stays. A concurrent change is decided again.

    The person's id is also removed from unprocessed webhook events.
    """
    erased_owner = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": "",
        "version": {"$add": ["$version", 1]},
    }
    await Payment.collection().update_many(_by_owner(user_id), [{"$set": erased_owner}])
    waiting = {"news.order.user_id": {"$eq": user_id, "$type": "string"}}
    erased = {"news.order.user_id": {"$concat": ["erased-", "$news.booking_id"]}}
    await WebhookEvent.get_pymongo_collection().update_many(waiting, [{"$set": erased}])


async def insert_event(event: WebhookEvent) -> bool:
    """Insert an event; return False when it is already stored."""
    return await writes.insert(WebhookEvent.get_pymongo_collection(), event.model_dump(by_alias=True))


async def due_events(now: datetime, limit: int) -> list[WebhookEvent]:
    """Return events whose next try is due, the longest waiting first."""
    return (
        await WebhookEvent.find({"next_try_at": {"$lte": now, "$type": "date"}})
        .sort("next_try_at")
        .limit(limit)
        .to_list()
    )


async def count_waiting_events() -> tuple[int, datetime | None]:
    """Return how many events are unprocessed, without parked ones, and when the oldest of them was received."""
    groups = [
        {"$match": {"next_try_at": {"$type": "date"}}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "since": {"$min": "$received_at"}}},
    ]
    async for group in await WebhookEvent.get_pymongo_collection().aggregate(groups):
        return group["count"], group["since"]
    return 0, None


async def claim_event(event: WebhookEvent, now: datetime) -> bool:
    """Claim a due event for this caller; return False when another caller has claimed it."""
    later = {"$set": {"next_try_at": now + check_delay(event.tries + 1)}, "$inc": {"tries": 1}}
    claimed = await WebhookEvent.get_pymongo_collection().update_one(
        {"_id": event.id, "next_try_at": event.next_try_at}, later
    )
    return claimed.matched_count == 1


async def mark_processed(event: WebhookEvent) -> None:
    """Store an event's outcome, after its effect is durable."""
    result = event.model_dump(include={"outcome", "processed_at", "next_try_at"})
    change = {"$set": result, "$unset": {"news.order": ""}}
    await writes.update(WebhookEvent.get_pymongo_collection(), {"_id": event.id}, change)


async def record_failure(event_id: str, reason: str, *, park: bool) -> None:
    """Store why processing an event failed. A parked event is not retried."""
    failure: dict[str, Any] = {"last_error": reason} | ({"next_try_at": None} if park else {})
    await WebhookEvent.get_pymongo_collection().update_one({"_id": event_id}, {"$set": failure})
