"""Showtimes in MongoDB, and the updates of their bookings.

A checkout may use an offer that was read up to OFFER_CACHE_S ago, and so create a booking for a showtime that was moved
or cancelled in the meantime. So the bookings are updated a second time, after the last such checkout must have ended.

Each change has one row for each booking (`store.house`), so that it can be watched, and resumed where it stopped.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import structlog
from cachetools import TTLCache
from chassis.clock import now
from contracts.booking import Screening
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet
from pymongo import ASCENDING

from booking.model import Booking, ChangeWanted, RowState, ShowtimeOffer
from booking.saga import Trigger, advance
from booking.store import house
from booking.store.bookings import affected_by_showtime, set_theater
from booking.store.documents import Showtime, showtimes
from booking.store.process_manager import ProcessManager

log = structlog.get_logger()
OFFER_CACHE_S = 20.0
CACHED_OFFERS = 1000
CASCADE_AGAIN_AFTER = timedelta(seconds=60)
"""Longer than OFFER_CACHE_S plus the longest request."""
AT_ONCE, PAUSE_S = 4, 0.3
"""A cascade updates so many bookings, then pauses, so that the sale beside it stays fast (bench.after_sale)."""


class Showtimes:
    """Changes showtimes and their bookings. Caches the offers that this replica's checkouts use."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._offers = TTLCache[str, ShowtimeOffer](CACHED_OFFERS, OFFER_CACHE_S)

    async def offer_of(self, showtime_id: str) -> ShowtimeOffer | None:
        """The showtime's offer, at most OFFER_CACHE_S old, or None."""
        if cached := self._offers.get(showtime_id):
            return cached
        showtime = await showtimes.get(showtime_id)
        if showtime is None:
            return None
        self._offers[showtime_id] = showtime.offer
        return showtime.offer

    async def add(self, event: ShowtimeScheduled, event_time: datetime) -> None:
        """Store a showtime, unless it already exists. If it exists without its theater, store that.

        Releases before 2026-12 did not store it.
        """
        showtime = Showtime(
            id=event.showtime_id,
            screening=Screening.model_validate(dict(event)),
            theater_id=event.theater_id,
            currency=event.currency,
            prices=event.prices,
            refund_policy=event.refund_policy,
            sales_open_at=event.sales_open_at,
            sales_close_at=event.sales_close_at,
            seller=event.seller,
            movie_id=event.movie_id,
            local_date=event.local_date,
            timed_at=event_time,
        )
        if not await showtimes.insert(showtime):
            change = {"theater_id": event.theater_id, "cascade_at": now() + CASCADE_AGAIN_AFTER}
            await showtimes.update({"_id": showtime.id, "theater_id": None}, {"$set": change})
            self._offers.pop(showtime.id, None)
            await set_theater(showtime.id, event.theater_id)

    async def move(self, event: ShowtimeRescheduled, event_time: datetime, change_id: str) -> None:
        """Set the times, unless a later event has already set them. Raises NotYet for an unknown showtime.

        `change_id` is the change's if it had no dry run.
        """
        before = await showtimes.get(event.showtime_id)
        if before is None:
            raise NotYet(f"showtime {event.showtime_id} is not known")
        is_new_start = before.screening.starts_at != event.starts_at
        change_id = event.change_id or change_id
        if is_new_start and before.timed_at <= event_time:
            wanted = ChangeWanted(kind="move", starts_at=event.starts_at)
            await house.start_run(change_id, before, wanted)
        await showtimes.update(
            {"_id": event.showtime_id, "timed_at": {"$lte": event_time}},
            {
                "$set": {
                    "screening.starts_at": event.starts_at,
                    "screening.ends_at": event.ends_at,
                    "sales_open_at": event.sales_open_at,
                    "sales_close_at": event.sales_close_at,
                    "local_date": event.local_date,
                    "timed_at": event_time,
                    "cascade_at": now() + CASCADE_AGAIN_AFTER,
                    **({"change_id": change_id} if is_new_start else {}),
                }
            },
        )
        self._offers.pop(event.showtime_id, None)

    async def cancel(self, event: ShowtimeCancelled, change_id: str) -> None:
        """Mark a showtime as cancelled. Raises NotYet for an unknown showtime.

        `change_id` is the change's if it had no dry run.
        """
        change_id = event.change_id or change_id
        showtime = await showtimes.get(event.showtime_id)
        if showtime is None:
            raise NotYet(f"showtime {event.showtime_id} is not known")
        await house.start_run(change_id, showtime, ChangeWanted(kind="cancel", reason=event.reason))
        fields = {"is_cancelled": True, "cascade_at": now() + CASCADE_AGAIN_AFTER, "change_id": change_id}
        await showtimes.update({"_id": event.showtime_id}, {"$set": fields})
        self._offers.pop(event.showtime_id, None)

    async def cascade(self, showtime_id: str) -> bool:
        """Apply the showtime's theater, times or cancellation to its bookings. It is read again for each booking.

        Returns False when some bookings could not be updated; their rows say why.
        """
        showtime = await showtimes.get(showtime_id)
        if showtime is None:
            return True
        if showtime.theater_id:
            await set_theater(showtime_id, showtime.theater_id)
        booking_ids = [booking_id async for booking_id in affected_by_showtime(showtime_id)]
        change_id = showtime.change_id
        if change_id:
            await house.enter_rows(change_id, booking_ids)
            booking_ids = await house.unfinished_rows(change_id)
        is_complete = True
        for start in range(0, len(booking_ids), AT_ONCE):
            if start:
                await asyncio.sleep(PAUSE_S)
            results = await asyncio.gather(
                *(self._apply(showtime_id, booking_id) for booking_id in booking_ids[start : start + AT_ONCE])
            )
            is_complete = is_complete and all(state != "failed" for _, state, _ in results)
            if change_id:
                await house.settle_rows(change_id, results)
        if change_id:
            await house.end_run(change_id)
        return is_complete

    async def _apply(self, showtime_id: str, booking_id: str) -> tuple[str, RowState, str | None]:
        """Update one booking; returns the result for its row. A failure does not stop the other bookings."""

        async def current_state(_: Booking) -> Trigger | None:
            showtime = await showtimes.get(showtime_id)
            return showtime.as_event if showtime else None

        try:
            return house.result_for(await self._manager.advance(booking_id, current_state))
        except Exception as error:
            log.exception("cascade_failed", booking_id=booking_id)
            return booking_id, "failed", type(error).__name__

    async def resume(self, showtime_id: str) -> None:
        """Let the next run of the job update the showtime's bookings again."""
        await showtimes.update({"_id": showtime_id}, {"$set": {"cascade_at": now()}})


