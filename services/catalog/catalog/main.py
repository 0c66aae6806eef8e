"""Composition root of catalog."""

from chassis.app import create_service

from catalog import api, handlers, jobs, migrations, privacy, settings

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.JOBS,
    privacy=privacy.PRIVACY,
)
