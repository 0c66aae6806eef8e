"""Realtime, put together."""

from chassis.app import create_service
from chassis.clock import now
from chassis.ids import new_id
from contracts.envelope import Envelope
from contracts.realtime import SeatsLookedAt

from realtime import api, jobs, reactions, settings, store
from realtime.hub import Hub
from realtime.lines import Handshake


async def publish(event: SeatsLookedAt) -> None:
    """Tell the other instances. No outbox: what gets lost is told again."""
    await app.state.broker.publish(
        Envelope(
            id=new_id(),
            source=event.source(),
            type=event.type,
            subject=event.subject,
            time=now(),
            body=event.model_dump_json(),
        )
    )


WEBSOCKETS = Handshake
hub = Hub(settings.get(), publish)
app = create_service(
    settings.get(),
    routers=[api.router],
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    watchers=reactions.watchers(hub),
    lifespans=[hub.running, jobs.running],
    on_revoked=hub.expel,
)
app.state.hub = hub
