"""Storing what catalog publishes: layouts and showtimes."""

from datetime import datetime

from chassis.clock import now
from contracts.booking import Screening
from contracts.catalog import SeatLayoutPublished, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import RejectedEvent

from inventory.model import Showtime, ShowtimeDetails
from inventory.store import guards
from inventory.store.documents import SeatLayout, layouts, read, showtime_details, showtimes
from inventory.store.holds import release_if
from inventory.store.replica import Replica


async def save_layout(event: SeatLayoutPublished) -> None:
    """Store a layout; an existing one is not changed. Raises RejectedEvent for duplicate seats."""
    names = [seat.seat_id for seat in event.seats]
    if len(set(names)) < len(names):
        raise RejectedEvent(f"layout {event.layout_id} has a duplicate seat")
    await layouts.insert(SeatLayout(id=event.layout_id, **event.model_dump(exclude={"layout_id"})))


async def add_showtime(event: ShowtimeScheduled, event_time: datetime) -> None:
    """Insert a showtime; an existing one is not changed."""
    fields = event.model_dump(include=set(Showtime.model_fields))
    screening = Screening.model_validate(event.model_dump(include=set(Screening.model_fields)))
    await showtime_details.insert(
        ShowtimeDetails(id=event.showtime_id, screening=screening, currency=event.currency, prices=event.prices)
    )
    await showtimes.insert(Showtime(id=event.showtime_id, timed_at=event_time, **fields))


async def reschedule_showtime(event: ShowtimeRescheduled, event_time: datetime) -> None:
    """Store new times unless they are older than the stored ones. Raises ShowtimeUnknown and SeatMapMissing."""
    times = event.model_dump(include={"starts_at", "sales_open_at", "sales_close_at"})
    if not await showtimes.update(
        {"_id": event.showtime_id, "timed_at": {"$lte": event_time}},
        {"$set": {**times, "timed_at": event_time}},
    ):
        await read(event.showtime_id)
    await start_round(event.showtime_id, event_time)


async def start_round(showtime_id: str, moment: datetime) -> None:
    """Let the next round of the waitlist, if there is one, begin at once."""
    change = {"$set": {"waitlist_at": moment}, "$inc": {"waitlist_version": 1}}
    await showtimes.update({"_id": showtime_id, **guards.has_waitlist()}, change)


async def cancel_showtime(replica: Replica, showtime_id: str) -> None:
    """Stop sales and release every hold that is not pinned. Raises ShowtimeUnknown and ShowtimeBusy.

    The read sees every hold created before the first write; no hold can be created after it.
    """
    await showtimes.update({"_id": showtime_id, "cancelled": False}, {"$set": {"cancelled": True}})
    await start_round(showtime_id, now())
    for hold in (await read(showtime_id)).holds:
        await release_if(replica, showtime_id, hold.id, lambda found: found is not None and not found.pinned)
