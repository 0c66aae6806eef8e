"""The notifier, put together."""

from chassis.app import create_service

from notifier import api, delivery, privacy, reactions, settings, store

app = create_service(
    settings.get(),
    routers=[api.router],
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    personal=privacy.PRIVACY,
    lifespans=[delivery.sending],
)
