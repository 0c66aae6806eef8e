"""The conditions in the filters of writes.

They are called through this module, so that a test can disable one and show what it prevents.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contracts.types import Holder

from inventory.model import MARK, Hold, Round, Showtime, WaitingShowtime

Filter = dict[str, Any]


def seats_are_free(seats: Iterable[str], moment: datetime, owner_id: str = "") -> Filter:
    """Each seat is free, its hold has expired, or it belongs to `owner_id`. Sold and blocked seats have no `until`.

    While parties wait for seats, an expired hold's seats are not free: their release marks them for the waitlist.
    """
    own = [owner_id] if owner_id else []
    free = [
        {
            "$or": [
                {f"taken.{seat}": {"$exists": False}},
                {f"taken.{seat}.until": {"$lte": moment}, **has_no_waitlist()},
                *({f"taken.{seat}.by": owner} for owner in own),
            ]
        }
        for seat in seats
    ]
    return {"$and": free} if free else {}


def has_no_waitlist() -> Filter:
    """Nobody waits for seats, so seats that become free are on sale."""
    return {"waitlist_at": None}


def has_waitlist() -> Filter:
    """Somebody may be waiting for seats, so seats that become free are marked for the waitlist."""
    return {"waitlist_at": {"$type": "date"}}


def waitlist_is_unchanged(showtime: WaitingShowtime) -> Filter:
    """The parties, their offers and the marked seats are those that were read.

    Sales do not count `waitlist_version`: on a busy showtime, rounds would never get their turn. A sale only removes
    the party that bought its offer.
    """
    offered = [party.hold_id for party in showtime.waitlist if party.hold_id]
    version = showtime.waitlist_version or {"$in": [0, None]}  # null: a showtime from before the field existed
    return {"waitlist_version": version} | ({"waitlist.hold_id": {"$all": offered}} if offered else {})


def round_still_fits(showtime: WaitingShowtime, plan: Round, moment: datetime) -> Filter:
    """What a round relied on is unchanged: the waitlist, the start, and the seats that it offers or puts on sale."""
    offered = [seat for offer in plan.offers for seat in (*offer.hold.seats, *offer.relies_on)]
    return {
        "cancelled": showtime.cancelled,
        "starts_at": showtime.starts_at,
        **waitlist_is_unchanged(showtime),
        **seats_are_free(offered, moment, MARK),
        **seats_belong_to(plan.on_sale, MARK),
    }


def offers_are_unchanged(offers: Iterable[Hold]) -> Filter:
    """The holds of these offers have the revisions that were read: none has been checked out since."""
    holds = [{"holds": {"$elemMatch": {"id": hold.id, "revision": hold.revision}}} for hold in offers]
    return {"$and": holds} if holds else {}


def seats_belong_to(seats: Iterable[str], owner_id: str) -> Filter:
    """Each seat belongs to this hold, booking or block."""
    return {f"taken.{seat}.by": owner_id for seat in seats}


def is_on_sale(moment: datetime) -> Filter:
    """The showtime is on sale."""
    return {"cancelled": False, "sales_open_at": {"$lte": moment}, "sales_close_at": {"$gt": moment}}


def has_no_checkout(key: str, moment: datetime, except_id: str = "") -> Filter:
    """The holder with this key has no unpaid checkout in this showtime, except perhaps `except_id`."""
    other = {"keys": key, "pinned": True, "expires_at": {"$gt": moment}, "id": {"$ne": except_id}}
    return {"$nor": [{"holds": {"$elemMatch": other}}]}


def is_not_ended(booking_id: str) -> Filter:
    """The booking can still get seats."""
    return {"ended": {"$ne": booking_id}}


def is_not_closed(booking_id: str) -> Filter:
    """The checkout can still hold seats before it is paid."""
    return {"closed": {"$ne": booking_id}}


def is_guests(hold_id: str, holder: Holder) -> Filter:
    """The hold belongs to this guest. The update can address the hold as `holds.$`."""
    return {"holds": {"$elemMatch": {"id": hold_id, "holder.secret_hash": holder.secret_hash}}}


def hold_is_unchanged(hold: Hold) -> Filter:
    """The hold has the revision that was read. The update can address the hold as `holds.$`."""
    return {"holds": {"$elemMatch": {"id": hold.id, "revision": hold.revision}}}


def owner_is_unchanged(showtime: Showtime, owner_id: str, seats: Iterable[str] = ()) -> Filter:
    """The owner's hold and seats are the same as when the showtime was read, and none of `seats` was added to them."""
    hold, own = showtime.hold(owner_id), showtime.seats_of(owner_id)
    others = {f"taken.{seat}.by": {"$ne": owner_id} for seat in set(seats).difference(own)}
    holds = hold_is_unchanged(hold) if hold else {"holds.id": {"$ne": owner_id}}
    return holds | seats_belong_to(own, owner_id) | others