async def find_showtime(showtime_id: str) -> Showtime | None:
    """The stored showtime, or None."""
    return await showtimes.get(showtime_id)


async def after_showtimes_change(booking: Booking) -> Booking:
    """The booking as it will be when the latest change of its showtime has reached it. Nothing is written."""
    showtime = await showtimes.get(booking.showtime_id)
    outcome = advance(booking, showtime.as_event, now()) if showtime else None
    return outcome.booking if outcome else booking


async def due_cascades(moment: datetime, limit: int) -> AsyncIterator[Showtime]:
    """Yield the showtimes whose bookings must be updated a second time, the longest overdue first."""
    where = {"cascade_at": {"$lte": moment, "$type": "date"}}  # the $type: see `due_bookings`
    async for showtime in showtimes.find(where, sort=[("cascade_at", ASCENDING)], limit=limit):
        yield showtime


async def end_cascade(showtime: Showtime, *, is_complete: bool) -> None:
    """Mark the second update as done, unless the showtime has changed again since it was read.

    If it is not complete, there will be another.
    """
    where = {"_id": showtime.id, "cascade_at": showtime.cascade_at}
    again = {"$set": {"cascade_at": now() + CASCADE_AGAIN_AFTER}}
    await showtimes.update(where, {"$unset": {"cascade_at": ""}} if is_complete else again)
