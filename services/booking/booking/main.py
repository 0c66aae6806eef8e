"""Composition root of booking."""

from chassis.app import create_service

from booking import api, handlers, jobs, migrations, privacy, settings, tickets

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.JOBS,
    privacy=privacy.PRIVACY,
    lifespans=[tickets.signing_lifespan],
)
