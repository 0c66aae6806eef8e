"""Composition root of realtime."""

from chassis.app import create_service
from contracts.realtime import SeatsLookedAt

from realtime import api, handlers, migrations, settings
from realtime.hub import Handshake, Hub


async def publish(event: SeatsLookedAt) -> None:
    """Publish to the other replicas. A lost message is sent again later."""
    await app.state.broker.broadcast([event])


WEBSOCKETS = Handshake
hub = Hub(settings.get(), publish)
app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    broadcast_handlers=handlers.live_handlers(hub),
    lifespans=[hub.running],
    on_revoked=hub.expel,
)
app.state.hub = hub
