"""Realtime, put together."""

from chassis.app import create_service

from realtime import api, jobs, reactions, settings, store
from realtime.sockets import Hub

hub = Hub(settings.get())
app = create_service(
    settings.get(),
    routers=[api.router],
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    watchers=reactions.watchers(hub),
    jobs=jobs.JOBS,
    lifespans=[hub.running],
    on_revoked=hub.expel,
)
app.state.hub = hub
