"""The notifier, put together."""

from chassis.app import create_service

from notifier import api, delivery, migrations, privacy, reactions, settings

app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    reactions=reactions.REACTIONS,
    personal=privacy.PRIVACY,
    lifespans=[delivery.sending],
)
