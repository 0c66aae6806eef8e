"""Holds: create, change, renew and release them."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from chassis.clock import now
from contracts.envelope import Event
from contracts.types import Holder
from prometheus_client import Counter

from inventory.model import (
    COMPANION,
    REMEMBERED,
    CheckoutUnpaid,
    CountedHold,
    Hold,
    HoldInCheckout,
    HoldLimits,
    HoldOwner,
    HoldUnknown,
    SeatState,
    Showtime,
    ShowtimeBusy,
    check_changeable,
    check_couches,
    companion_seat_problem,
    renewed_deadline,
    seat_change,
    single_seat_problem,
    until,
    validate_seats,
)
from inventory.store import guards
from inventory.store.documents import (
    ATTEMPTS,
    LapsedHold,
    lapsed_holds,
    live_states,
    read,
    seat_map_of,
    showtimes,
)
from inventory.store.limiter import Reservation
from inventory.store.replica import Layout, Replica

EXPIRED_PER_RUN = 1000
MAX_RECORDED = 1000

IsOwner = Callable[[Holder], bool]
MayRelease = Callable[[Hold | None], bool]

_unpaid = Counter("usher_inventory_holds_unpaid_total", "Holds that ended without a sale", ["caller"])


async def hold(replica: Replica, showtime_id: str, owner: HoldOwner, seats: Iterable[str], limits: HoldLimits) -> Hold:
    """Hold all of the seats or none.

    Raises ShowtimeUnknown, SeatMapMissing, SeatsUnknown, CouchDivided, SalesClosed, SeatsTaken, SingleSeatLeft,
    SeatsKept, TooManyHolds, NetworkIsFull, CheckoutUnpaid and ShowtimeBusy.
    """
    layout = await replica.layout_of(showtime_id)
    asked = validate_seats(seats, layout.seats)
    check_couches(asked, layout.auditorium)
    async with replica.limiter.reserved(owner.keys, len(asked), limits) as reservation:
        for _ in range(ATTEMPTS):
            relies_on = await _check_choice(replica, showtime_id, layout, asked)
            if new_hold := await try_hold(replica, showtime_id, owner, asked, reservation, relies_on=relies_on):
                return new_hold
            await _raise_refusal(replica, showtime_id, layout, asked)
            await raise_unpaid_checkout(showtime_id, owner)
        raise ShowtimeBusy(retry_after=1)


async def try_hold(
    replica: Replica,
    showtime_id: str,
    owner: HoldOwner,
    seats: Sequence[str],
    reservation: Reservation,
    *,
    relies_on: Sequence[str],
) -> Hold | None:
    """Hold the seats, given in order, if they and the seats of `relies_on` are free and the holder has no unpaid
    checkout.

    Returns None when a condition is not met.
    """
    moment = now()
    new_hold = Hold(
        id=reservation.hold_id,
        holder=owner.holder,
        keys=list(owner.keys),
        seats=list(seats),
        expires_at=moment + reservation.limits.hold,
        cap_at=moment + reservation.limits.cap,
    )
    no_checkout = guards.has_no_checkout(owner.checkout_key, moment) if owner.checkout_key else {}
    free = guards.seats_are_free([*seats, *relies_on], moment)
    is_held = await replica.change_seats(
        {"_id": showtime_id, **guards.is_on_sale(moment), **free, **no_checkout},
        {"$set": set_held(new_hold, seats), "$push": {"holds": new_hold.model_dump(exclude_none=True)}},
        seats,
    )
    return new_hold if is_held else None


async def _check_choice(
    replica: Replica, showtime_id: str, layout: Layout, seats: Sequence[str], own: Collection[str] = ()
) -> Sequence[str]:
    """Check the choice against the rules for single and companion seats. Raises SingleSeatLeft and SeatsKept.

    Returns the free seats that must stay free, because otherwise the choice would leave single seats. Most choices need
    no read.
    """
    rule = (await replica.showtime_info(showtime_id)).orphan_rule
    if rule == "off" and all(layout.seats[seat].category != COMPANION for seat in seats):
        return []
    taken = live_states(await seat_map_of(showtime_id), now())
    states: Mapping[str, SeatState] = {seat: state for seat, state in taken.items() if seat not in own}
    if not states.keys().isdisjoint(seats):
        return []
    if problem := companion_seat_problem(layout.auditorium, seats, states) or single_seat_problem(
        layout.auditorium, rule, seats, states
    ):
        raise problem
    return [] if rule == "off" else layout.auditorium.single_seats_after(seats, states).relies_on


async def _raise_refusal(replica: Replica, showtime_id: str, layout: Layout, seats: Sequence[str]) -> None:
    """Raise the reason of a refused hold: SalesClosed or SeatsTaken. Return when the reason no longer applies."""
    seating, moment = await replica.seating_of(showtime_id, seats), now()
    if problem := seating.sales_problem(moment) or seating.taken_problem(seats, layout.auditorium, moment):
        raise problem


async def raise_unpaid_checkout(showtime_id: str, owner: HoldOwner) -> None:
    """Raise CheckoutUnpaid if the holder has an unpaid checkout in this showtime."""
    if owner.checkout_key is None:
        return
    moment = now()
    theirs = {"keys": owner.checkout_key, "pinned": True, "expires_at": {"$gt": moment}}
    row = await showtimes.row({"_id": showtime_id, "holds": {"$elemMatch": theirs}}, {"holds": {"$elemMatch": theirs}})
    if row is not None:
        checkout = Hold.model_validate(row["holds"][0])
        raise CheckoutUnpaid(booking_id=checkout.id, **until(checkout.expires_at, moment))


async def find_hold(hold_id: str, is_owner: IsOwner) -> tuple[str, Hold]:
    """Return the showtime's id and the hold, expired or not. Raises HoldUnknown, also for somebody else's hold."""
    row = await showtimes.row({"holds.id": hold_id}, {"holds": {"$elemMatch": {"id": hold_id}}})
    if row is None or not is_owner((found := Hold.model_validate(row["holds"][0])).holder):
        raise HoldUnknown
    return row["_id"], found


async def adopt_hold(replica: Replica, hold_id: str, is_owner: IsOwner, user_id: str) -> tuple[str, Hold]:
    """Make a guest's hold the account's, unless it already is. Returns the showtime's id and the hold.

    It counts for the account from now on, and the party that it was offered to is the account's as well. The new
    revision makes concurrent changes decide again. Raises HoldUnknown and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime_id, before = await find_hold(hold_id, is_owner)
        if before.holder.user_id is not None:
            return showtime_id, before
        after = before.adopted_by(user_id)
        change = _adopted_offer(after) if before.is_offer else _adopted(after)
        if await showtimes.update({"_id": showtime_id, **guards.is_guests(hold_id, before.holder)}, change):
            replica.limiter.move(before.keys, after.keys, hold_id, CountedHold(len(after.seats), after.expires_at))
            return showtime_id, after
    raise ShowtimeBusy(retry_after=1)


