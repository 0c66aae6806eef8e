"""Queries of bookings, and the erasure of a person's data. `ProcessManager` changes a booking's state."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from booking.model import Booking, State
from booking.saga import LIVE, UNSETTLED
from booking.store.documents import bookings

MAX_COUNTED = 10_000


async def find(booking_id: str) -> Booking | None:
    """The booking, or None."""
    return await bookings.get(booking_id)


async def is_booked(hold_id: str) -> bool:
    """Whether the hold has been checked out."""
    return await bookings.exists({"_id": hold_id})


def _owned_by(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}  # the $type: see `page`


async def owned_by(user_id: str) -> AsyncIterator[Booking]:
    """Yield a person's bookings, oldest first."""
    async for booking in bookings.find(_owned_by(user_id), sort=[("_id", ASCENDING)]):
        yield booking


def _received_by(user_id: str) -> dict[str, Any]:
    return {"transfers.user_id": {"$eq": user_id, "$type": "string"}}  # the $type: see `page`


async def received_by(user_id: str, limit: int = 0) -> AsyncIterator[Booking]:
    """Yield bookings with a ticket that the person has accepted, newest first; at most `limit`, 0 for all."""
    async for booking in bookings.find(_received_by(user_id), sort=[("_id", DESCENDING)], limit=limit):
        yield booking


def _changed_transfers(change: dict[str, Any], *, where: Any = True) -> dict[str, Any]:
    """The expression of the transfers with changed fields where the condition about `$$each` is true."""
    changed = {"$cond": [where, {"$mergeObjects": ["$$each", change]}, "$$each"]}
    return {"$map": {"input": {"$ifNull": ["$transfers", []]}, "as": "each", "in": changed}}


async def erase_recipient(user_id: str) -> None:
    """Remove a person's data from the tickets that they have accepted, which stay valid."""
    erased = {"email": None, "user_id": None, "message": None}
    transfers = _changed_transfers(erased, where={"$eq": ["$$each.user_id", user_id]})
    change = {"transfers": transfers, "version": {"$add": ["$version", 1]}}
    await bookings.update_many(_received_by(user_id), [{"$set": change}])


async def erase_owner(user_id: str) -> None:
    """Remove a person's data from their bookings, except the UNSETTLED ones and a `sealed_email`.

    The names and messages that they sent with tickets are removed, too, and what staff wrote about a refund, which may
    be about the person. The tickets of a booking that is being paid still need a recipient. Tickets contain no name and
    stay valid. The new version makes concurrent changes decide again.
    """
    anonymous = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": None,
        "name": None,
        "locale": {"$cond": [{"$ifNull": ["$sealed_email", False]}, "$locale", "en"]},
        "refunds": {
            "$map": {"input": {"$ifNull": ["$refunds", []]}, "in": {"$mergeObjects": ["$$this", {"note": None}]}}
        },
        "transfers": _changed_transfers({"sender": None, "message": None}),
        "version": {"$add": ["$version", 1]},
    }
    where = _owned_by(user_id) | {"state": {"$nin": list(UNSETTLED)}}
    await bookings.update_many(where, [{"$set": anonymous}])


async def keep_contact(booking: Booking, sealed_email: str, until: datetime) -> None:
    """Keep the encrypted address of a person who deletes the account, for mails about changes of the showtime."""
    kept = {"$set": {"sealed_email": sealed_email, "contact_until": until}}
    await bookings.update({"_id": booking.id, "holder.user_id": booking.holder.user_id}, kept)


async def erase_contacts(moment: datetime) -> None:
    """Remove the addresses of erased persons and of recipients of tickets whose showtimes are over."""
    over = {"contact_until": {"$lte": moment, "$type": "date"}}  # the $type: see `page`
    erased = {
        "sealed_email": None,
        "contact_until": None,
        "locale": {"$cond": [{"$ifNull": ["$sealed_email", False]}, "en", "$locale"]},
        "transfers": _changed_transfers({"email": None, "message": None}),
        "version": {"$add": ["$version", 1]},
    }
    await bookings.update_many(over, [{"$set": erased}])


async def set_failed_mail(booking_id: str, kind: str, queued_at: datetime | None) -> None:
    """Store the kind of a mail about the booking that could not be delivered.

    A mail from before the last change of the address or the last repeated mail does not count.
    """
    is_latest = {"mailings": {"$not": {"$elemMatch": {"at": {"$gt": queued_at}}}}} if queued_at else {}
    await bookings.update({"_id": booking_id, **is_latest}, {"$set": {"failed_mail": kind}}, bump=False)


async def set_theater(showtime_id: str, theater_id: str) -> None:
    """Store the theater in the showtime's bookings that lack it.

    The new version makes concurrent changes decide again.
    """
    change = {"$set": {"theater_id": theater_id}, "$inc": {"version": 1}}
    await bookings.update_many({"showtime_id": showtime_id, "theater_id": None}, change)


async def affected_by_showtime(showtime_id: str) -> AsyncIterator[str]:
    """Yield the ids of the bookings that a change of the showtime affects.

    These are the live bookings, and the expired ones because their payment may still arrive.
    """
    may_be_paid_late = {"state": State.EXPIRED, "amount": {"$ne": None}}  # null: a hold from before 2026-12
    where = {"showtime_id": showtime_id, "$or": [{"state": {"$in": list(LIVE)}}, may_be_paid_late]}
    async for row in bookings.rows(where, ["_id"]):
        yield row["_id"]


async def due_bookings(moment: datetime, limit: int) -> AsyncIterator[tuple[str, str]]:
    """Yield the ids and states of bookings whose `due_at` has passed, the longest overdue first."""
    where = {"due_at": {"$lte": moment, "$type": "date"}}  # $type: MongoDB needs the partial index's condition
    async for row in bookings.rows(where, ["state"], sort=[("due_at", ASCENDING)], limit=limit):
        yield row["_id"], row["state"]


async def open_sagas() -> AsyncIterator[tuple[State, int, datetime]]:
    """Yield each open state with its number of bookings and the time at which the oldest entered it.

    Counts at most MAX_COUNTED bookings, those that are due first, without those that wait for the end of a dispute.
    """
    groups = [
        {"$match": {"due_at": {"$type": "date"}, "is_disputed": {"$ne": True}}},
        {"$sort": {"due_at": 1}},
        {"$limit": MAX_COUNTED},
        {"$project": {"state": 1, "since": {"$last": "$history.at"}}},
        {"$group": {"_id": "$state", "count": {"$sum": 1}, "since": {"$min": "$since"}}},
    ]
    async for group in bookings.aggregate(groups, hint="due"):
        yield State(group["_id"]), group["count"], group["since"]


async def page(wanted: dict[str, str], theaters: Sequence[str], before: str | None, limit: int) -> list[Booking]:
    """Return at most `limit` bookings with the wanted field values and ids below `before`, newest first.

    `theaters` are those to search in; empty for all. Excludes holds from before 2026-12 that ended without a checkout.
    """
    # MongoDB uses the partial indexes only with the $type.
    equal = {name: {"$eq": value, "$type": "string"} for name, value in wanted.items()}
    where: dict[str, Any] = {"reference": {"$ne": None}} | equal | ({"_id": {"$lt": before}} if before else {})
    if theaters:
        where["theater_id"] = {"$in": theaters}
    return [booking async for booking in bookings.find(where, sort=[("_id", DESCENDING)], limit=limit)]
