"""Stripe's API, through its SDK. `STRIPE_API_BASE` selects Stripe itself or the sandbox.

A call that fails at Stripe is repeated under the same idempotency key, so it takes effect once. Stripe stores the
answer of a request that began to execute, also a 500, and replays it for that key. Then only another key helps, and
the caller decides (https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level).
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import stripe
import structlog
from chassis.clock import now
from chassis.observability import telemetry
from prometheus_client import Counter, Histogram

from payment.model import (
    Account,
    BadPayload,
    BadSignature,
    DisputeUpdate,
    IntentUpdate,
    ProviderFailed,
    ProviderRefused,
    ProviderUnavailable,
    Refund,
    RefundUpdate,
    WebhookEvent,
    intent_key,
    parse_dispute,
    parse_intent,
    parse_refund,
    parse_webhook,
    refund_key,
    shares_text,
    to_stripe,
)
from payment.settings import Settings

log = structlog.get_logger()
TOLERANCE_S = 300
TIME_BUDGET_S = 7.0
"""The longest time that a request waits for Stripe: all calls and retries together."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0
RETRY_AFTER_S = 5
_seconds = Histogram("usher_payment_stripe_seconds", "Time of a call to Stripe, retries included", ["call"])
_errors = Counter("usher_payment_stripe_errors_total", "Calls to Stripe that failed", ["call", "error"])


@dataclass(frozen=True)
class IntentHandle:
    """An intent and its client secret, with which only the customer's browser confirms it."""

    intent: IntentUpdate
    client_secret: str


class _TimeBudget:
    """TIME_BUDGET_S from now on, with growing pauses between retries."""

    def __init__(self) -> None:
        self._ends = asyncio.get_running_loop().time() + TIME_BUDGET_S
        self._pause = FIRST_PAUSE_S

    def limit(self) -> asyncio.Timeout:
        return asyncio.timeout_at(self._ends)

    async def pause(self) -> bool:
        """Wait before the next try. Return False immediately when no time is left for one."""
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers, guards nothing
        if asyncio.get_running_loop().time() + pause >= self._ends:
            return False
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        await asyncio.sleep(pause)
        return True


_budget: ContextVar[_TimeBudget | None] = ContextVar("stripe_time_budget", default=None)


@contextmanager
def time_budget() -> Iterator[None]:
    """Limit all calls to Stripe within the block, with the pauses between them, to TIME_BUDGET_S."""
    before = _budget.set(_TimeBudget())
    try:
        yield
    finally:
        _budget.reset(before)


async def wait_before_retry() -> None:
    """Wait before a retry with another idempotency key. Raises ProviderUnavailable when the time budget is spent."""
    if not await (_budget.get() or _TimeBudget()).pause():
        raise ProviderUnavailable(retry_after=RETRY_AFTER_S)


