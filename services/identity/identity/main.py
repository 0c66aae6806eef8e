"""Composition root of identity."""

from chassis.app import create_service

from identity import api, handlers, jobs, keys, migrations, settings, store

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.JOBS,
    keys=keys.published,
    revoked=store.revocations,
)
