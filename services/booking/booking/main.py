"""Booking, put together."""

from chassis.app import create_service

from booking import api, jobs, privacy, reactions, settings, store, tickets

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
    lifespans=[tickets.ready],
)
