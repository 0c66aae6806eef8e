"""Catalog, put together."""

from chassis.app import create_service

from catalog import api, jobs, migrations, privacy, reactions, settings

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
)
