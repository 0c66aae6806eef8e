"""Keeps accounts and Stripe's intents in agreement.

The API, the handlers, the webhook and the jobs all use these functions. A request is first stored in the account, so
that it is eventually carried out. Then Stripe is called, and its answer is applied by the rules of `model`.
"""

import logging
from typing import Any

import structlog
from chassis.clock import now
from chassis.observability import telemetry
from contracts.claims import PaymentOrder
from prometheus_client import Counter, Histogram

from payment import model, store, stripe
from payment.model import MoneyMismatch, ProviderFailed, ProviderRefused, ProviderUnavailable, State, StripeEvent
from payment.store import Payment, WebhookEvent
from payment.updates import ChargeUpdate, IntentUpdate, RefundUpdate, StripeUpdate

log = structlog.get_logger()
PARK_AFTER_TRIES = 12
_processed = Counter("usher_payment_webhooks_total", "Webhook events processed", ["type", "outcome"])
_parked = Counter("usher_payment_webhooks_parked_total", "Webhook events that are no longer retried")
_failed_refunds = Counter("usher_payment_refunds_failed_total", "Refunds that failed at the bank")
_lag = Histogram(
    "usher_payment_webhook_lag_seconds",
    "From the event at Stripe (whole seconds) to its effect here",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


class UnknownBooking(Exception):
    """The booking has no account, and the metadata of its intent is not enough to restore one."""


async def open_intent(order: PaymentOrder) -> stripe.IntentHandle:
    """Return the order's one intent. The first request creates it and stores it with its account in one write.

    Raises what `model.new_account`, `check_payable` and `complete_account` raise, ProviderUnavailable and
    ProviderRefused.
    """
    account = model.new_account(order)
    if problem := model.reason_not_payable(account, now()):
        if payment := await store.find(account.id):
            model.check_payable(payment, now())  # the stored account may give a better reason, e.g. AlreadyPaid
        raise problem
    try:
        handle = await stripe.create_intent(account)
    except ProviderFailed:
        # Stripe repeats this failure for as long as it stores the idempotency key. So the account is stored without
        # an intent and counts the spent keys. A later request, on any replica, fails here again and continues there.
        await store.open_account(account.model_copy(update={"intent_attempt": account.intent_attempt + 1}))
        await stripe.wait_before_retry()
        if payment := await store.find(account.id):
            return await _resume_intent(payment, order)
        raise
    attached = model.attach_intent(account, handle.intent.id, now())
    if attached and await store.open_account(account.model_copy(update=attached.fields)):
        return handle
    if payment := await store.find(account.id):
        return await _attach_intent(payment, order, handle)
    await stripe.cancel_intent(handle.intent.id)
    raise model.DeadlinePassed  # the deadline passed while Stripe created the intent


async def _resume_intent(payment: Payment, order: PaymentOrder) -> stripe.IntentHandle:
    """Return the intent of an existing account in its state at Stripe; create one if the account has none.

    An intent that Stripe created although it answered with an error stays unpaid: its secret never left Stripe.
    """
    model.check_payable(payment, now())
    payment = await _change(payment, lambda account: model.complete_account(account, order))
    if payment.intent_id:
        handle = await stripe.retrieve_intent(payment.intent_id)
        try:
            updated = await apply_update(payment.id, handle.intent)
        except MoneyMismatch as error:  # the webhook with the same update is parked until a person looks at it
            raise ProviderRefused from error
        model.check_payable(updated, now())
        return handle
    try:
        handle = await stripe.create_intent(payment)
    except ProviderFailed:
        attempt = payment.intent_attempt
        payment = await _change(payment, lambda account: model.rotate_intent_key(account, attempt))
        await stripe.wait_before_retry()
        return await _resume_intent(payment, order)
    return await _attach_intent(payment, order, handle)


async def _attach_intent(payment: Payment, order: PaymentOrder, handle: stripe.IntentHandle) -> stripe.IntentHandle:
    """Attach a new intent to the account. If the account has another intent or is closed, cancel the new one.

    The client secret of an intent that is not attached is never returned.
    """
    payment = await _change(payment, lambda account: model.attach_intent(account, handle.intent.id, now()))
    if payment.intent_id != handle.intent.id:
        await stripe.cancel_intent(handle.intent.id)
    return await _resume_intent(payment, order)


async def _change(payment: Payment, decide: store.Decide) -> Payment:
    if (changed := await store.change(payment.id, decide, payment)) is None:
        raise model.PaymentUnknown
    return changed


async def apply_update(booking_id: str, update: StripeUpdate, event: WebhookEvent | None = None) -> Payment:
    """Apply an update from Stripe to a booking's account. Raises UnknownBooking and MoneyMismatch.

    An intent's `event` is stored in the account by the write that it causes. A lost account (after a restored backup,
    or after a crash between Stripe's write and ours) is restored from its intent.
    """
    match update:
        case IntentUpdate():
            cause = event and StripeEvent(id=event.id, type=event.type, created_at=event.created_at, processed_at=now())

            def decide(account: model.Account) -> model.AccountChange | None:
                return model.apply_intent(account, update, now(), cause)

            payment = await store.change(booking_id, decide)
            if payment is None and (lost := model.restore_account(update, now())):
                if await store.open_account(lost):
                    log.warning("account_restored", booking_id=booking_id, intent_id=update.id)
                payment = await store.change(booking_id, decide)
        case RefundUpdate():
            payment = await store.change(booking_id, lambda account: model.apply_refund(account, update, now()))
            if update.state == "failed":
                _failed_refunds.inc()
                log.error("refund_failed", booking_id=booking_id, refund=update.id, amount=update.amount)
        case ChargeUpdate():
            payment = await store.find(booking_id)
            if payment and update.amount_refunded > model.refunded_at_stripe(payment):
                await _fetch_refunds(payment)
    if payment is None:
        raise UnknownBooking(booking_id)
    return payment


async def _fetch_refunds(payment: Payment) -> None:
    if payment.intent_id:
        for refund in await stripe.list_refunds(payment.intent_id):
            await apply_update(payment.id, refund)


async def settle(payment: Payment) -> None:
    """Ask Stripe for every outcome that this account waits for. Raises ProviderUnavailable and ProviderRefused."""
    with stripe.time_budget():
        if payment.state is State.INTENT_CREATED and payment.intent_id:
            if payment.cancel_requested:
                await apply_update(payment.id, await stripe.cancel_intent(payment.intent_id))
            else:
                await apply_update(payment.id, (await stripe.retrieve_intent(payment.intent_id)).intent)
        for refund_id, refund in payment.refunds.items():
            if refund.state in {"asked", "pending"}:
                await _settle_refund(payment, refund_id)


async def try_settle(payment: Payment) -> None:
    """Settle now if Stripe answers. Otherwise the job does it later: the request is stored in the account."""
    try:
        await settle(payment)
    except (ProviderUnavailable, ProviderRefused) as problem:
        log.warning("settlement_postponed", booking_id=payment.id, reason=problem.code)


async def _settle_refund(payment: Payment, refund_id: str) -> None:
    refund = payment.refunds[refund_id]
    if refund.state == "pending" or refund.attempt:
        await _fetch_refunds(payment)
        payment = await store.find(payment.id) or payment
        refund = payment.refunds[refund_id]
    if refund.state != "asked":
        return
    try:
        update = await stripe.create_refund(payment, refund_id, refund)
    except ProviderFailed:
        await store.change(payment.id, lambda account: model.rotate_refund_key(account, refund_id))
        raise
    except ProviderRefused:
        # Most likely someone has refunded money at Stripe in the meantime: then less, or nothing, is left to send.
        await _fetch_refunds(payment)
        current = await store.find(payment.id)
        if current is None or current.refunds[refund_id] == refund:
            raise
        await _settle_refund(current, refund_id)
        return
    if update:
        await apply_update(payment.id, update)


async def receive(event: WebhookEvent) -> bool:
    """Store a new webhook event; return whether it still has to be processed.

    An intent's event takes one write, which changes the account and stores the event in it. An event is stored on its
    own when it changes nothing, when applying it fails, or when applying it may need a call to Stripe.
    """
    if isinstance(event.news, IntentUpdate):
        booking_id = event.news.booking_id or ""
        telemetry.about(booking_id)
        try:
            payment = await apply_update(booking_id, event.news, event)
            event = _close(event, "applied")
        except Exception as error:
            _log_failure(event, error, "webhook_postponed")
        else:
            if payment.was_changed_by(event.id):
                return False
    return await store.insert_event(event) and event.next_try_at is not None


async def process(event: WebhookEvent) -> None:
    """Apply a stored webhook event. A failure is recorded, and the event is retried later."""
    try:
        with telemetry.span(f"process {event.type}"):
            closed = _close(event, await _apply_event(event))
    except Exception as error:
        park = event.tries >= PARK_AFTER_TRIES and not isinstance(error, ProviderUnavailable)
        _log_failure(event, error, "webhook_parked" if park else "webhook_postponed")
        if park:
            _parked.inc()
        await store.record_failure(event.id, repr(error)[:500], park=park)
        return
    await store.mark_processed(closed)


async def _apply_event(event: WebhookEvent) -> str:
    """Apply a stored event and return its outcome."""
    update = event.news
    if update is None:
        return "ignored"
    if isinstance(update, IntentUpdate):
        booking_id = update.booking_id
    else:
        payment = await store.find_by_intent(update.intent_id)
        if payment is None or not payment.captured:
            # The refund's event overtook the payment's event, or the account was lost.
            payment = await _fetch_payment(update.intent_id)
        if payment is None:
            return "foreign"
        booking_id = payment.id
    telemetry.about(booking_id or "")
    await apply_update(booking_id or "", update, event)
    return "applied"


async def _fetch_payment(intent_id: str) -> Payment | None:
    """Apply the intent's state at Stripe to its account and return that; None when the intent is not ours."""
    intent = (await stripe.retrieve_intent(intent_id)).intent
    if intent.booking_id is None:
        return None
    payment = await store.find(intent.booking_id)
    if (payment is None and intent.order is None) or (payment and payment.captured):
        return None
    return await apply_update(intent.booking_id, intent)


def _close(event: WebhookEvent, outcome: str) -> WebhookEvent:
    moment = now()
    _processed.labels(event.type, outcome).inc()
    _lag.observe(max(0.0, (moment - event.created_at).total_seconds()))
    closed: dict[str, Any] = {"outcome": outcome, "processed_at": moment, "next_try_at": None}
    if isinstance(event.news, IntentUpdate):
        closed["news"] = event.news.model_copy(update={"order": None})  # it names a person; the account stores it
    return event.model_copy(update=closed)


def _log_failure(event: WebhookEvent, error: Exception, message: str) -> None:
    is_expected = isinstance(error, ProviderUnavailable) and message == "webhook_postponed"
    trace = None if isinstance(error, UnknownBooking) else error
    level = logging.WARNING if is_expected else logging.ERROR
    log.log(level, message, event_id=event.id, type=event.type, exc_info=trace)
