"""Composition root of the payment service."""

from chassis.app import create_service

from payment import api, handlers, jobs, migrations, settings
from payment.settlement import Settlement
from payment.stripe import Stripe
from payment.webhooks import Webhooks

config = settings.get()
stripe = Stripe()
settlement = Settlement(stripe)
webhooks = Webhooks(stripe, settlement)
app = create_service(
    config,
    routers=[api.router],
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(settlement),
    jobs=jobs.jobs(settlement, webhooks),
    privacy=handlers.PRIVACY,
    lifespans=[stripe.opened],
)
app.state.config, app.state.settlement, app.state.webhooks = config, settlement, webhooks
