"""Stripe's webhook events: stored once, and applied to the account of their booking."""

import logging
from typing import Any

import structlog
from chassis.clock import now
from chassis.observability import telemetry
from prometheus_client import Counter, Histogram

from payment import store
from payment.model import Account, IntentUpdate, ProviderUnavailable, WebhookEvent
from payment.settlement import Settlement, UnknownBooking
from payment.stripe import Stripe

log = structlog.get_logger()
PARK_AFTER_TRIES = 12
_processed = Counter("usher_payment_webhooks_total", "Webhook events processed", ["type", "outcome"])
_parked = Counter("usher_payment_webhooks_parked_total", "Webhook events that are no longer retried")
_lag = Histogram(
    "usher_payment_webhook_lag_seconds",
    "From the event at Stripe (whole seconds) to its effect here",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


class Webhooks:
    """Receives and processes webhook events."""

    def __init__(self, stripe: Stripe, settlement: Settlement) -> None:
        self._stripe, self._settlement = stripe, settlement

    async def receive(self, body: bytes, signature: str | None) -> WebhookEvent | None:
        """Store a new event; return it if it still has to be processed. Raises BadSignature and BadPayload.

        An intent's event takes one write, which changes the account and stores the event in it. An event is stored on
        its own when it changes nothing, when applying it fails, or when applying it may need a call to Stripe.
        """
        event = self._stripe.read_webhook(body, signature)
        if isinstance(event.update, IntentUpdate):
            booking_id = event.update.booking_id or ""
            telemetry.set_subject(booking_id)
            try:
                cause = event.as_cause(now())
                is_stored = await store.apply_without_read(event.update, now(), cause)
                if not is_stored:
                    account = await self._settlement.apply_update(booking_id, event.update, cause)
                    is_stored = account.was_changed_by(event.id)
                event = _as_processed(event, "applied")
            except Exception as error:
                _log_failure(event, error, "webhook_postponed")
            else:
                if is_stored:
                    return None
        return event if await store.insert_event(event) and event.next_try_at else None

    async def process(self, event: WebhookEvent) -> None:
        """Apply a stored webhook event. A failure is recorded, and the event is retried later."""
        try:
            with telemetry.span(f"process {event.type}"):
                processed = _as_processed(event, await self._apply_event(event))
        except Exception as error:
            park = event.tries >= PARK_AFTER_TRIES and not isinstance(error, ProviderUnavailable)
            _log_failure(event, error, "webhook_parked" if park else "webhook_postponed")
            if park:
                _parked.inc()
            await store.record_failure(event.id, repr(error)[:500], park=park)
            return
        await store.mark_processed(processed)

    async def _apply_event(self, event: WebhookEvent) -> str:
        """Apply a stored event and return its outcome."""
        update = event.update
        if update is None:
            return "ignored"
        if isinstance(update, IntentUpdate):
            booking_id = update.booking_id
        else:
            account = await store.find_by_intent(update.intent_id)
            if account is None or not account.captured:
                # The refund's event arrived before the payment's event, or the account was lost.
                account = await self._fetch_account(update.intent_id)
            if account is None:
                return "foreign"
            booking_id = account.id
        telemetry.set_subject(booking_id or "")
        await self._settlement.apply_update(booking_id or "", update, event.as_cause(now()))
        return "applied"

    async def _fetch_account(self, intent_id: str) -> Account | None:
        """Apply the intent's state at Stripe to its account and return that; None when the intent is not ours."""
        intent = (await self._stripe.retrieve_intent(intent_id)).intent
        if intent.booking_id is None:
            return None
        account = await store.find(intent.booking_id)
        if (account is None and intent.order is None) or (account and account.captured):
            return None
        return await self._settlement.apply_update(intent.booking_id, intent)


def _as_processed(event: WebhookEvent, outcome: str) -> WebhookEvent:
    """Return the event with its outcome, and count it."""
    moment = now()
    _processed.labels(event.type, outcome).inc()
    _lag.observe(max(0.0, (moment - event.created_at).total_seconds()))
    changes: dict[str, Any] = {"outcome": outcome, "processed_at": moment, "next_try_at": None}
    if isinstance(event.update, IntentUpdate):
        changes["update"] = event.update.model_copy(update={"order": None})  # it names a person; the account stores it
    return event.model_copy(update=changes)


def _log_failure(event: WebhookEvent, error: Exception, message: str) -> None:
    is_expected = isinstance(error, ProviderUnavailable) and message == "webhook_postponed"
    trace = None if isinstance(error, UnknownBooking) else error
    level = logging.WARNING if is_expected else logging.ERROR
    log.log(level, message, event_id=event.id, type=event.type, exc_info=trace)
