"""Accounts of payments, and webhook events. Each change of an account is one write, conditional on its version."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.envelope import Event
from contracts.types import Holder
from prometheus_client import Counter
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from payment.model import (
    Account,
    AccountChange,
    IntentUpdate,
    State,
    StripeEvent,
    WebhookEvent,
    apply_intent,
    check_delay,
    claim_next_check,
    restore_account,
)

EVENT_RETENTION = timedelta(days=90)
MAX_STRIPE_EVENTS = 50
"""The limit exists because each declined card is an event, and a customer may try many cards."""
FORGOTTEN = {"email": "", "sender": None, "message": None}
"""What a purchase says after the erasure of its buyer. The gift card has the recipient until it is mailed."""
AWAITS_CARD = {
    "$or": [
        {"$in": ["$state", [State.REQUESTED, State.INTENT_CREATED]]},
        {"$in": ["issue", {"$ifNull": ["$transfers.kind", []]}]},
    ]
}
"""Whether the gift card of a purchase does not exist yet, so that only the purchase has its recipient."""
_moved = Counter("usher_payment_moved_total", "Money in minor units, by kind of ledger entry", ["kind", "currency"])


class AccountDocument(Aggregate):
    """The stored account of one booking. Its id is the booking's id."""

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


class WebhookEventDocument(Document):
    """A stored event of Stripe's webhook, unless it is stored in the account that it changed."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]

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


accounts = Collection(AccountDocument, Account)
webhook_events = Collection(WebhookEventDocument, WebhookEvent)
# MongoDB uses a partial index only for queries that repeat the index's condition, here the `$type`.
Decide = Callable[[Account], AccountChange | None]


async def find(booking_id: str) -> Account | None:
    """Return the account of a booking, or None."""
    return await accounts.get(booking_id)


async def change(booking_id: str, decide: Decide, known: Account | None = None) -> Account | None:
    """Read, decide, write; repeat when another write came first. Returns None when there is no such account.

    `known` is the account as it was just read, and saves the first read. `decide` returns None when there is nothing
    to change. Raises what `decide` raises.
    """
    while (account := known or await find(booking_id)) is not None:
        known = None
        decided = decide(account)
        if decided is None:
            return account
        if written := await write(account, decided):
            return written
    return None


async def apply_without_read(update: IntentUpdate, now: datetime, cause: StripeEvent) -> bool:
    """Apply a webhook's intent to its account in one write without a read, if the account is as create-intent made it.

    The intent's metadata contains the order, from which that account is computed. The filter has each field that the
    decision depends on. Returns False when the account must be read first. Raises MoneyMismatch.
    """
    expected = restore_account(update, now)
    if expected is None or (decided := apply_intent(expected, update, now, cause)) is None:
        return False
    basis = expected.model_dump(include={"holder", "showtime_id", "seats", "amount", "currency", "state", "intent_id"})
    return await write(expected, decided, basis) is not None


async def write(account: Account, decided: AccountChange, basis: Mapping[str, Any] | None = None) -> Account | None:
    """Write one change if the account still has the version, and the fields `basis`, that it was decided on.

    The filter of the write guarantees that a ledger entry is inserted once, that a webhook event changes the account
    once, and that no more is refunded than was captured.
    """
    where: dict[str, Any] = {"_id": account.id, "version": account.version, **(basis or {})}
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
    events = [] if account.purchase else decided.events  # they are about bookings
    if not await accounts.update(where, update, events=events):
        return None
    for entry in decided.entries:
        _moved.labels(entry.kind, account.currency).inc(entry.amount)
    return _after(account, decided)


def _after(account: Account, decided: AccountChange) -> Account:
    """Return the account as it is after the write."""
    fields: dict[str, Any] = decided.fields | {"version": account.version + 1}
    if decided.entries:
        fields["ledger"] = [*account.ledger, *decided.entries]
    if decided.cause:
        fields["stripe_events"] = [*account.stripe_events, decided.cause][-MAX_STRIPE_EVENTS:]
    return account.model_copy(update=fields)


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_to_plain(each) for each in value]
    return value.model_dump() if isinstance(value, BaseModel) else value


async def open_account(account: Account, *events: Event) -> bool:
    """Insert a new account; return False when the booking already has one."""
    return await accounts.insert(account, events=events)


async def find_by_intent(intent_id: str) -> Account | None:
    """Return the account of an intent, or None."""
    return await accounts.find_one({"intent_id": {"$eq": intent_id, "$type": "string"}})


async def claim_check(account: Account, now: datetime) -> bool:
    """Claim a due check for this caller; return whether the account waits for Stripe."""
    claim = claim_next_check(account, now)
    return claim is not None and await write(account, claim) is not None and account.is_waiting


async def due_accounts(now: datetime, limit: int) -> list[Account]:
    """Return accounts whose check at Stripe is due, the longest waiting first."""
    due = {"next_check_at": {"$lte": now, "$type": "date"}}
    return [each async for each in accounts.find(due, sort=[("next_check_at", ASCENDING)], limit=limit)]


def _by_owner(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}


def find_by_owner(user_id: str) -> AsyncIterator[Account]:
    """Yield a person's accounts, the oldest first."""
    return accounts.find(_by_owner(user_id), sort=[("_id", ASCENDING)])


