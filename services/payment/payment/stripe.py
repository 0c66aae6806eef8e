"""Stripe, through its own SDK. `STRIPE_API_BASE` decides whether it is Stripe itself or the sandbox.

A call that fails on Stripe's side is repeated under the same idempotency key, so it has its effect once. Stripe keeps
the answer of a request that began to execute, also a 500, and repeats it for that key: then only another key helps, and
the caller decides (https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level).
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import quote

import stripe
import structlog
from chassis import telemetry
from prometheus_client import Counter, Histogram

from payment import settings
from payment.model import (
    Account,
    BadPayload,
    BadSignature,
    ProviderFailed,
    ProviderRefused,
    ProviderUnavailable,
    Refund,
    intent_key,
    refund_key,
)
from payment.news import IntentSeen, RefundSeen, read_intent, read_refund

log = structlog.get_logger()
TOLERANCE_S = 300
PATIENCE_S = 7.0
"""How long a request waits for Stripe, all calls and repetitions together."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0
RETRY_AFTER_S = 5
_seconds = Histogram("usher_payment_stripe_seconds", "Time of a call to Stripe, retries included", ["call"])
_errors = Counter("usher_payment_stripe_errors_total", "Calls to Stripe that failed", ["call", "error"])


@dataclass(frozen=True)
class Offer:
    """An intent and the secret with which the customer's browser, and nobody else, confirms it."""

    intent: IntentSeen
    client_secret: str


@asynccontextmanager
async def connected(config: settings.Settings) -> AsyncIterator[None]:
    """Lifespan: checks that the keys are there and closes the connections at the end. Raises ValueError."""
    if not config.stripe_secret_key or not config.webhook_secrets:
        raise ValueError("STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET must be set")
    # Its debug lines show whole answers, client secrets among them.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    stripe.enable_telemetry = False
    try:
        yield
    finally:
        http, _ = _connection()
        _connection.cache_clear()
        await http.close_async()


@cache
def _connection() -> tuple[stripe.AIOHTTPClient, stripe.StripeClient]:
    config = settings.get()
    http = stripe.AIOHTTPClient(timeout=config.stripe_timeout_seconds)
    return http, stripe.StripeClient(
        config.stripe_secret_key,
        http_client=http,
        base_addresses={"api": config.stripe_api_base} if config.stripe_api_base else None,
        max_network_retries=0,  # it knows neither how long a request may take nor what a kept 500 means
    )


def _client() -> stripe.StripeClient:
    return _connection()[1]


class _Patience:
    """PATIENCE_S from now on, and pauses in it that grow."""

    def __init__(self) -> None:
        self._ends = asyncio.get_running_loop().time() + PATIENCE_S
        self._pause = FIRST_PAUSE_S

    def limit(self) -> asyncio.Timeout:
        return asyncio.timeout_at(self._ends)

    async def pause(self) -> bool:
        """Wait before the next try; False, at once, when there is no time for one."""
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers, guards nothing
        if asyncio.get_running_loop().time() + pause >= self._ends:
            return False
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        await asyncio.sleep(pause)
        return True


_patience: ContextVar[_Patience | None] = ContextVar("stripe_patience", default=None)


@contextmanager
def patience() -> Iterator[None]:
    """Within the block all calls to Stripe and the pauses between them take PATIENCE_S at most."""
    before = _patience.set(_Patience())
    try:
        yield
    finally:
        _patience.reset(before)


async def pause() -> None:
    """Wait before trying again with another idempotency key. Raises ProviderUnavailable when the time is over."""
    if not await (_patience.get() or _Patience()).pause():
        raise ProviderUnavailable(retry_after=RETRY_AFTER_S)


async def _ask(call: str, method: str, path: str, **fields: Any) -> dict[str, Any]:
    """Stripe's answer as its JSON says it. The SDK's own objects cost almost as much again, and we read few fields.

    Asks again while Stripe fails and there is time. Raises ProviderUnavailable and ProviderRefused, and at once
    ProviderFailed for a failure that Stripe keeps under the idempotency key.
    """
    time = _patience.get() or _Patience()
    with telemetry.span(f"stripe {call}", telemetry.CLIENT), _seconds.labels(call).time():
        while True:
            try:
                async with time.limit():
                    answer = await _client().raw_request_async(method, f"/v1/{path}", **fields)
                return cast(dict[str, Any], answer.data)
            except (stripe.StripeError, TimeoutError) as error:
                problem = _translated(call, error)
                is_kept = isinstance(problem, ProviderFailed) and "idempotency_key" in fields
                if isinstance(problem, ProviderUnavailable) and not is_kept and await time.pause():
                    continue
                _errors.labels(call, type(error).__name__).inc()
                raise problem from error


