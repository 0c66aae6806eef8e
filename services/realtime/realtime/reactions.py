"""Events in. REACTIONS write the copy that all instances share; `watchers` show events live on this instance."""

from datetime import timedelta

from chassis.messaging import Reactions, current_envelope
from contracts import topology
from contracts.catalog import SeatLayoutPublished, ShowtimeCancelled, ShowtimeScheduled
from contracts.inventory import SeatMapUpdated, SeatsChanged
from contracts.realtime import SeatsLookedAt

from realtime import settings, store
from realtime.hub import Hub
from realtime.model import BookingState, ShownChange, booking_update, owner_key


async def on_seat_layout_published(event: SeatLayoutPublished) -> None:
    """Know how many seats there are."""
    await store.add_layout(event.layout_id, [seat.seat_id for seat in event.seats])


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Let people subscribe to it."""
    keep_until = event.ends_at + timedelta(days=settings.get().keep_days)
    await store.schedule(event.showtime_id, layout_id=event.layout_id, keep_until=keep_until)


async def on_seat_map_updated(event: SeatMapUpdated) -> None:
    """Store the snapshot. Older ones may come later, and to any replica."""
    await store.save_snapshot(event)


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Note it for those who subscribe later."""
    await store.cancel(event.showtime_id)


REACTIONS: Reactions = {
    SeatLayoutPublished: on_seat_layout_published,
    ShowtimeScheduled: on_showtime_scheduled,
    SeatMapUpdated: on_seat_map_updated,
    ShowtimeCancelled: on_showtime_cancelled,
}


def watchers(hub: Hub) -> Reactions:
    """What this instance shows to its own clients as it happens."""

    async def show(event: ShownChange) -> None:
        hub.show(event)

    async def tell(event: BookingState) -> None:
        if hub.has_owner(key := owner_key(event.holder)):
            hub.tell(key, booking_update(event, version=current_envelope().version))

    async def look(event: SeatsLookedAt) -> None:
        hub.learn_looks(event)

    return {
        SeatsChanged: show,
        ShowtimeCancelled: show,
        **dict.fromkeys(topology.BOOKING_STATES, tell),
        SeatsLookedAt: look,
    }
