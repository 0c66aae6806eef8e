"""Every call under /v1: authentication, parameters, faults, idempotency, the operation, the response."""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from . import disputes, events, forms, intents, payment_methods, refunds
from .errors import InvalidRequest, StripeError
from .faults import EXECUTED, Fault
from .objects import Object, new_id
from .settings import API_VERSION, Settings
from .state import Call, Sandbox

Operation = Callable[[Sandbox, Call], Object]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the API. `for_browsers`: the publishable key is sufficient."""

    method: str
    path: str
    operation: Operation
    for_browsers: bool = False


ROUTES = (
    Route("POST", "/v1/payment_intents", intents.create),
    Route("GET", "/v1/payment_intents", intents.list_all),
    Route("GET", "/v1/payment_intents/{id}", intents.retrieve, for_browsers=True),
    Route("POST", "/v1/payment_intents/{id}", intents.update),
    Route("POST", "/v1/payment_intents/{id}/confirm", intents.confirm, for_browsers=True),
    Route("POST", "/v1/payment_intents/{id}/cancel", intents.cancel),
    Route("POST", "/v1/payment_methods", payment_methods.create, for_browsers=True),
    Route("GET", "/v1/payment_methods/{id}", payment_methods.retrieve),
    Route("GET", "/v1/charges", refunds.list_charges),
    Route("GET", "/v1/charges/{id}", refunds.retrieve_charge),
    Route("POST", "/v1/refunds", refunds.create),
    Route("GET", "/v1/refunds", refunds.list_all),
    Route("GET", "/v1/refunds/{id}", refunds.retrieve),
    Route("GET", "/v1/disputes", disputes.list_all),
    Route("GET", "/v1/disputes/{id}", disputes.retrieve),
    Route("POST", "/v1/disputes/{id}/close", disputes.accept),
    Route("GET", "/v1/events", events.list_all),
    Route("GET", "/v1/events/{id}", events.retrieve),
    Route("POST", "/v1/webhook_endpoints", events.create_endpoint),
    Route("GET", "/v1/webhook_endpoints", events.list_endpoints),
    Route("GET", "/v1/webhook_endpoints/{id}", events.retrieve_endpoint),
    Route("POST", "/v1/webhook_endpoints/{id}", events.update_endpoint),
    Route("DELETE", "/v1/webhook_endpoints/{id}", events.delete_endpoint),
)


def stripe_api(sandbox: Sandbox) -> APIRouter:
    """Create all routes under /v1, as plain Starlette routes: the operations validate their own parameters."""
    router = APIRouter()
    for route in ROUTES:
        router.add_route(route.path, _endpoint(sandbox, route), methods=[route.method])
    router.add_route("/v1/{anything:path}", _not_found, methods=["GET", "POST", "DELETE"])
    return router


@dataclass(slots=True)
class Outcome:
    """A response: status, JSON, headers."""

    status: int
    body: bytes
    headers: dict[str, str]

    def response(self) -> Response:
        return Response(self.body, self.status, self.headers, media_type="application/json")


def _endpoint(sandbox: Sandbox, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        headers = _headers(request)
        try:
            params = await _parse_parameters(request)
            call = Call(
                params,
                request.path_params,
                base_url=str(request.base_url).rstrip("/"),
                by_browser=_caller_is_browser(request, params, sandbox.settings, route),
                request_id=headers["request-id"],
                idempotency_key=request.headers.get("idempotency-key") if route.method == "POST" else None,
            )
            outcome = await _handle(sandbox, route, call, request.url.path)
        except StripeError as error:
            outcome = Outcome(error.status, _json(error.body()), {})
        outcome.headers = headers | outcome.headers
        return outcome.response()

    return endpoint


async def _not_found(request: Request) -> Response:
    text = f"Unrecognized request URL ({request.method}: {request.url.path}), or one that the sandbox does not have."
    return Outcome(404, _json(InvalidRequest(text, status=404).body()), _headers(request)).response()


def _headers(request: Request) -> dict[str, str]:
    version = request.headers.get("stripe-version", API_VERSION)
    return {"request-id": new_id("req"), "stripe-version": version, "cache-control": "no-cache, no-store"}


async def _handle(sandbox: Sandbox, route: Route, call: Call, path: str) -> Outcome:
    fault = sandbox.faults.for_call(route.method, path, *_scope(sandbox, call), by_browser=call.by_browser)
    if call.idempotency_key:
        outcome = await _perform_once(sandbox, route, call, path, fault)
    else:
        outcome, _ = await _perform(sandbox, route, call, fault)
    if fault and fault.after and not fault.is_stored:
        await _apply_fault(fault)
    return outcome


async def _perform_once(sandbox: Sandbox, route: Route, call: Call, path: str, fault: Fault | None) -> Outcome:
    key, request_id = call.idempotency_key or "", call.request_id or ""
    earlier = sandbox.idempotency_keys.begin(key, path, call.params, request_id)
    known = {"idempotency-key": key}
    if earlier:
        replayed = {"original-request": earlier.request_id, "idempotent-replayed": "true"}
        return Outcome(earlier.status, earlier.body, known | replayed | _retry_advice(earlier.status))
    executed = False
    try:
        outcome, executed = await _perform(sandbox, route, call, fault)
    finally:
        if not executed:
            sandbox.idempotency_keys.abandon(key)
    if executed:
        sandbox.idempotency_keys.finish(key, outcome.status, outcome.body)
        outcome.headers = _retry_advice(outcome.status)
    outcome.headers |= known | {"original-request": request_id}
    return outcome


def _retry_advice(kept_status: int) -> dict[str, str]:
    """Return the header with which Stripe advises against a retry that would only replay the failure."""
    return {"stripe-should-retry": "false"} if kept_status >= EXECUTED else {}


async def _perform(sandbox: Sandbox, route: Route, call: Call, fault: Fault | None) -> tuple[Outcome, bool]:
    """Run the operation. Returns the outcome, and whether the response is stored under the idempotency key."""
    try:
        if fault and not fault.after:
            await _apply_fault(fault)
        shown = sandbox.expanded(route.operation(sandbox, call), call.params)
        if fault and fault.after and fault.is_stored:
            await _apply_fault(fault)
    except StripeError as error:
        return Outcome(error.status, _json(error.body()), {}), error.executed
    return Outcome(200, _json(shown), {}), True


async def _apply_fault(fault: Fault) -> None:
    if fault.kind == "api_delay":
        await asyncio.sleep(fault.seconds)
    else:
        text = "An unknown error occurred (requested by a fault of the sandbox)."
        raise StripeError(fault.status, text, kind="api_error", executed=fault.is_stored)


def _scope(sandbox: Sandbox, call: Call) -> tuple[str | None, dict[str, Any]]:
    """Return the id and metadata of the call's PaymentIntent; for a new one only its metadata."""
    intent_id = call.path.get("id") or forms.string(call.params, "payment_intent")
    if intent := sandbox.intents.get(intent_id or ""):
        return intent_id, intent["metadata"]
    given = call.params.get("metadata")
    return None, given if isinstance(given, dict) else {}


