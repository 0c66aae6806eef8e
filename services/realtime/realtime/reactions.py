"""Events in. REACTIONS write the projection that all instances share; `watchers` show events live on this instance."""

from datetime import timedelta

from chassis.messaging import Reactions, current_envelope
from contracts import topology
from contracts.catalog import SeatLayoutPublished, ShowtimeCancelled, ShowtimeScheduled
from contracts.envelope import Event
from contracts.realtime import SeatsLookedAt

from realtime import settings, store
from realtime.hub import Hub
from realtime.model import BookingState, booking_update, news_of, owner_key


async def on_seat_layout_published(event: SeatLayoutPublished) -> None:
    """Know how many seats there are."""
    await store.add_layout(event.layout_id, [seat.seat_id for seat in event.seats])


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Let people subscribe to it."""
    await store.schedule(
        event.showtime_id,
        layout_id=event.layout_id,
        keep_until=event.ends_at + timedelta(days=settings.get().keep_days),
        changed_at=current_envelope().time,
    )


async def on_news(event: Event) -> None:
    """Merge what happened to seats, or to the whole showtime."""
    envelope = current_envelope()
    news = news_of(event, version=envelope.version, said_at=envelope.time)
    await store.learn(news, changed_at=envelope.time)


ABOUT_SEATS = (*topology.SEAT_EVENTS, ShowtimeCancelled)
REACTIONS: Reactions = {
    SeatLayoutPublished: on_seat_layout_published,
    ShowtimeScheduled: on_showtime_scheduled,
    **dict.fromkeys(ABOUT_SEATS, on_news),
}


def watchers(hub: Hub) -> Reactions:
    """What this instance shows to its own clients as it happens."""

    async def show(event: Event) -> None:
        envelope = current_envelope()
        hub.show(news_of(event, version=envelope.version, said_at=envelope.time))

    async def tell(event: BookingState) -> None:
        if hub.has_owner(key := owner_key(event.holder)):
            hub.tell(key, booking_update(event, version=current_envelope().version))

    async def look(event: SeatsLookedAt) -> None:
        hub.learn_looks(event)

    return {
        **dict.fromkeys(ABOUT_SEATS, show),
        **dict.fromkeys(topology.BOOKING_STATES, tell),
        SeatsLookedAt: look,
    }
