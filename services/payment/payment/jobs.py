"""Time in: what Stripe has been silent about, and what a crash left undone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from chassis.clock import now
from chassis.jobs import Job
from prometheus_client import Counter, Gauge

from payment import settlement, store
from payment.model import ProviderRefused, ProviderUnavailable
from payment.store import Payment, WebhookEvent

log = structlog.get_logger()
# A run under way is finished before the service stops: with Stripe away this one takes 30 s at most.
BATCH, AT_ONCE = 64, 16
_failures = Counter("usher_payment_job_item_failures_total", "Payments and webhooks that a job failed at", ["name"])
_waiting = Gauge("usher_payment_webhooks_waiting", "Webhook events without their effect yet")
_oldest = Gauge("usher_payment_webhook_oldest_seconds", "Age of the first of them")
T = TypeVar("T")


async def reconcile() -> None:
    """Ask Stripe about intents and refunds that have been silent too long: heals lost webhooks."""
    await _each(await store.due_payments(now(), BATCH), _reconcile_one)


async def _reconcile_one(payment: Payment) -> None:
    if not await store.claim_due(payment, now()):
        return
    try:
        await settlement.settle(payment)
    except (ProviderUnavailable, ProviderRefused) as problem:
        log.warning("reconciliation_postponed", booking_id=payment.id, reason=problem.code)


async def work_off_webhooks() -> None:
    """Work off webhook events that were stored and answered, but whose effect did not come about."""
    await _each(await store.due_events(now(), BATCH), _work_off_one)


async def _work_off_one(event: WebhookEvent) -> None:
    if await store.claim_event(event, now()):
        await settlement.work_off(event)


async def _each(items: Sequence[T], run: Callable[[T], Awaitable[None]]) -> None:
    """A few at a time; one that fails does not keep the others."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> None:
        async with gate:
            try:
                await run(item)
            except Exception:
                _failures.labels(run.__name__.strip("_")).inc()
                log.exception("job_item_failed", job=run.__name__)

    await asyncio.gather(*(one(item) for item in items))


async def measure() -> None:
    """Count the webhook events that wait."""
    count, since = await store.waiting_events()
    _waiting.set(count)
    _oldest.set((now() - since).total_seconds() if since else 0)


def measure_nothing() -> None:
    """Another replica measures."""
    _waiting.set(0)
    _oldest.set(0)


JOBS = [
    Job("measure", every=15.0, run=measure, rest=measure_nothing),
    Job("reconcile_payments", every=2.0, run=reconcile),
    Job("work_off_webhooks", every=2.0, run=work_off_webhooks),
]
