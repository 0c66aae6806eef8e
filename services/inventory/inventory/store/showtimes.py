"""What catalog's events do: layouts, and showtimes that come, move and end."""

from datetime import datetime

from contracts.catalog import SeatLayoutPublished, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import RejectedEvent
from pymongo.errors import DuplicateKeyError

from inventory.store.documents import SeatLayout, Showtime, read
from inventory.store.holds import release_if


async def save_layout(event: SeatLayoutPublished) -> None:
    """Keep a layout; one that is known already stays as it is. Raises RejectedEvent when a seat is there twice."""
    names = [seat.seat_id for seat in event.seats]
    if len(set(names)) < len(names):
        raise RejectedEvent(f"layout {event.layout_id} names a seat twice")
    layout = SeatLayout(id=event.layout_id, **event.model_dump(exclude={"layout_id"}))
    try:
        await layout.insert()
    except DuplicateKeyError:
        return


async def add_showtime(event: ShowtimeScheduled, event_time: datetime) -> None:
    """Put a showtime's seats on sale. One that is known already stays as it is."""
    fields = event.model_dump(include=set(Showtime.model_fields))
    await Showtime.add(Showtime(id=event.showtime_id, timed_at=event_time, **fields))


async def reschedule_showtime(event: ShowtimeRescheduled, event_time: datetime) -> None:
    """Take over new times, unless they are older than those we have. Raises ShowtimeUnknown."""
    times = event.model_dump(include={"starts_at", "sales_open_at", "sales_close_at"})
    if not await Showtime.write(
        {"_id": event.showtime_id, "timed_at": {"$lte": event_time}},
        {"$set": {**times, "timed_at": event_time}},
    ):
        await read(event.showtime_id)


async def cancel_showtime(showtime_id: str) -> None:
    """Sell nothing more and let go every hold that no checkout has pinned. Raises ShowtimeUnknown and ShowtimeBusy.

    Holds that began before the first write are in the read that follows it; none can begin after it.
    """
    await Showtime.write({"_id": showtime_id, "cancelled": False}, {"$set": {"cancelled": True}})
    for hold in (await read(showtime_id)).holds:
        await release_if(showtime_id, hold.id, lambda found: found is not None and not found.pinned)
