"""Publishing seat updates: changes within milliseconds, and the whole map a few seconds later.

Changes of a short window are broadcast together. Nothing relies on a broadcast: the durable `seat_map_updated` follows
and corrects the effects of lost broadcasts.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence, Set
from typing import Literal, Self

import structlog
from chassis.clock import now
from chassis.mongo.collection import Row
from contracts.envelope import Event
from contracts.inventory import SeatMapUpdated, SeatsChanged

from inventory.model import SeatState
from inventory.store.documents import live_states, showtimes

log = structlog.get_logger()
BATCH_WINDOW_S = 0.05
MAPS_PER_RUN = 200
MAX_UNSENT = 20
ShownState = Literal["free"] | SeatState
Broadcast = Callable[[Sequence[Event]], Awaitable[None]]


class SeatBroadcaster:
    """Broadcasts the seats that were enqueued in the last BATCH_WINDOW_S seconds.

    Their states are read together with the version, so that a broadcast is correct even when another replica has
    changed the seats in the meantime.
    """

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._changed: dict[str, set[str]] = {}
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sending is not None:
            await self._sending

    def enqueue(self, showtime_id: str, seats: Iterable[str]) -> None:
        """Add changed seats to the next broadcast."""
        self._changed.setdefault(showtime_id, set()).update(seats)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._changed:
            await asyncio.sleep(BATCH_WINDOW_S)
            changed, self._changed = self._changed, {}
            try:
                await self._broadcast([event async for event in _read(changed)])
            except Exception:
                log.warning("seat_changes_not_shown", showtimes=len(changed), exc_info=True)


async def _read(changed: Mapping[str, Set[str]]) -> AsyncIterator[SeatsChanged]:
    """Read the current states of each showtime's changed seats."""
    fields = {"version", "waitlist_at", *(f"taken.{seat}" for seats in changed.values() for seat in seats)}
    async for row in showtimes.rows({"_id": {"$in": list(changed)}}, fields):
        showtime_id, states = row["_id"], live_states(row, now())
        seats: dict[str, ShownState] = {seat: states.get(seat, "free") for seat in changed[showtime_id]}
        yield SeatsChanged(showtime_id=showtime_id, version=row["version"], seats=seats)


async def publish_seat_maps() -> None:
    """Publish the seat maps that have changed since their last publication, at most MAPS_PER_RUN."""
    stale = showtimes.rows({"is_stale": True}, ("version", "taken", "waitlist_at"), limit=MAPS_PER_RUN)
    await asyncio.gather(*[_publish_seat_map(row) async for row in stale])


async def _publish_seat_map(showtime: Row) -> None:
    """Publish the map that was read. If it has changed since the read, it stays stale and is published again.

    The number of unsent maps is limited, because they would fill the document's outbox while RabbitMQ is unavailable.
    """
    showtime_id, version = showtime["_id"], showtime["version"]
    states = live_states(showtime, now())
    held, sold, blocked = (
        [seat for seat, state in states.items() if state == wanted] for wanted in ("held", "sold", "blocked")
    )
    where = {"_id": showtime_id, "is_stale": True, f"outbox.{MAX_UNSENT}": {"$exists": False}}
    event = SeatMapUpdated(showtime_id=showtime_id, version=version + 1, held=held, sold=sold, blocked=blocked)
    if not await showtimes.update(where | {"version": version}, {"$unset": {"is_stale": ""}}, events=[event]):
        await showtimes.update(where, {}, events=[event.model_copy(update={"version": version})])
