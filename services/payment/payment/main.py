"""Composition root of the payment service."""

from chassis.app import create_service

from payment import api, handlers, jobs, migrations, settings
from payment.settlement import GiftCards, Settlement
from payment.stripe import Stripe
from payment.webhooks import Webhooks

config = settings.get()
stripe = Stripe()
gift_cards = GiftCards(config)
settlement = Settlement(stripe, gift_cards)
webhooks = Webhooks(stripe, settlement)
app = create_service(
    config,
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(settlement),
    jobs=jobs.jobs(settlement, webhooks, gift_cards),
    privacy=handlers.PRIVACY,
    lifespans=[stripe.opened],
)
app.state.config, app.state.settlement, app.state.webhooks = config, settlement, webhooks
app.state.gift_cards = gift_cards
