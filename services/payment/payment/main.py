"""Payment, put together."""

from chassis.app import create_service

from payment import api, jobs, privacy, reactions, settings, store, stripe

app = create_service(
    settings.get(),
    routers=[api.router],
    documents=store.DOCUMENTS,
    reactions=reactions.REACTIONS,
    jobs=jobs.JOBS,
    personal=privacy.PRIVACY,
    lifespans=[stripe.connected],
)
