"""Blocking seats: staff take them off sale."""

from collections.abc import Iterable

from chassis.clock import now
from chassis.ids import new_id

from inventory.model import Block, BlockUnknown, ShowtimeBusy, check_couches, validate_seats
from inventory.store import guards
from inventory.store.documents import ATTEMPTS, read
from inventory.store.replica import Replica


async def block_seats(replica: Replica, showtime_id: str, seats: Iterable[str], reason: str, blocked_by: str) -> Block:
    """Block all of the seats or none.

    Raises ShowtimeUnknown, SeatMapMissing, SeatsUnknown, CouchDivided, SeatsTaken and ShowtimeBusy.
    """
    layout = await replica.layout_of(showtime_id)
    asked = validate_seats(seats, layout.seats)
    check_couches(asked, layout.auditorium)
    for _ in range(ATTEMPTS):
        moment = now()
        block = Block(id=new_id(), seats=asked, reason=reason, blocked_by=blocked_by, blocked_at=moment)
        entry = {"by": block.id, "state": "blocked"}
        if await replica.change_seats(
            {"_id": showtime_id, **guards.seats_are_free(asked, moment)},
            {"$set": {f"taken.{seat}": entry for seat in asked}, "$push": {"blocks": block.model_dump()}},
            asked,
        ):
            return block
        if problem := (await replica.seating_of(showtime_id, asked)).taken_problem(asked, layout.auditorium, now()):
            raise problem
    raise ShowtimeBusy(retry_after=1)


async def unblock_seats(replica: Replica, showtime_id: str, block_id: str) -> None:
    """Put a block's seats back on sale. A block never changes, so its existence is a sufficient guard.

    Raises ShowtimeUnknown and BlockUnknown.
    """
    found = next((each for each in (await read(showtime_id)).blocks if each.id == block_id), None)
    if found is None or not await replica.change_seats(
        {"_id": showtime_id, "blocks.id": block_id},
        {"$pull": {"blocks": {"id": block_id}}},
        found.seats,
        frees=found.seats,
    ):
        raise BlockUnknown
