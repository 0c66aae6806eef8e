"""Composition root."""

from collections.abc import Sequence

from chassis.app import create_service
from contracts.envelope import Event

from inventory import api, handlers, jobs, migrations, settings, store


async def broadcast(events: Sequence[Event]) -> None:
    """Broadcast the events to all replicas that consume them."""
    await app.state.broker.broadcast(events)


app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.JOBS,
    lifespans=[lambda _: store.SeatBroadcaster(broadcast)],
)
