"""Composition root."""

from chassis.app import create_service

from inventory import api, jobs, reactions, settings, store

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
)
