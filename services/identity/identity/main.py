"""Identity, put together."""

from chassis.app import create_service

from identity import api, jobs, keys, reactions, settings, store

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    keys=keys.published,
    revoked=store.revocations,
)
