"""The API calls of events and webhook endpoints."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase

import httpx

from . import forms
from .errors import bad_parameter, missing_object, missing_parameter
from .forms import Params
from .objects import Object, new_id
from .state import PAGE_PARAMS, Call, Sandbox, created_within, find, page
from .webhooks import Event

ENDPOINT_PARAMS = ("url", "enabled_events", "description", "metadata", "expand")


def retrieve(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/events/{id}"""
    return _to_json(sandbox, find_event(sandbox, call.path["id"]))


def list_all(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/events, newest first, filtered by `type` (wildcards like `charge.*` are allowed) or `types[]`."""
    forms.check_known(call.params, ("type", "types", "delivery_success", *PAGE_PARAMS))
    return page(
        sandbox.events,
        "event",
        "/v1/events",
        call.params,
        keep=_filter(sandbox, call.params),
        show=lambda event: _to_json(sandbox, event),
    )


def find_event(sandbox: Sandbox, identifier: str) -> Event:
    event = sandbox.events.get(identifier)
    if event is None:
        raise missing_object("event", identifier, "id")
    return event


def _filter(sandbox: Sandbox, params: Params) -> Callable[[Event], bool]:
    when = created_within(params)
    types = [*forms.strings(params, "types"), *filter(None, [forms.string(params, "type")])]
    delivered = forms.boolean(params, "delivery_success") if "delivery_success" in params else None

    def wanted(event: Event) -> bool:
        return (
            event.created in when
            and (not types or any(fnmatchcase(event.type, pattern) for pattern in types))
            and delivered in (None, _pending(sandbox, event) == 0)
        )

    return wanted


def _to_json(sandbox: Sandbox, event: Event) -> Object:
    return json.loads(event.body) | {"pending_webhooks": _pending(sandbox, event)}


def _pending(sandbox: Sandbox, event: Event) -> int:
    deliveries = map(sandbox.webhook_sender.deliveries.get, event.delivery_ids)
    return sum(delivery is not None and delivery.state != "delivered" for delivery in deliveries)


def create_endpoint(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/webhook_endpoints. Only this response contains the secret."""
    params = call.params
    forms.check_known(params, (*ENDPOINT_PARAMS, "api_version"))
    url, types = _url(params), forms.strings(params, "enabled_events")
    if not types:
        raise missing_parameter("enabled_events")
    secret = new_id("whsec")
    metadata = forms.metadata(params, {})
    endpoint = sandbox.add_endpoint(url, types, secret, forms.string(params, "description"), metadata)
    return endpoint | {"secret": secret}


def retrieve_endpoint(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/webhook_endpoints/{id}"""
    return find(sandbox.webhook_sender.endpoints, "webhook endpoint", call.path["id"], "webhook_endpoint")


def update_endpoint(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/webhook_endpoints/{id}"""
    params = call.params
    forms.check_known(params, (*ENDPOINT_PARAMS, "disabled"))
    endpoint = retrieve_endpoint(sandbox, call)
    if "url" in params:
        endpoint["url"] = _url(params)
    if types := forms.strings(params, "enabled_events"):
        endpoint["enabled_events"] = types
    if "disabled" in params:
        endpoint["status"] = "disabled" if forms.boolean(params, "disabled") else "enabled"
    if "description" in params:
        endpoint["description"] = forms.string(params, "description")
    endpoint["metadata"] = forms.metadata(params, endpoint["metadata"])
    return endpoint


def delete_endpoint(sandbox: Sandbox, call: Call) -> Object:
    """DELETE /v1/webhook_endpoints/{id}. Pending deliveries to it are cancelled."""
    endpoint = retrieve_endpoint(sandbox, call)
    del sandbox.webhook_sender.endpoints[endpoint["id"]]
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def list_endpoints(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/webhook_endpoints"""
    forms.check_known(call.params, PAGE_PARAMS[1:])
    return page(sandbox.webhook_sender.endpoints, "webhook endpoint", "/v1/webhook_endpoints", call.params)


def _url(params: Params) -> str:
    url = forms.required_string(params, "url")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise bad_parameter(f"Invalid URL: {error}", "url", "url_invalid") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise bad_parameter("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    return url
