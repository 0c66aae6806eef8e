"""Periodic work: reconciliation with Stripe, and webhook events that still have to be processed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog
from chassis.clock import now
from chassis.jobs import Job
from prometheus_client import Counter, Gauge

from payment import store
from payment.model import Account, GiftCard, ProviderRefused, ProviderUnavailable, WebhookEvent
from payment.settlement import GiftCards, Settlement
from payment.webhooks import Webhooks

log = structlog.get_logger()
# The service stops only after a run has ended: a run takes at most 30 s while Stripe is unavailable.
BATCH, AT_ONCE = 64, 16
_failures = Counter(
    "usher_payment_job_item_failures_total", "Payments and webhook events that a job failed at", ["name"]
)
_waiting = Gauge("usher_payment_webhooks_waiting", "Webhook events not yet processed")
_oldest = Gauge("usher_payment_webhook_oldest_seconds", "Age of the oldest unprocessed webhook event")
T = TypeVar("T")


async def reconcile(settlement: Settlement) -> None:
    """Ask Stripe about intents and refunds without recent webhooks, in case one was lost."""

    async def reconcile_one(account: Account) -> None:
        if not await store.claim_check(account, now()):
            return
        try:
            await settlement.settle(account)
        except (ProviderUnavailable, ProviderRefused) as problem:
            log.warning("reconciliation_postponed", booking_id=account.id, reason=problem.code)

    await _each("reconcile_one", await store.due_accounts(now(), BATCH), reconcile_one)


async def process_webhooks(webhooks: Webhooks) -> None:
    """Process stored webhook events that have not taken effect yet."""

    async def process_one(event: WebhookEvent) -> None:
        if await store.claim_event(event, now()):
            await webhooks.process(event)

    await _each("process_one", await store.due_events(now(), BATCH), process_one)


async def deliver_gift_cards(gift_cards: GiftCards) -> None:
    """Mail the codes of gift cards whose day has come."""

    async def deliver_one(card: GiftCard) -> None:
        await gift_cards.deliver(card, now())

    await _each("deliver_one", await store.due_deliveries(now(), BATCH), deliver_one)


async def _each(name: str, items: Sequence[T], run: Callable[[T], Awaitable[None]]) -> None:
    """Run AT_ONCE items at a time. A failing item does not stop the others."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> None:
        async with gate:
            try:
                await run(item)
            except Exception:
                _failures.labels(name).inc()
                log.exception("job_item_failed", job=name)

    await asyncio.gather(*(one(item) for item in items))


async def measure() -> None:
    """Measure how many webhook events are unprocessed, and for how long."""
    count, since = await store.count_waiting_events()
    _waiting.set(count)
    _oldest.set((now() - since).total_seconds() if since else 0)


def stop_measuring() -> None:
    """Reset the gauges: another replica measures now."""
    _waiting.set(0)
    _oldest.set(0)


def jobs(settlement: Settlement, webhooks: Webhooks, gift_cards: GiftCards) -> list[Job]:
    """Return the periodic jobs."""
    return [
        Job("measure", every=15.0, run=measure, stand_by=stop_measuring),
        Job("reconcile_payments", every=2.0, run=partial(reconcile, settlement)),
        Job("process_webhooks", every=2.0, run=partial(process_webhooks, webhooks)),
        Job("deliver_gift_cards", every=10.0, run=partial(deliver_gift_cards, gift_cards)),
    ]
