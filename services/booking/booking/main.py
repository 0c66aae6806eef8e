"""Booking, put together."""

from chassis.app import create_service

from booking import api, jobs, migrations, privacy, reactions, settings, tickets

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
    lifespans=[tickets.ready],
)
