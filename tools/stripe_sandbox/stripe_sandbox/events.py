"""Events and webhook endpoints: the calls of the API."""

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


def retrieve(box: Sandbox, call: Call) -> Object:
    """GET /v1/events/{id}"""
    return _shown(box, event_called(box, call.path["id"]))


def list_all(box: Sandbox, call: Call) -> Object:
    """GET /v1/events, newest first; `type` (`charge.*` too) or `types[]` narrow it."""
    forms.only_known(call.params, ("type", "types", "delivery_success", *PAGE_PARAMS))
    return page(
        box.events, "event", "/v1/events", call.params, keep=_wanted(box, call.params), show=lambda e: _shown(box, e)
    )


def event_called(box: Sandbox, identifier: str) -> Event:
    event = box.events.get(identifier)
    if event is None:
        raise missing_object("event", identifier, "id")
    return event


def _wanted(box: Sandbox, params: Params) -> Callable[[Event], bool]:
    when = created_within(params)
    types = [*forms.strings(params, "types"), *filter(None, [forms.string(params, "type")])]
    delivered = forms.boolean(params, "delivery_success") if "delivery_success" in params else None

    def wanted(event: Event) -> bool:
        return (
            event.created in when
            and (not types or any(fnmatchcase(event.type, pattern) for pattern in types))
            and delivered in (None, _pending(box, event) == 0)
        )

    return wanted


def _shown(box: Sandbox, event: Event) -> Object:
    return json.loads(event.body) | {"pending_webhooks": _pending(box, event)}


def _pending(box: Sandbox, event: Event) -> int:
    deliveries = map(box.courier.deliveries.get, event.delivery_ids)
    return sum(delivery is not None and delivery.state != "delivered" for delivery in deliveries)


def create_endpoint(box: Sandbox, call: Call) -> Object:
    """POST /v1/webhook_endpoints; the answer is the only one that carries the secret."""
    params = call.params
    forms.only_known(params, (*ENDPOINT_PARAMS, "api_version"))
    url, types = _url(params), forms.strings(params, "enabled_events")
    if not types:
        raise missing_parameter("enabled_events")
    secret = new_id("whsec")
    metadata = forms.metadata(params, {})
    endpoint = box.add_endpoint(url, types, secret, forms.string(params, "description"), metadata)
    return endpoint | {"secret": secret}


def retrieve_endpoint(box: Sandbox, call: Call) -> Object:
    """GET /v1/webhook_endpoints/{id}"""
    return find(box.courier.endpoints, "webhook endpoint", call.path["id"], "webhook_endpoint")


def update_endpoint(box: Sandbox, call: Call) -> Object:
    """POST /v1/webhook_endpoints/{id}"""
    params = call.params
    forms.only_known(params, (*ENDPOINT_PARAMS, "disabled"))
    endpoint = retrieve_endpoint(box, call)
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


def delete_endpoint(box: Sandbox, call: Call) -> Object:
    """DELETE /v1/webhook_endpoints/{id}; what is on its way there is cancelled."""
    endpoint = retrieve_endpoint(box, call)
    del box.courier.endpoints[endpoint["id"]]
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def list_endpoints(box: Sandbox, call: Call) -> Object:
    """GET /v1/webhook_endpoints"""
    forms.only_known(call.params, PAGE_PARAMS[1:])
    return page(box.courier.endpoints, "webhook endpoint", "/v1/webhook_endpoints", call.params)


def _url(params: Params) -> str:
    url = forms.required_string(params, "url")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise bad_parameter(f"Invalid URL: {error}", "url", "url_invalid") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise bad_parameter("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    return url
