"""Composition root of the payment service."""

from chassis.app import create_service

from payment import api, handlers, jobs, migrations, privacy, settings, stripe

app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.JOBS,
    privacy=privacy.PRIVACY,
    lifespans=[stripe.lifespan],
)
