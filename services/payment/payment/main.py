"""Payment, put together."""

from chassis.app import create_service

from payment import api, jobs, migrations, privacy, reactions, settings, stripe

app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
    lifespans=[stripe.connected],
)
