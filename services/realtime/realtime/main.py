"""Realtime, put together."""

from chassis.app import create_service
from contracts.realtime import SeatsLookedAt

from realtime import api, reactions, settings, store
from realtime.hub import Hub
from realtime.lines import Handshake


async def publish(event: SeatsLookedAt) -> None:
    """Publish to the other instances. A lost message is published again later."""
    await app.state.broker.broadcast([event])


WEBSOCKETS = Handshake
hub = Hub(settings.get(), publish)
app = create_service(
    settings.get(),
    routers=[api.router],
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    watchers=reactions.watchers(hub),
    lifespans=[hub.running],
    on_revoked=hub.expel,
)
app.state.hub = hub
