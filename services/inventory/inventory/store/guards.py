"""The conditions that writes carry in their filters. They are called through this module, so that a test can take
one out and show what it prevents.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contracts.types import Holder

from inventory.model import Hold
from inventory.store.documents import Showtime

Filter = dict[str, Any]


def seats_are_free(seats: Iterable[str], moment: datetime, owner_id: str = "") -> Filter:
    """Each seat is free, its hold has lapsed, or it is `owner_id`'s own. Sold and blocked seats have no `until`."""
    own = [owner_id] if owner_id else []
    free = [
        {
            "$or": [
                {f"taken.{seat}": {"$exists": False}},
                {f"taken.{seat}.until": {"$lte": moment}},
                *({f"taken.{seat}.by": owner} for owner in own),
            ]
        }
        for seat in seats
    ]
    return {"$and": free} if free else {}


def seats_belong_to(seats: Iterable[str], owner_id: str) -> Filter:
    """Each seat is the hold's, booking's or block's own."""
    return {f"taken.{seat}.by": owner_id for seat in seats}


def is_on_sale(moment: datetime) -> Filter:
    """Seats can be held now."""
    return {"cancelled": False, "sales_open_at": {"$lte": moment}, "sales_close_at": {"$gt": moment}}


def holder_has_only(holder: Holder, counted: Iterable[str]) -> Filter:
    """The holder has no other holds here than those that were counted."""
    theirs = {"holder": holder.model_dump(exclude_none=True), "id": {"$nin": list(counted)}}
    return {"holds": {"$not": {"$elemMatch": theirs}}}


def is_not_ended(booking_id: str) -> Filter:
    """The booking may still have seats."""
    return {"ended": {"$ne": booking_id}}


def is_not_closed(booking_id: str) -> Filter:
    """The checkout may still take seats before it is paid."""
    return {"closed": {"$ne": booking_id}}


def hold_is_unchanged(hold: Hold) -> Filter:
    """The hold is as it was read; also lets the update say `holds.$`."""
    return {"holds": {"$elemMatch": {"id": hold.id, "revision": hold.revision}}}


def owner_is_unchanged(showtime: Showtime, owner_id: str, seats: Iterable[str] = ()) -> Filter:
    """The owner has the same hold, or none, and the same seats as when the showtime was read; of these `seats` no
    others have become its own.
    """
    hold, own = showtime.hold(owner_id), showtime.seats_of(owner_id)
    others = {f"taken.{seat}.by": {"$ne": owner_id} for seat in set(seats).difference(own)}
    holds = hold_is_unchanged(hold) if hold else {"holds.id": {"$ne": owner_id}}
    return holds | seats_belong_to(own, owner_id) | others
