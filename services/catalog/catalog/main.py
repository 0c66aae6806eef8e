"""Catalog, put together."""

from chassis.app import create_service

from catalog import api, jobs, privacy, reactions, settings, store

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
)
