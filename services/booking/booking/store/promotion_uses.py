"""Uses of promotions: reserved at the checkout, taken on payment, released when the booking or the ticket ends.

A limit has numbered slots, and a unique index gives each slot to one booking. So one insert decides all limits of all
promotions of a booking at once. Its id derives from the booking's and the discount, so a repeat changes nothing. The
uses are written before the booking, and the booking's writes mark them for `settle`: a crash leaves at most reserved
uses without a booking, which are released.
"""

import hashlib
import json
import random
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from cachetools import TTLCache
from chassis.clock import now
from chassis.security.secrets import hash_secret
from contracts.types import Holder
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from booking.model import Allowance, AppliedPromotion, Booking, Promotion, UseState, folded_email, use_states
from booking.model.promotions import Reason
from booking.store.documents import PromotionUses, Use, bookings, promotion_uses, promotions

log = structlog.get_logger()
ATTEMPTS = 8
BUCKET = 1000
"""So many slots are read at once to find free ones."""
USED_UP_S = 2.0
MOST_USES = 10
"""A booking has at most ten tickets."""
ORPHANED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Person:
    """Who uses promotions: an account, an address, or both. A guest who only asks for a price has neither."""

    user_id: str | None
    email: str | None

    def keys(self, promotion_id: str) -> list[str]:
        """The person's names in the slots of a promotion. Those of two promotions differ."""
        names = [self.user_id, folded_email(self.email) if self.email else None]
        return [hash_secret(f"{promotion_id} {name}")[:32] for name in names if name]


@dataclass(frozen=True)
class _Limit:
    """The slots of one limit: their common beginning, their number, and the reason when none is left."""

    prefix: str
    count: int
    reason: Reason


_used_up = TTLCache[_Limit, bool](1000, USED_UP_S)


def _limits(promotion: Promotion, showtime_id: str, person: Person) -> list[_Limit]:
    limits: list[_Limit] = []
    if count := promotion.max_uses:
        limits.append(_Limit(f"{promotion.id}|all|", count, "used_up"))
    if count := promotion.max_uses_per_person:
        keys = person.keys(promotion.id)
        limits += [_Limit(f"{promotion.id}|person|{key}|", count, "used_by_you") for key in keys]
    if count := promotion.conditions.first_uses:
        limits.append(_Limit(f"{promotion.id}|showtime|{showtime_id}|", count, "showtime_used_up"))
    return limits


async def allowances_of(
    used: Iterable[Promotion], showtime_id: str, person: Person
) -> tuple[dict[str, Allowance], dict[str, list[list[str]]]]:
    """What each limited promotion still allows, and free slots of each of its limits.

    The slots may be taken before they are reserved.
    """
    allowances: dict[str, Allowance] = {}
    free: dict[str, list[list[str]]] = {}
    for promotion in used:
        for limit in _limits(promotion, showtime_id, person):
            slots = await _free_slots(limit)
            free.setdefault(promotion.id, []).append(slots)
            if promotion.id not in allowances or len(slots) < allowances[promotion.id].uses:
                allowances[promotion.id] = Allowance(len(slots), limit.reason)
    return allowances, free


async def _free_slots(limit: _Limit) -> list[str]:
    """Up to MOST_USES free slots, at random, so that concurrent checkouts rarely choose the same.

    A large limit without any is not searched again for USED_UP_S.
    """
    found: list[str] = []
    if limit in _used_up:
        return found
    buckets = list(range(0, limit.count, BUCKET))
    random.shuffle(buckets)
    for start in buckets:
        slots = [f"{limit.prefix}{number:06d}" for number in range(start, min(start + BUCKET, limit.count))]
        within = {"$elemMatch": {"$gte": slots[0], "$lte": slots[-1]}, "$type": "string"}
        rows = promotion_uses.rows({"slots": within}, ["slots"])
        taken = {slot async for row in rows for slot in row["slots"]}
        free = [slot for slot in slots if slot not in taken]
        found += random.sample(free, min(len(free), MOST_USES - len(found)))
        if len(found) == MOST_USES:
            break
    if not found and len(buckets) > 1:
        _used_up[limit] = True
    return found


async def reserve(
    booking_id: str, applied: Sequence[AppliedPromotion], free: Mapping[str, list[list[str]]], moment: datetime
) -> str | None:
    """Reserve the uses of a booking that is about to be stored; returns their id. None when a slot was just taken.

    A concurrent checkout of the same hold with another discount has other uses; the one that loses releases them.
    """
    content = json.dumps([each.model_dump(mode="json") for each in applied], sort_keys=True)
    uses_id = f"{booking_id}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    uses = _new_uses(applied, free)
    if await promotion_uses.insert(_document(uses_id, booking_id, uses, moment)):
        return uses_id
    earlier = await promotion_uses.get(uses_id)
    if earlier is None:
        return None
    is_repeat = all(use.state != "released" for use in earlier.uses)
    return uses_id if is_repeat or await _replace(earlier, uses, moment) else None


async def release(uses_id: str) -> None:
    """Release uses without a booking: it was checked out with another discount. If this fails, a job does it."""
    if uses := await promotion_uses.get(uses_id):
        released = [use.model_copy(update={"state": "released", "slots": []}) for use in uses.uses]
        await _replace(uses, released, uses.reserved_at)


def _new_uses(applied: Iterable[AppliedPromotion], free: Mapping[str, list[list[str]]]) -> list[Use]:
    return [
        Use(
            promotion_id=each.promotion_id,
            seats=seats,
            state="reserved",
            slots=[slots[number] for slots in free.get(each.promotion_id, [])],
        )
        for each in applied
        for number, seats in enumerate(each.uses)
    ]


