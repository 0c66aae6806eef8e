"""Where our accounts and Stripe's intents are brought into agreement.

The API, the reactions, the webhook and the jobs all end here. What they want is written into the account first, so it
happens sooner or later; then Stripe is asked; then what Stripe says is written down by the rules of `model`.
"""

import logging
from typing import Any

import structlog
from chassis import telemetry
from chassis.clock import now
from contracts.claims import PaymentOrder
from prometheus_client import Counter, Histogram

from payment import model, store, stripe
from payment.model import MoneyMismatch, ProviderFailed, ProviderRefused, ProviderUnavailable, State, StripeEvent
from payment.news import ChargeSeen, IntentSeen, News, RefundSeen
from payment.store import Payment, WebhookEvent

log = structlog.get_logger()
PARK_AFTER_TRIES = 12
_worked_off = Counter("usher_payment_webhooks_total", "Webhook events worked off", ["type", "outcome"])
_parked = Counter("usher_payment_webhooks_parked_total", "Webhook events that are not tried again by themselves")
_returned = Counter("usher_payment_refunds_failed_total", "Refunds that came back")
_lag = Histogram(
    "usher_payment_webhook_lag_seconds",
    "From the event at Stripe (whole seconds) to its effect here",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


class UnknownBooking(Exception):
    """Stripe names a booking that has no account, and its intent does not say enough to make one."""


async def open_intent(order: PaymentOrder) -> stripe.Offer:
    """The order's one intent. The first one who asks makes it, and stores it with its account in one write.

    Raises what `model.account_of`, `check_payable` and `complete` raise, ProviderUnavailable and ProviderRefused.
    """
    account = model.account_of(order)
    if refusal := model.refusal(account, now()):
        if payment := await store.find(account.id):
            model.check_payable(payment, now())  # it may say more, e.g. that the booking is paid
        raise refusal
    try:
        offer = await stripe.create_intent(account)
    except ProviderFailed:
        # Stripe repeats this failure as long as it knows the idempotency key. So the account is stored without an
        # intent and counts the spent keys. A later request fails here again, on any replica, and goes on from there.
        await store.open_account(account.model_copy(update={"intent_attempt": account.intent_attempt + 1}))
        await stripe.pause()
        if payment := await store.find(account.id):
            return await _continue(payment, order)
        raise
    attached = model.attach_intent(account, offer.intent.id, now())
    if attached and await store.open_account(account.model_copy(update=attached.fields)):
        return offer
    if payment := await store.find(account.id):
        return await _attach(payment, order, offer)
    await stripe.cancel_intent(offer.intent.id)
    raise model.DeadlinePassed  # while Stripe made the intent


async def _continue(payment: Payment, order: PaymentOrder) -> stripe.Offer:
    """The intent of an account that exists, as it stands at Stripe; a new one if the account has none.

    An intent that Stripe made although it answered with an error stays unpaid: nobody has its secret.
    """
    model.check_payable(payment, now())
    payment = await _changed(payment, lambda account: model.complete(account, order))
    if payment.intent_id:
        offer = await stripe.retrieve_intent(payment.intent_id)
        try:
            known = await learn(payment.id, offer.intent)
        except MoneyMismatch as error:  # the webhook with the same news is parked for a person
            raise ProviderRefused from error
        model.check_payable(known, now())
        return offer
    try:
        offer = await stripe.create_intent(payment)
    except ProviderFailed:
        attempt = payment.intent_attempt
        payment = await _changed(payment, lambda account: model.spend_intent_key(account, attempt))
        await stripe.pause()
        return await _continue(payment, order)
    return await _attach(payment, order, offer)


async def _attach(payment: Payment, order: PaymentOrder, offer: stripe.Offer) -> stripe.Offer:
    """Make the offered intent the account's own. If it has another one or is closed, the intent is cancelled.

    Nobody has the secret of an intent that is not attached.
    """
    payment = await _changed(payment, lambda account: model.attach_intent(account, offer.intent.id, now()))
    if payment.intent_id != offer.intent.id:
        await stripe.cancel_intent(offer.intent.id)
    return await _continue(payment, order)


async def _changed(payment: Payment, decide: store.Decide) -> Payment:
    if (changed := await store.change(payment.id, decide, payment)) is None:
        raise model.PaymentUnknown
    return changed


async def learn(booking_id: str, seen: News) -> Payment:
    """Write down what Stripe says about a booking's money. Raises UnknownBooking and MoneyMismatch."""
    match seen:
        case IntentSeen():
            payment = await _apply(booking_id, seen, lambda account: model.on_intent(account, seen, now()))
        case RefundSeen():
            payment = await store.change(booking_id, lambda account: model.on_refund(account, seen, now()))
            if seen.state == "failed":
                _returned.inc()
                log.error("refund_failed", booking_id=booking_id, refund=seen.id, amount=seen.amount)
        case ChargeSeen():
            payment = await store.find(booking_id)
            if payment and seen.amount_refunded > model.sent_back(payment):
                await _learn_refunds(payment)
    if payment is None:
        raise UnknownBooking(booking_id)
    return payment


async def _learn_refunds(payment: Payment) -> None:
    if payment.intent_id:
        for seen in await stripe.list_refunds(payment.intent_id):
            await learn(payment.id, seen)


async def settle(payment: Payment) -> None:
    """Ask Stripe for what this account waits for. Raises ProviderUnavailable and ProviderRefused."""
    with stripe.patience():
        if payment.state is State.INTENT_CREATED and payment.intent_id:
            if payment.cancel_requested:
                await learn(payment.id, await stripe.cancel_intent(payment.intent_id))
            else:
                await learn(payment.id, (await stripe.retrieve_intent(payment.intent_id)).intent)
        for refund_id, refund in payment.refunds.items():
            if refund.state in {"asked", "pending"}:
                await _settle_refund(payment, refund_id)


async def settle_soon(payment: Payment) -> None:
    """Settle now if Stripe can be asked. The wish stands in the account, so the job sees to it otherwise."""
    try:
        await settle(payment)
    except (ProviderUnavailable, ProviderRefused) as problem:
        log.warning("settlement_postponed", booking_id=payment.id, reason=problem.code)


async def _settle_refund(payment: Payment, refund_id: str) -> None:
    refund = payment.refunds[refund_id]
    if refund.state == "pending" or refund.attempt:
        await _learn_refunds(payment)
        payment = await store.find(payment.id) or payment
        refund = payment.refunds[refund_id]
    if refund.state != "asked":
        return
    try:
        seen = await stripe.create_refund(payment, refund_id, refund)
    except ProviderFailed:
        await store.change(payment.id, lambda account: model.spend_refund_key(account, refund_id))
        raise
    except ProviderRefused:
        # Most likely money left by hand meanwhile: then less of it, or nothing, is still to be sent.
        await _learn_refunds(payment)
        known = await store.find(payment.id)
        if known is None or known.refunds[refund_id] == refund:
            raise
        await _settle_refund(known, refund_id)
        return
    if seen:
        await learn(payment.id, seen)


async def take_in(event: WebhookEvent) -> bool:
    """Store a new event; returns whether it is still to be worked off.

    What an intent's event says takes one write of ours, which stores the event, too. By themselves are stored those
    that change nothing, those that fail, and those for which Stripe may have to be asked.
    """
    if isinstance(event.news, IntentSeen):
        try:
            payment = await _hear(event, event.news)
            event = _done(event, "applied")
        except Exception as error:
            _log_failure(event, error, "webhook_postponed")
        else:
            if payment.was_changed_by(event.id):
                return False
    return await store.keep(event) and event.next_try_at is not None


async def _hear(event: WebhookEvent, seen: IntentSeen) -> Payment:
    """Write down what an intent's event changes. Raises UnknownBooking and MoneyMismatch."""
    booking_id = seen.booking_id or ""
    telemetry.about(booking_id)
    cause = StripeEvent(id=event.id, type=event.type, created_at=event.created_at, processed_at=now())
    return await _apply(booking_id, seen, lambda account: model.on_webhook(account, seen, cause))


async def _apply(booking_id: str, seen: IntentSeen, decide: store.Decide) -> Payment:
    """Apply an intent's state to its account. A lost account is restored first.

    An account is lost after a backup was restored, or after a crash between Stripe's write and ours. Raises
    UnknownBooking and MoneyMismatch.
    """
    payment = await store.change(booking_id, decide)
    if payment is None and (lost := model.lost_account(seen, now())):
        if await store.open_account(lost):
            log.warning("account_restored", booking_id=booking_id, intent_id=seen.id)
        payment = await store.change(booking_id, decide)
    if payment is None:
        raise UnknownBooking(booking_id)
    return payment


async def work_off(event: WebhookEvent) -> None:
    """Give a stored webhook event its effect. What goes wrong is noted, and the event comes up again."""
    try:
        with telemetry.span(f"work off {event.type}"):
            done = _done(event, await _effect(event))
    except Exception as error:
        park = event.tries >= PARK_AFTER_TRIES and not isinstance(error, ProviderUnavailable)
        _log_failure(event, error, "webhook_parked" if park else "webhook_postponed")
        if park:
            _parked.inc()
        await store.note_failure(event.id, repr(error)[:500], park=park)
        return
    await store.close_event(done)


def _done(event: WebhookEvent, outcome: str) -> WebhookEvent:
    moment = now()
    _worked_off.labels(event.type, outcome).inc()
    _lag.observe(max(0.0, (moment - event.created_at).total_seconds()))
    done: dict[str, Any] = {"outcome": outcome, "processed_at": moment, "next_try_at": None}
    if isinstance(event.news, IntentSeen):
        done["news"] = event.news.model_copy(update={"order": None})  # it names a person, and the account has it
    return event.model_copy(update=done)


def _log_failure(event: WebhookEvent, error: Exception, what: str) -> None:
    level = logging.WARNING if isinstance(error, ProviderUnavailable) and what == "webhook_postponed" else logging.ERROR
    trace = None if isinstance(error, UnknownBooking) else error
    log.log(level, what, event_id=event.id, type=event.type, exc_info=trace)


async def _effect(event: WebhookEvent) -> str:
    seen = event.news
    if seen is None:
        return "ignored"
    if isinstance(seen, IntentSeen):
        await _hear(event, seen)
        return "applied"
    payment = await store.by_intent(seen.intent_id)
    if payment is None or not payment.captured:
        # A refund's event overtook that of the payment itself, or the account got lost.
        payment = await _learn_payment(seen.intent_id)
    if payment is None:
        return "foreign"
    telemetry.about(payment.id)
    await learn(payment.id, seen)
    return "applied"


async def _learn_payment(intent_id: str) -> Payment | None:
    """The account that an intent pays, with the intent's state at Stripe; None when it pays none of ours."""
    intent = (await stripe.retrieve_intent(intent_id)).intent
    if intent.booking_id is None:
        return None
    known = await store.find(intent.booking_id)
    if (known is None and intent.order is None) or (known and known.captured):
        return None
    return await learn(intent.booking_id, intent)
