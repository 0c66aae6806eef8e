"""Payment's documents. Every change of an account is one write under the version that it was decided on."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from beanie import Document
from beanie.odm.utils.dump import get_dict
from chassis import writes
from chassis.outbox import Aggregate
from chassis.recent import Recent
from contracts.errors import NotYet, RejectedEvent
from prometheus_client import Counter
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from payment.model import Account, Change, MoneyMismatch, PaymentProblem, check, check_after
from payment.news import News

KEPT = timedelta(days=90)
KEPT_WITH_ACCOUNT = 50
"""Each declined card is an event, and a customer may try many."""
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

    One that changed an account at once is kept there instead, by the write that it caused (`Account.stripe_events`).
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
            IndexModel(
                [("news.order.user_id", ASCENDING)],
                name="owner",
                partialFilterExpression={"news.order.user_id": {"$type": "string"}},
            ),
        ]


DOCUMENTS = [Payment, WebhookEvent]
# MongoDB uses a partial index only for a query that says the index's own condition again, here the `$type`.
Decide = Callable[[Payment], Change | None]
recent: Recent[Payment] = Recent()


async def find(booking_id: str) -> Payment | None:
    """The payment, or None."""
    document = await Payment.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return Payment.parse(document) if document else None


async def change(booking_id: str, decide: Decide, known: Payment | None = None) -> Payment | None:
    """Read, decide, write; again when another write came between. None when there is no such payment.

    `known` spares the first read: the payment as it was read a moment ago. Raises what `decide` raises. `decide`
    answers None when there is nothing to change.
    """
    last = None if known else recent.get(booking_id)
    if last and (decided := _decided(decide, last)) and (written := await write(last, decided)):
        return written
    while (payment := known or await find(booking_id)) is not None:
        known = None
        decided = decide(payment)
        if decided is None:
            return payment
        if written := await write(payment, decided):
            return written
    return None


def _decided(decide: Decide, last: Payment) -> Change | None:
    """What to change in the payment as this replica wrote it last. What speaks against it, the stored one decides."""
    try:
        return decide(last)
    except (PaymentProblem, RejectedEvent, NotYet, MoneyMismatch):
        return None


async def write(payment: Payment, decided: Change) -> Payment | None:
    """Make one change, if the account is still the one that it was decided on.

    A line enters the ledger once, a webhook event changes the account once, and no more goes back than came in: that
    stands in the write's own filter.
    """
    where: dict[str, Any] = {"_id": payment.id, "version": payment.version}
    pushed: dict[str, Any] = {}
    if decided.lines:
        where["ledger.entry_id"] = {"$nin": [line.entry_id for line in decided.lines]}
        pushed["ledger"] = {"$each": _plain(decided.lines)}
    if decided.cause:
        where["stripe_events.id"] = {"$ne": decided.cause.id}
        pushed["stripe_events"] = {"$each": _plain([decided.cause]), "$slice": -KEPT_WITH_ACCOUNT}
    if "refunded" in decided.fields:
        where["captured"] = {"$gte": decided.fields["refunded"] + decided.fields["refunding"]}
    update = {"$set": _plain(decided.fields), "$push": pushed}
    if not await Payment.write(where, update, events=decided.events):
        recent.forget(payment.id)
        return None
    for line in decided.lines:
        _moved.labels(line.kind, payment.currency).inc(line.amount)
    after = _changed(payment, decided)
    recent.keep(after.id, after)
    return after


def _changed(payment: Payment, decided: Change) -> Payment:
    """The payment as it stands after the write."""
    fields: dict[str, Any] = decided.fields | {"version": payment.version + 1}
    if decided.lines:
        fields["ledger"] = [*payment.ledger, *decided.lines]
    if decided.cause:
        fields["stripe_events"] = [*payment.stripe_events, decided.cause][-KEPT_WITH_ACCOUNT:]
    return payment.model_copy(update=fields)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.model_dump() if isinstance(value, BaseModel) else value


async def open_account(account: Account, *events: Any) -> bool:
    """Store a new account; False when the booking has one."""
    payment = Payment(**account.model_dump())
    if not await Payment.add(payment, events=events):
        return False
    recent.keep(payment.id, payment.model_copy(update={"version": 1}))
    return True


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
    """Remove a person's data from their payments; the ledger stays. A concurrent change is decided again.

    Webhook events that have not had their effect yet lose the person's id, too.
    """
    nobody = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": "",
        "version": {"$add": ["$version", 1]},
    }
    await Payment.collection().update_many(_owned_by(user_id), [{"$set": nobody}])
    waiting = {"news.order.user_id": {"$eq": user_id, "$type": "string"}}
    erased = {"news.order.user_id": {"$concat": ["erased-", "$news.booking_id"]}}
    await WebhookEvent.get_pymongo_collection().update_many(waiting, [{"$set": erased}])


async def keep(event: WebhookEvent) -> bool:
    """Store an event; False when it is stored already."""
    return await writes.insert(WebhookEvent.get_pymongo_collection(), get_dict(event, to_db=True))


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


async def close_event(event: WebhookEvent) -> None:
    """The event's effect is durable."""
    done = event.model_dump(include={"outcome", "processed_at", "next_try_at"})
    change = {"$set": done, "$unset": {"news.order": ""}}
    await writes.update(WebhookEvent.get_pymongo_collection(), {"_id": event.id}, change)


async def note_failure(event_id: str, reason: str, *, park: bool) -> None:
    """Remember why an event could not be worked off; a parked one is not tried again by itself."""
    noted: dict[str, Any] = {"last_error": reason} | ({"next_try_at": None} if park else {})
    await WebhookEvent.get_pymongo_collection().update_one({"_id": event_id}, {"$set": noted})