async def _parse_parameters(request: Request) -> forms.Params:
    params = forms.parse_form(request.url.query) if request.url.query else {}
    if request.method != "POST":
        return params
    body = await request.body()
    kind = request.headers.get("content-type", FORM)
    if body and not kind.startswith(FORM):
        text = f"Invalid request (check that your POST content type is {FORM})."
        raise InvalidRequest(text, executed=False)
    try:
        return params | forms.parse_form(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise InvalidRequest("Invalid form encoding: it must be ASCII.", executed=False) from error


def _caller_is_browser(request: Request, params: forms.Params, settings: Settings, route: Route) -> bool:
    """Check the API key: a header or, from Stripe.js, the parameter `key`. Raises InvalidRequest (401)."""
    key = _parse_key(request.headers.get("authorization", "")) or str(params.pop("key", ""))
    if not key:
        raise InvalidRequest(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if _matches_key(key, settings.secret_key, "sk_test_"):
        return False
    if not _matches_key(key, settings.publishable_key, "pk_test_"):
        shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
        raise InvalidRequest(f"Invalid API Key provided: {shown}", status=401)
    if not route.for_browsers:
        text = "This API call cannot be made with a publishable API key. Please use a secret API key."
        raise InvalidRequest(text, status=401, code="secret_key_required")
    return True


def _matches_key(key: str, expected: str | None, prefix: str) -> bool:
    return key == expected if expected else key.startswith(prefix)


def _parse_key(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _json(body: Object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