async def erase_owner(user_id: str) -> None:
    """Remove a person's data from their accounts; the ledger stays. A concurrent change is decided again.

    The person's id is also removed from unprocessed webhook events.
    """
    erased_owner = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": "",
        "purchase": {
            "$cond": [
                "$purchase",
                {"$cond": [AWAITS_CARD, "$purchase", {"$mergeObjects": ["$purchase", FORGOTTEN]}]},
                None,
            ]
        },
        "version": {"$add": ["$version", 1]},
    }
    await accounts.update_many(_by_owner(user_id), [{"$set": erased_owner}])
    waiting = {"news.order.user_id": {"$eq": user_id, "$type": "string"}}
    erased = {"news.order.user_id": {"$concat": ["erased-", "$news.booking_id"]}}
    await webhook_events.update_many(waiting, [{"$set": erased}])


async def adopt(booking_id: str, user_id: str) -> None:
    """Make the account of a guest's booking a person's. A concurrent change is decided again."""
    guests = {"_id": booking_id, "holder.secret_hash": {"$type": "string"}}
    holder = Holder(user_id=user_id).model_dump()
    await accounts.update(guests, {"$set": {"holder": holder, "was_guests": True}})


async def change_email(booking_id: str, before: str, email: str) -> None:
    """Replace the former address, unless it was replaced or erased in the meantime."""
    await accounts.update({"_id": booking_id, "email": before}, {"$set": {"email": email}})


async def insert_event(event: WebhookEvent) -> bool:
    """Insert an event; return False when it is already stored."""
    return await webhook_events.insert(event)


async def due_events(now: datetime, limit: int) -> list[WebhookEvent]:
    """Return events whose next try is due, the longest waiting first."""
    due = {"next_try_at": {"$lte": now, "$type": "date"}}
    return [each async for each in webhook_events.find(due, sort=[("next_try_at", ASCENDING)], limit=limit)]


async def count_waiting_events() -> tuple[int, datetime | None]:
    """Return how many events are unprocessed, without parked ones, and when the oldest of them was received."""
    groups = [
        {"$match": {"next_try_at": {"$type": "date"}}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "since": {"$min": "$received_at"}}},
    ]
    async for group in webhook_events.aggregate(groups):
        return group["count"], group["since"]
    return 0, None


async def claim_event(event: WebhookEvent, now: datetime) -> bool:
    """Claim a due event for this caller; return False when another caller has claimed it."""
    later = {"$set": {"next_try_at": now + check_delay(event.tries + 1)}, "$inc": {"tries": 1}}
    return await webhook_events.update({"_id": event.id, "next_try_at": event.next_try_at}, later)


async def mark_processed(event: WebhookEvent) -> None:
    """Store an event's outcome, after its effect is durable."""
    result = event.model_dump(include={"outcome", "processed_at", "next_try_at"})
    await webhook_events.update({"_id": event.id}, {"$set": result, "$unset": {"news.order": ""}})


async def record_failure(event_id: str, reason: str, *, park: bool) -> None:
    """Store why processing an event failed. A parked event is not retried."""
    failure: dict[str, Any] = {"last_error": reason} | ({"next_try_at": None} if park else {})
    await webhook_events.update({"_id": event_id}, {"$set": failure})