def _document(uses_id: str, booking_id: str, uses: list[Use], moment: datetime, revision: int = 0) -> PromotionUses:
    return PromotionUses(
        id=uses_id,
        booking_id=booking_id,
        uses=uses,
        slots=[slot for use in uses for slot in use.slots],
        is_reserved=any(use.state == "reserved" for use in uses),
        reserved_at=moment,
        revision=revision,
    )


async def _replace(before: PromotionUses, uses: list[Use], moment: datetime) -> bool:
    """Replace the uses, unless they have changed or a slot is taken."""
    fresh = _document(before.id, before.booking_id, uses, moment, before.revision + 1)
    fields = fresh.model_dump(exclude={"id"})
    try:
        return await promotion_uses.update({"_id": before.id, "revision": before.revision}, {"$set": fields})
    except DuplicateKeyError:
        return False


async def settle(booking: Booking) -> None:
    """Bring the uses up to the booking's state. Repeats change nothing.

    A booking whose payment came after its end takes its uses again, if need be beyond the limits.
    """
    uses_id = booking.uses_id or booking.id
    for _ in range(ATTEMPTS):
        stored = await promotion_uses.get(uses_id)
        wanted = use_states(booking)
        known = {(use.promotion_id, tuple(use.seats)): use for use in stored.uses} if stored else {}
        late = [
            (promotion_id, seats)
            for promotion_id, seats, state in wanted
            if state != "released" and _is_gone(known.get((promotion_id, tuple(seats))))
        ]
        slots = await _slots_for(late, booking) if late else {}
        uses = [_settled(*each, known, slots) for each in wanted]
        if stored is None:
            if await promotion_uses.insert(_document(uses_id, booking.id, uses, booking.opened_at)):
                break
        elif stored.uses == uses or await _replace(stored, uses, stored.reserved_at):
            break
    else:
        raise TimeoutError(f"the uses of booking {booking.id} change too often")
    unchanged = {"_id": booking.id, "version": booking.version}
    await bookings.update(unchanged, {"$set": {"has_open_uses": False}}, bump=False)


def _is_gone(use: Use | None) -> bool:
    return use is None or use.state == "released"


def _settled(
    promotion_id: str,
    seats: list[str],
    state: UseState,
    known: Mapping[tuple[str, tuple[str, ...]], Use],
    slots: Mapping[tuple[str, tuple[str, ...]], list[str]],
) -> Use:
    key = promotion_id, tuple(seats)
    before = known.get(key)
    own = before.slots if before and not _is_gone(before) else slots.get(key, [])
    return Use(promotion_id=promotion_id, seats=seats, state=state, slots=[] if state == "released" else own)


async def _slots_for(
    late: Collection[tuple[str, list[str]]], booking: Booking
) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Free slots for these uses; a use without one in a limit exceeds it."""
    person = person_of(booking.holder, booking.email)
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for promotion_id in {promotion_id for promotion_id, _ in late}:
        promotion = await promotions.get(promotion_id)
        own = [seats for each, seats in late if each == promotion_id]
        limits = _limits(promotion, booking.showtime_id, person) if promotion else []
        free = [await _free_slots(limit) for limit in limits]
        for number, seats in enumerate(own):
            slots = [each[number] for each in free if number < len(each)]
            if len(slots) < len(free):
                log.warning("promotion_limit_exceeded", booking_id=booking.id, promotion_id=promotion_id)
            found[promotion_id, tuple(seats)] = slots
    return found


def person_of(holder: Holder, email: str | None) -> Person:
    """The person of a booking. A deleted account is none."""
    return Person(holder.user_id if email else None, email)


async def open_uses(limit: int) -> AsyncIterator[Booking]:
    """Yield bookings whose uses must be brought up to their state."""
    async for booking in bookings.find({"has_open_uses": True}, sort=[("_id", ASCENDING)], limit=limit):
        yield booking


async def release_orphans(limit: int) -> None:
    """Release uses that were reserved for a booking that was never stored, or was stored with another discount."""
    where = {"is_reserved": True, "reserved_at": {"$lte": now() - ORPHANED_AFTER}}
    async for uses in promotion_uses.find(where, sort=[("reserved_at", ASCENDING)], limit=limit):
        booking = await bookings.get(uses.booking_id)
        if booking is None or booking.uses_id != uses.id:
            await release(uses.id)
        elif not booking.has_open_uses:
            await settle(booking)


async def count_uses(promotion_id: str) -> dict[UseState, int]:
    """How many uses of a promotion are in each state."""
    stages = [
        {"$match": {"uses.promotion_id": promotion_id}},
        {"$unwind": "$uses"},
        {"$match": {"uses.promotion_id": promotion_id}},
        {"$group": {"_id": "$uses.state", "count": {"$sum": 1}}},
    ]
    counts: dict[UseState, int] = {"reserved": 0, "taken": 0, "released": 0}
    async for group in promotion_uses.aggregate(stages):
        counts[group["_id"]] = group["count"]
    return counts


async def forget_person(uses_id: str) -> None:
    """Free the slots that name the person, because the account is deleted. The other ones stay."""
    for _ in range(ATTEMPTS):
        stored = await promotion_uses.get(uses_id)
        if stored is None:
            return
        anonymous = [
            use.model_copy(update={"slots": [slot for slot in use.slots if "|person|" not in slot]})
            for use in stored.uses
        ]
        if await _replace(stored, anonymous, stored.reserved_at):
            return
