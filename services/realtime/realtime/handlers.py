"""Consumed events. HANDLERS update the copy that all replicas share; `live_handlers` push to this replica's clients."""

from datetime import timedelta

from chassis.messaging.consumer import Handlers, current_envelope
from contracts import topology
from contracts.catalog import SeatLayoutPublished, ShowtimeCancelled, ShowtimeScheduled
from contracts.inventory import SeatMapUpdated, SeatsChanged
from contracts.realtime import SeatsLookedAt

from realtime import settings, store
from realtime.hub import Hub
from realtime.model import BookingState, ShownChange, booking_update, owner_key


async def on_seat_layout_published(event: SeatLayoutPublished) -> None:
    """Store which seats the layout has."""
    await store.add_layout(event.layout_id, [seat.seat_id for seat in event.seats])


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Store the showtime, so that clients can subscribe to it."""
    keep_until = event.ends_at + timedelta(days=settings.get().keep_days)
    await store.schedule(event.showtime_id, layout_id=event.layout_id, keep_until=keep_until)


async def on_seat_map_updated(event: SeatMapUpdated) -> None:
    """Store the snapshot. An older one may arrive later, at any replica."""
    await store.save_snapshot(event)


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Mark the showtime as cancelled for later subscribers."""
    await store.cancel(event.showtime_id)


HANDLERS: Handlers = {
    SeatLayoutPublished: on_seat_layout_published,
    ShowtimeScheduled: on_showtime_scheduled,
    SeatMapUpdated: on_seat_map_updated,
    ShowtimeCancelled: on_showtime_cancelled,
}


def live_handlers(hub: Hub) -> Handlers:
    """Handlers that push events to this replica's clients as they happen."""

    async def apply_change(event: ShownChange) -> None:
        hub.apply(event)

    async def send_update(event: BookingState) -> None:
        if hub.has_owner(key := owner_key(event.holder)):
            hub.send_to_owner(key, booking_update(event, version=current_envelope().version))

    async def receive_presence(event: SeatsLookedAt) -> None:
        hub.receive_presence(event)

    return {
        SeatsChanged: apply_change,
        ShowtimeCancelled: apply_change,
        **dict.fromkeys(topology.BOOKING_STATES, send_update),
        SeatsLookedAt: receive_presence,
    }