class Stripe:
    """Stripe's API, within `opened`."""

    _client: stripe.StripeClient
    _webhook_secrets: Sequence[str]

    @asynccontextmanager
    async def opened(self, config: Settings) -> AsyncIterator[None]:
        """Use the settings' keys; close the connections at the end. Raises ValueError when a key is missing."""
        if not config.stripe_secret_key or not config.webhook_secrets:
            raise ValueError("STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET must be set")
        # The SDK's debug lines contain whole answers, with client secrets.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        stripe.enable_telemetry = False
        self._webhook_secrets = config.webhook_secrets
        http = stripe.AIOHTTPClient(timeout=config.stripe_timeout_seconds)
        self._client = stripe.StripeClient(
            config.stripe_secret_key,
            http_client=http,
            base_addresses={"api": config.stripe_api_base} if config.stripe_api_base else None,
            max_network_retries=0,  # the SDK knows neither the time budget nor what a stored 500 means
        )
        try:
            yield
        finally:
            await http.close_async()

    async def create_intent(self, account: Account) -> IntentHandle:
        """Create an intent for what the card pays of this price. The same idempotency key returns the same intent.

        Payment methods that redirect are excluded: the seats are held only for minutes.
        """
        intent = await self._call(
            "create_intent",
            "post",
            "payment_intents",
            amount=to_stripe(account.due, account.currency),
            currency=account.currency.lower(),
            automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
            description="Gift card" if account.purchase else f"Booking {account.reference}",
            metadata=_metadata(account),
            idempotency_key=intent_key(account),
        )
        return _intent_handle(intent)

    async def retrieve_intent(self, intent_id: str) -> IntentHandle:
        """Fetch an intent in its current state."""
        return _intent_handle(
            await self._call("retrieve_intent", "get", f"payment_intents/{quote(intent_id, safe='')}")
        )

    async def cancel_intent(self, intent_id: str) -> IntentUpdate:
        """Cancel an intent if that is still possible; return its state after that."""
        try:
            return parse_intent(
                await self._call("cancel_intent", "post", f"payment_intents/{quote(intent_id, safe='')}/cancel")
            )
        except ProviderRefused:
            return (await self.retrieve_intent(intent_id)).intent

    async def create_refund(self, account: Account, refund_id: str, refund: Refund) -> RefundUpdate | None:
        """Create a refund. The same idempotency key replays the answer and refunds nothing again."""
        created = await self._call(
            "create_refund",
            "post",
            "refunds",
            payment_intent=account.intent_id or "",
            amount=to_stripe(refund.amount, account.currency),
            metadata={"booking_id": account.id, "refund_id": refund_id},
            idempotency_key=refund_key(refund_id, refund),
        )
        return parse_refund(created)

    async def list_refunds(self, intent_id: str) -> list[RefundUpdate]:
        """Fetch all refunds of an intent, including those created in Stripe's Dashboard."""
        return [refund for each in await self._list("refunds", intent_id) if (refund := parse_refund(each))]

    async def list_disputes(self, intent_id: str) -> list[DisputeUpdate]:
        """Fetch all disputes of an intent."""
        return [dispute for each in await self._list("disputes", intent_id) if (dispute := parse_dispute(each))]

    async def _list(self, what: str, intent_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = await self._call(f"list_{what}", "get", what, payment_intent=intent_id, limit=100, **after)
            found += page["data"]
            if not page["has_more"]:
                return found

    def read_webhook(self, body: bytes, header: str | None) -> WebhookEvent:
        """Return a webhook's event after verifying its signature, which may be at most five minutes old.

        Raises BadSignature and BadPayload.
        """
        # The SDK compares the signature as text, and Python's comparison rejects non-ASCII text.
        if header is None or not header.isascii():
            raise BadSignature
        if not any(_is_signed(body, header, secret) for secret in self._webhook_secrets):
            raise BadSignature
        try:
            raw = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadPayload from error
        if not isinstance(raw, dict):
            raise BadPayload
        return parse_webhook(cast(dict[str, Any], raw), now())

    async def _call(self, call: str, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Call Stripe and return the JSON of its answer. The SDK's objects would nearly double the cost of a call.

        Retries while Stripe fails and time is left. Raises ProviderUnavailable and ProviderRefused, and immediately
        ProviderFailed for a failure that Stripe stores under the idempotency key.
        """
        budget = _budget.get() or _TimeBudget()
        with telemetry.span(f"stripe {call}", telemetry.CLIENT), _seconds.labels(call).time():
            while True:
                try:
                    async with budget.limit():
                        answer = await self._client.raw_request_async(method, f"/v1/{path}", **fields)
                    return cast(dict[str, Any], answer.data)
                except (stripe.StripeError, TimeoutError) as error:
                    problem = _to_problem(call, error)
                    is_stored = isinstance(problem, ProviderFailed) and "idempotency_key" in fields
                    if isinstance(problem, ProviderUnavailable) and not is_stored and await budget.pause():
                        continue
                    _errors.labels(call, type(error).__name__).inc()
                    raise problem from error


def _to_problem(call: str, error: stripe.StripeError | TimeoutError) -> ProviderUnavailable | ProviderRefused:
    if isinstance(error, TimeoutError):
        return ProviderUnavailable(retry_after=RETRY_AFTER_S)
    status = error.http_status or 0
    headers = {name.lower(): value for name, value in dict(error.headers or {}).items()}
    is_stored = headers.get("idempotent-replayed") == "true" or headers.get("stripe-should-retry") == "false"
    if status >= 500 and is_stored:
        return ProviderFailed(retry_after=RETRY_AFTER_S)
    if status < 400 or status in {409, 429} or status >= 500:
        return ProviderUnavailable(retry_after=RETRY_AFTER_S)
    log.error("stripe_refused", call=call, status=status, code=error.code, request_id=error.request_id)
    return ProviderRefused()


def _metadata(account: Account) -> dict[str, Any]:
    """The fields that restore a lost account (`updates.OrderMetadata`). No e-mail address: Stripe would store it."""
    if account.purchase:
        return {"booking_id": account.id}
    shares = {"shares": shares_text(account.shares), "plan": account.plan} if account.shares else {}
    return {
        **shares,
        "booking_id": account.id,
        "reference": account.reference,
        "showtime_id": account.showtime_id or "",
        "seats": ",".join(account.seats),
        **(account.holder.model_dump(exclude_none=True) if account.holder else {}),
        "payment_deadline_at": account.payment_deadline_at.isoformat() if account.payment_deadline_at else "",
    }


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    try:
        return stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_S)
    except UnicodeDecodeError as error:
        raise BadPayload from error
    except stripe.SignatureVerificationError:
        return False


def _intent_handle(intent: dict[str, Any]) -> IntentHandle:
    return IntentHandle(parse_intent(intent), intent.get("client_secret") or "")
