"""Gift cards and store credit. Each change is one write, conditional on the version that it was decided on."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from chassis.mongo.collection import Collection as Documents
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import hash_secret
from contracts.envelope import Event
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from payment.model import CardChange, GiftCard

FOUND = 20
"""The most gift cards in a list for staff or a buyer."""


class GiftCardDocument(Aggregate):
    """A stored gift card, or the store credit of an account in one currency."""

    class Settings:
        name = "gift_cards"
        indexes = [
            IndexModel(
                [("code_hash", ASCENDING)],
                unique=True,
                partialFilterExpression={"code_hash": {"$type": "string"}},
            ),
            IndexModel(
                [("last_characters", ASCENDING), ("_id", DESCENDING)],
                partialFilterExpression={"last_characters": {"$type": "string"}},
            ),
            IndexModel([("deliver_at", ASCENDING)], partialFilterExpression={"deliver_at": {"$type": "date"}}),
            IndexModel([("owner", ASCENDING)], name="owner", partialFilterExpression={"owner": {"$type": "string"}}),
            IndexModel(
                [("buyer.user_id", ASCENDING), ("_id", DESCENDING)],
                name="buyer",
                partialFilterExpression={"buyer.user_id": {"$type": "string"}},
            ),
            IndexModel(
                [("currency", ASCENDING), ("kind", ASCENDING), ("balance", ASCENDING), ("reserved", ASCENDING)],
                name="liability",
            ),
        ]


class Liability(BaseModel):
    """What the cinema owes to the holders of gift cards or credit in one currency, in minor units."""

    currency: str
    kind: str
    count: int
    balance: int
    reserved: int


cards = Documents(GiftCardDocument, GiftCard)
CardDecide = Callable[[GiftCard], CardChange | None]


async def find_card(card_id: str) -> GiftCard | None:
    """Return a gift card or credit, or None."""
    return await cards.get(card_id)


async def find_by_code(hashes: Collection[str]) -> GiftCard | None:
    """Return the gift card whose code has one of these hashes, or None."""
    return await cards.find_one({"code_hash": {"$in": list(hashes), "$type": "string"}})


async def find_by_last_characters(last_characters: str) -> list[GiftCard]:
    """Return the latest gift cards whose codes end with these characters."""
    where = {"last_characters": {"$eq": last_characters, "$type": "string"}}
    return [card async for card in cards.find(where, sort=[("_id", DESCENDING)], limit=FOUND)]


async def cards_of_buyer(user_id: str) -> list[GiftCard]:
    """Return the latest gift cards that a person bought."""
    where = {"buyer.user_id": {"$eq": user_id, "$type": "string"}}
    return [card async for card in cards.find(where, sort=[("_id", DESCENDING)], limit=FOUND)]


def credit_id(user_id: str, currency: str) -> str:
    """Return the id of a person's credit in a currency. It does not tell who the person is."""
    return f"credit-{hash_secret(f'{user_id} {currency}')[:32]}"


async def credit_of(user_id: str) -> list[GiftCard]:
    """Return a person's credit in each currency."""
    where = {"owner": {"$eq": user_id, "$type": "string"}}
    return [card async for card in cards.find(where)]


async def insert_card(card: GiftCard, events: Sequence[Event] = ()) -> bool:
    """Insert a gift card or credit; return False when it exists."""
    return await cards.insert(card, events=events)


async def change_card(card_id: str, decide: CardDecide, events: Sequence[Event] = ()) -> GiftCard | None:
    """Read, decide, write; repeat when another write came first. Returns None when there is no such card.

    Raises what `decide` raises. The write that changes the card publishes the events.
    """
    while (card := await cards.get(card_id)) is not None:
        if (decided := decide(card)) is None:
            return card
        if written := await write_card(card, decided, events):
            return written
    return None


async def write_card(card: GiftCard, decided: CardChange, events: Sequence[Event] = ()) -> GiftCard | None:
    """Write one change if the card still has the version that it was decided on; None if not.

    The filter guarantees that an entry is appended once, and that the balance is never negative.
    """
    where: dict[str, Any] = {"_id": card.id, "version": card.version}
    update: dict[str, Any] = {}
    if decided.fields:
        update["$set"] = decided.fields
    if decided.entries:
        where["entries.entry_id"] = {"$nin": [entry.entry_id for entry in decided.entries]}
        where["balance"] = {"$gte": -decided.amount}
        update["$push"] = {"entries": {"$each": [entry.model_dump() for entry in decided.entries]}}
        update["$inc"] = {"balance": decided.amount, "reserved": decided.reserved}
    if not await cards.update(where, update, events=events):
        return None
    return card.model_copy(
        update={
            **decided.fields,
            "version": card.version + 1,
            "entries": [*card.entries, *decided.entries],
            "balance": card.balance + decided.amount,
            "reserved": card.reserved + decided.reserved,
        }
    )


async def due_deliveries(now: datetime, limit: int) -> list[GiftCard]:
    """Return gift cards whose code must be mailed, the longest waiting first."""
    due = {"deliver_at": {"$lte": now, "$type": "date"}}
    return [card async for card in cards.find(due, sort=[("deliver_at", ASCENDING)], limit=limit)]


async def liabilities() -> list[Liability]:
    """Return what the cinema owes by currency and kind. MongoDB reads only an index for it."""
    groups = [
        {"$match": {"currency": {"$gt": ""}}},
        {"$project": {"_id": 0, "currency": 1, "kind": 1, "balance": 1, "reserved": 1}},
        {
            "$group": {
                "_id": {"currency": "$currency", "kind": "$kind"},
                "count": {"$sum": {"$cond": [{"$gt": [{"$add": ["$balance", "$reserved"]}, 0]}, 1, 0]}},
                "balance": {"$sum": "$balance"},
                "reserved": {"$sum": "$reserved"},
            }
        },
        {"$sort": {"_id": ASCENDING}},
    ]
    found = cards.aggregate(groups, hint="liability")
    return [Liability(**group.pop("_id"), **group) async for group in found]


async def erase_cards_of(user_id: str) -> None:
    """Remove a person's data from the gift cards that they bought, and their name from their credit.

    A card that is not mailed yet keeps its recipient until then.
    """
    bought = {"buyer.user_id": {"$eq": user_id, "$type": "string"}}
    erased = {
        "buyer": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "delivery": {"$cond": [{"$eq": [{"$type": "$deliver_at"}, "date"]}, "$delivery", None]},
        "version": {"$add": ["$version", 1]},
    }
    await cards.update_many(bought, [{"$set": erased}])
    owned = {"owner": {"$eq": user_id, "$type": "string"}}
    await cards.update_many(owned, [{"$set": {"owner": None, "version": {"$add": ["$version", 1]}}}])
