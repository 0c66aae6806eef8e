"""Composition root of the notifier."""

from chassis.app import create_service

from notifier import api, delivery, handlers, migrations, privacy, settings

app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    privacy=privacy.PRIVACY,
    lifespans=[delivery.run_sender],
)