def _adopted(after: Hold) -> dict[str, Any]:
    """Return the update that gives the hold matched by the filter to its new holder."""
    holder = after.holder.model_dump(exclude_none=True)
    return {"$set": {"holds.$.holder": holder, "holds.$.keys": after.keys}, "$inc": {"holds.$.revision": 1}}


def _adopted_offer(after: Hold) -> list[dict[str, Any]]:
    """Return the update that gives the offer and its party to their new holder. The party's mails need no secret."""
    holder = {"holder": after.holder.model_dump(exclude_none=True)}
    of_hold = {**holder, "keys": after.keys, "revision": {"$add": ["$$this.revision", 1]}}
    of_party = {**holder, "mailed": None, "sealed_secret": None}
    return [
        {
            "$set": {
                "holds": _with("holds", "id", after.id, of_hold),
                "waitlist": _with("waitlist", "hold_id", after.id, of_party),
                "waitlist_version": {"$add": [{"$ifNull": ["$waitlist_version", 0]}, 1]},
            }
        }
    ]


def _with(field: str, key: str, value: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the expression of a list with these changes of the item whose key has the value."""
    changed = {"$mergeObjects": ["$$this", changes]}
    item = {"$cond": [{"$eq": [f"$$this.{key}", value]}, changed, "$$this"]}
    return {"$map": {"input": {"$ifNull": [f"${field}", []]}, "in": item}}


async def change_hold(
    replica: Replica, hold_id: str, is_owner: IsOwner, limits: HoldLimits, *, add: Sequence[str], drop: Sequence[str]
) -> tuple[str, Hold]:
    """Change the seats of a hold in one write. Returns the showtime's id and the changed hold.

    Raises HoldUnknown, HoldInCheckout, HoldLapsed, SeatsUnknown, SeatCountWrong, OfferFixed, CouchDivided, SalesClosed,
    SeatsTaken, SingleSeatLeft, SeatsKept, TooManyHolds, NetworkIsFull and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime_id, before = await find_hold(hold_id, is_owner)
        moment = now()
        check_changeable(before, moment)
        layout = await replica.layout_of(showtime_id)
        wanted = seat_change(before, validate_seats(add, layout.seats), drop)
        if not (wanted.added or wanted.dropped):
            return showtime_id, before
        check_couches(wanted.seats, layout.auditorium)
        after = before.model_copy(update={"seats": wanted.seats, "revision": before.revision + 1})
        on_sale = guards.is_on_sale(moment) if wanted.added else {}
        relies_on = await _check_choice(replica, showtime_id, layout, wanted.seats, before.seats)
        keys = before.keys if len(wanted.added) > len(wanted.dropped) else ()
        async with replica.limiter.reserved(keys, len(wanted.seats), limits, hold_id):
            is_changed = await replica.change_seats(
                {
                    "_id": showtime_id,
                    **guards.hold_is_unchanged(before),
                    **guards.seats_belong_to(before.seats, hold_id),
                    **guards.seats_are_free([*wanted.added, *relies_on], moment, hold_id),
                    **on_sale,
                },
                {"$set": set_hold(after) | set_held(after, wanted.added)},
                [*wanted.added, *wanted.dropped],
                frees=wanted.dropped,
            )
        if is_changed:
            return showtime_id, after
        if wanted.added:
            await _raise_refusal(replica, showtime_id, layout, wanted.added)
    raise ShowtimeBusy(retry_after=1)


async def renew_hold(hold_id: str, is_owner: IsOwner, limits: HoldLimits) -> tuple[str, Hold]:
    """Extend a hold. Returns the showtime's id and the extended hold.

    Raises HoldUnknown, HoldInCheckout, HoldLapsed, RenewalUsedUp and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime_id, before = await find_hold(hold_id, is_owner)
        moment = now()
        check_changeable(before, moment)
        after = before.model_copy(
            update={
                "expires_at": renewed_deadline(before, moment, limits),
                "renewals": before.renewals + 1,
                "revision": before.revision + 1,
            }
        )
        if await showtimes.update(
            {
                "_id": showtime_id,
                **guards.hold_is_unchanged(before),
                **guards.seats_belong_to(before.seats, hold_id),
            },
            {"$set": set_hold(after) | set_held(after, after.seats)},
        ):
            return showtime_id, after
    raise ShowtimeBusy(retry_after=1)


async def release_hold(replica: Replica, hold_id: str, is_owner: IsOwner) -> None:
    """Release a hold at the holder's request. Raises HoldUnknown, HoldInCheckout and ShowtimeBusy."""
    showtime_id, _ = await find_hold(hold_id, is_owner)

    def may_release(found: Hold | None) -> bool:
        if found is None:
            raise HoldUnknown
        if found.pinned:
            raise HoldInCheckout
        return True

    await release_if(replica, showtime_id, hold_id, may_release)


async def with_expired_holds(moment: datetime) -> list[str]:
    """Return the ids of showtimes with expired holds, at most EXPIRED_PER_RUN."""
    rows = showtimes.rows({"holds.expires_at": {"$lte": moment}}, ("_id",), limit=EXPIRED_PER_RUN)
    return [row["_id"] async for row in rows]


async def release_expired(replica: Replica, showtime_id: str) -> None:
    """Release the expired holds of a showtime, with those of their seats that nobody else has taken.

    Raises ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime, moment = await read(showtime_id), now()
        expired = [hold for hold in showtime.holds if not hold.is_live(moment)]
        # First, because a late payment request then finds a released hold there only.
        await asyncio.gather(*map(record_lapse, expired))
        if all(await asyncio.gather(*(release_seats(replica, showtime, hold.id) for hold in expired))):
            return
    raise ShowtimeBusy(retry_after=1)


async def record_lapse(hold: Hold) -> None:
    """Record that the hold expired unpaid. A repetition changes nothing."""
    await lapsed_holds.insert(LapsedHold(id=hold.id, keys=hold.keys, until=now() + REMEMBERED))


async def release_if(replica: Replica, showtime_id: str, hold_id: str, may_release: MayRelease) -> None:
    """Release the hold if `may_release` allows it. Raises ShowtimeUnknown, ShowtimeBusy and its exceptions."""
    for _ in range(ATTEMPTS):
        showtime = await read(showtime_id)
        if not may_release(showtime.hold(hold_id)) or await release_seats(replica, showtime, hold_id):
            return
    raise ShowtimeBusy(retry_after=1)


async def release_seats(
    replica: Replica,
    showtime: Showtime,
    owner_id: str,
    *,
    guarded_seats: Sequence[str] = (),
    record_in: Literal["closed", "ended"] | None = None,
    events: Sequence[Event] = (),
) -> bool:
    """Release all seats of the owner, held or sold. Returns False when the owner's seats have changed since the read.

    `guarded_seats` are seats that the owner must not have got since the read. `record_in` names the showtime's list to
    which the owner is added.
    """
    own = showtime.seats_of(owner_id)
    update: dict[str, Any] = {"$pull": pull_hold(owner_id)}
    where = {"_id": showtime.id, **guards.owner_is_unchanged(showtime, owner_id, guarded_seats)}
    if record_in:
        where[record_in] = {"$ne": owner_id}
        update["$push"] = {record_in: {"$each": [owner_id], "$slice": -MAX_RECORDED}}
    is_released = await replica.change_seats(where, update, own, frees=own, events=events)
    if is_released and (hold := showtime.hold(owner_id)):
        _unpaid.labels(hold.caller_kind).inc()
        if hold.is_live(now()):
            replica.limiter.release(hold.keys, hold.id)
    return is_released


def set_held(owner: Hold, seats: Iterable[str]) -> dict[str, Any]:
    """Return the `$set` that gives the seats to the hold."""
    entry = {"by": owner.id, "state": "held", "until": owner.expires_at}
    return {f"taken.{seat}": entry for seat in seats}


def set_hold(after: Hold) -> dict[str, Any]:
    """Return the `$set` that replaces the hold matched by the filter."""
    return {"holds.$": after.model_dump(exclude_none=True)}


def pull_hold(hold_id: str) -> dict[str, Any]:
    """Return the `$pull` that removes the hold."""
    return {"holds": {"id": hold_id}}


def pull_sold(hold_id: str) -> dict[str, Any]:
    """Return the `$pull` that removes a sold hold, and the party on the waitlist that it was offered to."""
    return pull_hold(hold_id) | {"waitlist": {"hold_id": hold_id}}
