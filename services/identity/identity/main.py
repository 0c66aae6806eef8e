"""Identity, put together."""

from chassis.app import create_service

from identity import api, jobs, keys, settings, store

app = create_service(
    settings.get(), routers=api.ROUTERS, documents=store.DOCUMENTS, jobs=jobs.JOBS, keys=keys.published
)