def _translated(call: str, error: stripe.StripeError | TimeoutError) -> ProviderUnavailable | ProviderRefused:
    if isinstance(error, TimeoutError):
        return ProviderUnavailable(retry_after=RETRY_AFTER_S)
    status = error.http_status or 0
    headers = {name.lower(): value for name, value in dict(error.headers or {}).items()}
    is_kept = headers.get("idempotent-replayed") == "true" or headers.get("stripe-should-retry") == "false"
    if status >= 500 and is_kept:
        return ProviderFailed(retry_after=RETRY_AFTER_S)
    if status < 400 or status in {409, 429} or status >= 500:
        return ProviderUnavailable(retry_after=RETRY_AFTER_S)
    log.error("stripe_refused", call=call, status=status, code=error.code, request_id=error.request_id)
    return ProviderRefused()


async def create_intent(account: Account) -> Offer:
    """The intent for this booking's price; the same one again for the same idempotency key.

    Nothing that leaves our page: the seats are kept for minutes only.
    """
    made = await _ask(
        "create_intent",
        "post",
        "payment_intents",
        amount=account.amount,
        currency=account.currency.lower(),
        automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
        description=f"Booking {account.reference}",
        metadata=_metadata(account),
        idempotency_key=intent_key(account),
    )
    return _offer(made)


def _metadata(account: Account) -> dict[str, Any]:
    """What is needed to restore a lost account (`news.OrderSeen`). No address: Stripe would keep it for ever."""
    return {
        "booking_id": account.id,
        "reference": account.reference,
        "showtime_id": account.showtime_id or "",
        "seats": ",".join(account.seats),
        **(account.holder.model_dump(exclude_none=True) if account.holder else {}),
        "payment_deadline_at": account.payment_deadline_at.isoformat() if account.payment_deadline_at else "",
    }


async def retrieve_intent(intent_id: str) -> Offer:
    """The intent as it is now."""
    return _offer(await _ask("retrieve_intent", "get", f"payment_intents/{quote(intent_id, safe='')}"))


async def cancel_intent(intent_id: str) -> IntentSeen:
    """Cancel the intent if that is still possible, and tell how it stands then."""
    try:
        return read_intent(await _ask("cancel_intent", "post", f"payment_intents/{quote(intent_id, safe='')}/cancel"))
    except ProviderRefused:
        return (await retrieve_intent(intent_id)).intent


async def create_refund(account: Account, refund_id: str, refund: Refund) -> RefundSeen | None:
    """Send money back. The same key again repeats the answer, not the refund."""
    made = await _ask(
        "create_refund",
        "post",
        "refunds",
        payment_intent=account.intent_id or "",
        amount=refund.amount,
        metadata={"booking_id": account.id, "refund_id": refund_id},
        idempotency_key=refund_key(refund_id, refund),
    )
    return read_refund(made)


async def list_refunds(intent_id: str) -> list[RefundSeen]:
    """All refunds of an intent, ours and those made by hand."""
    found: list[dict[str, Any]] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = await _ask("list_refunds", "get", "refunds", payment_intent=intent_id, limit=100, **after)
        found += page["data"]
        if not page["has_more"]:
            return [seen for each in found if (seen := read_refund(each))]


def verified(body: bytes, header: str | None) -> dict[str, Any]:
    """A webhook's event, once one of our secrets has signed it within the last five minutes.

    Raises BadSignature and BadPayload.
    """
    # The SDK compares the signature as text, which Python refuses beyond ASCII.
    if header is None or not header.isascii() or not any(_signed(body, header, secret) for secret in _secrets()):
        raise BadSignature
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload from error
    if not isinstance(event, dict):
        raise BadPayload
    return event


def _secrets() -> list[str]:
    return settings.get().webhook_secrets


def _signed(body: bytes, header: str, secret: str) -> bool:
    try:
        return stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_S)
    except UnicodeDecodeError as error:
        raise BadPayload from error
    except stripe.SignatureVerificationError:
        return False


def _offer(intent: dict[str, Any]) -> Offer:
    return Offer(read_intent(intent), intent.get("client_secret") or "")
