"""Changes of showtimes by the cinema: their documents, and one row for each booking that they affect."""

from collections.abc import Iterable, Sequence
from typing import Any

from chassis.clock import now
from chassis.ids import new_id
from contracts.booking import HouseChangeActed, HouseChangeApproved
from pymongo import ASCENDING, DESCENDING, UpdateOne

from booking.model import Booking, ChangeWanted, HouseChangeState, Impact, RowState, State, impact_of
from booking.saga import LIVE
from booking.store.documents import CascadeRow, HouseChange, Showtime, bookings, cascade_rows, house_changes

UNFINISHED = ("pending", "failed")


async def impact_on(showtime_id: str) -> Impact:
    """What a change of the showtime would affect now."""
    where = {"showtime_id": showtime_id, "state": {"$in": list(LIVE)}}
    return impact_of([booking async for booking in bookings.find(where)])


async def new_dry_run(showtime: Showtime, wanted: ChangeWanted, staff_id: str) -> HouseChange:
    """Store what the change would affect now."""
    change = HouseChange(
        id=new_id(),
        showtime_id=showtime.id,
        theater_id=showtime.theater_id,
        wanted=wanted,
        state="dry_run",
        previous_starts_at=showtime.screening.starts_at,
        impact=await impact_on(showtime.id),
        created_at=now(),
        created_by=staff_id,
    )
    await house_changes.insert(change)
    return change


async def find_change(change_id: str) -> HouseChange | None:
    """The change, or None."""
    return await house_changes.get(change_id)


async def change_page(showtime_id: str, before: str | None, limit: int) -> list[HouseChange]:
    """At most `limit` changes of the showtime with ids below `before`, the newest first."""
    where = {"showtime_id": showtime_id} | ({"_id": {"$lt": before}} if before else {})
    return [each async for each in house_changes.find(where, sort=[("_id", DESCENDING)], limit=limit)]


async def decide_change(
    change: HouseChange, state: HouseChangeState, *, action: str, staff_id: str, **fields: str
) -> bool:
    """Move a change forward with its line in the audit log. Returns False when somebody else was faster.

    An approval publishes the change, which catalog then makes.
    """
    act = HouseChangeActed(
        act_id=new_id(),
        action=action,
        actor_id=staff_id,
        change_id=change.id,
        showtime_id=change.showtime_id,
        acted_at=now(),
    )
    approval = HouseChangeApproved(change_id=change.id, showtime_id=change.showtime_id, **dict(change.wanted))
    return await house_changes.update(
        {"_id": change.id, "state": change.state},
        {"$set": {"state": state, **fields}},
        events=[act, approval] if state == "approved" else [act],
    )


async def supersede_change(change: HouseChange) -> None:
    """End a dry run that no longer says what the change affects."""
    await house_changes.update({"_id": change.id, "state": change.state}, {"$set": {"state": "superseded"}})


async def refuse_change(change_id: str, code: str, detail: str) -> None:
    """Store that catalog has refused an approved change."""
    refused = {"state": "refused", "code": code, "detail": detail}
    await house_changes.update({"_id": change_id, "state": "approved"}, {"$set": refused})


async def start_run(change_id: str, showtime: Showtime, wanted: ChangeWanted) -> None:
    """Mark the change as running; insert it if there was no dry run. It replaces an earlier change that still runs."""
    earlier = {"showtime_id": showtime.id, "state": "running", "_id": {"$ne": change_id}}
    await house_changes.update_many(earlier, {"$set": {"state": "superseded"}})
    unplanned = HouseChange(
        id=change_id,
        showtime_id=showtime.id,
        theater_id=showtime.theater_id,
        wanted=wanted,
        state="running",
        previous_starts_at=showtime.screening.starts_at,
        created_at=now(),
    )
    if not await house_changes.insert(unplanned):
        await house_changes.update({"_id": change_id, "state": "approved"}, {"$set": {"state": "running"}})


async def enter_rows(change_id: str, booking_ids: Iterable[str]) -> None:
    """Add a pending row for each booking that has none."""
    moment = now()
    operations = [
        UpdateOne(
            {"_id": f"{change_id}.{booking_id}"},
            {
                "$setOnInsert": {
                    "change_id": change_id,
                    "booking_id": booking_id,
                    "state": "pending",
                    "reason": None,
                    "changed_at": moment,
                }
            },
            upsert=True,
        )
        for booking_id in booking_ids
    ]
    await cascade_rows.bulk_write(operations)


async def unfinished_rows(change_id: str) -> list[str]:
    """The bookings of a change that are still to be updated."""
    where = {"change_id": change_id, "state": {"$in": list(UNFINISHED)}}
    return [row["booking_id"] async for row in cascade_rows.rows(where, ["booking_id"])]


async def settle_rows(change_id: str, results: Sequence[tuple[str, RowState, str | None]]) -> None:
    """Store the results of some bookings: booking, state and reason."""
    moment = now()
    await cascade_rows.bulk_write(
        [
            UpdateOne(
                {"_id": f"{change_id}.{booking_id}"},
                {"$set": {"state": state, "reason": reason, "changed_at": moment}},
            )
            for booking_id, state, reason in results
        ]
    )


async def end_run(change_id: str) -> None:
    """Mark a running change as done, unless some of its bookings are still to be updated."""
    if not await cascade_rows.exists({"change_id": change_id, "state": {"$in": list(UNFINISHED)}}):
        await house_changes.update({"_id": change_id, "state": "running"}, {"$set": {"state": "done"}})


async def count_rows(change_ids: Sequence[str]) -> dict[str, dict[RowState, int]]:
    """The number of rows of each of the changes in each state."""
    stages = [
        {"$match": {"change_id": {"$in": list(change_ids)}}},
        {"$group": {"_id": {"change": "$change_id", "state": "$state"}, "count": {"$sum": 1}}},
    ]
    counts: dict[str, dict[RowState, int]] = {change_id: {} for change_id in change_ids}
    async for group in cascade_rows.aggregate(stages):
        counts[group["_id"]["change"]][group["_id"]["state"]] = group["count"]
    return counts


async def row_page(change_id: str, state: RowState | None, after: str | None, limit: int) -> list[CascadeRow]:
    """At most `limit` rows of a change in this state, or in any, after the booking with the id `after`."""
    where: dict[str, Any] = {"change_id": change_id} | ({"state": state} if state else {})
    if after:
        where["_id"] = {"$gt": f"{change_id}.{after}"}
    return [row async for row in cascade_rows.find(where, sort=[("_id", ASCENDING)], limit=limit)]


def result_for(booking: Booking) -> tuple[str, RowState, str | None]:
    """The row of a booking after its update: a customer without an address must be told by a person."""
    has_tickets = booking.state in (State.CONFIRMED, State.REFUNDING, State.REFUNDED)
    if has_tickets and not booking.is_reachable:
        return booking.id, "needs_person", "no_address"
    return booking.id, "done", None
