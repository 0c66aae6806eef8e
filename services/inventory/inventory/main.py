"""Composition root."""

from collections.abc import Sequence

from chassis.app import create_service
from contracts.envelope import Event

from inventory import api, handlers, jobs, migrations, settings, store


async def broadcast(events: Sequence[Event]) -> None:
    """Broadcast the events to all replicas that consume them."""
    await app.state.broker.broadcast(events)


replica = store.Replica(store.SeatBroadcaster(broadcast))
app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(replica),
    jobs=jobs.jobs(replica),
    privacy=handlers.privacy(replica),
    lifespans=[lambda _: replica.broadcaster],
)
app.state.replica = replica
