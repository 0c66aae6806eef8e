"""The sandbox's state, in memory: objects by id, oldest first, and their events."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import forms
from .cards import Card
from .errors import InvalidRequest, bad_parameter, missing_object
from .faults import Faults
from .forms import Params
from .idempotency import IdempotencyKeys
from .objects import Object, webhook_endpoint
from .settings import Settings
from .webhooks import Event, WebhookSender, create_event

LONGEST_PAGE = 100
DEEPEST_EXPANSION = 4
END_OF_TIME = 1 << 62
PAGE_PARAMS = ("created", "limit", "starting_after", "ending_before", "expand")


@dataclass(slots=True)
class Call:
    """One authenticated API call. `by_browser`: it was made with the publishable key."""

    params: Params
    path: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    by_browser: bool = False
    request_id: str | None = None
    idempotency_key: str | None = None


class Sandbox:
    """The state of one sandbox. Every method is synchronous, so each API call is atomic."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.webhook_sender = WebhookSender(settings, self.faults)
        self.reset()

    def reset(self) -> None:
        """Delete everything except the webhook endpoint from the environment."""
        self.webhook_sender.clear()
        self.faults.remove(lambda number, fault: True)
        self.idempotency_keys = IdempotencyKeys(self.settings.kept)
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.payment_methods: dict[str, Object] = {}
        self.disputes: dict[str, Object] = {}
        self.events: dict[str, Event] = {}
        self.cards: dict[str, Card] = {}
        self.webhook_sender.endpoints.clear()
        if url := self.settings.webhook_url:
            self.add_endpoint(url, list(self.settings.webhook_events), self.settings.webhook_secret)

    def add_endpoint(
        self, url: str, events: list[str], secret: str, description: str | None = None, metadata: dict | None = None
    ) -> Object:
        endpoint = webhook_endpoint(url, events, description, metadata or {})
        self.webhook_sender.endpoints[endpoint["id"]] = endpoint
        self.webhook_sender.secrets[endpoint["id"]] = secret
        return endpoint

    def emit(self, kind: str, subject: Object, call: Call | None = None, previous: Object | None = None) -> None:
        """Store an event about an object in its current state, and send it to the subscribed endpoints."""
        intent = subject if subject["object"] == "payment_intent" else self.intents.get(subject["payment_intent"])
        request = {"id": call and call.request_id, "idempotency_key": call and call.idempotency_key}
        subscribers = self.webhook_sender.subscribers(kind)
        event = create_event(kind, subject, intent=intent, request=request, previous=previous, pending=len(subscribers))
        self.events[event.id] = event
        if len(self.events) > self.settings.kept:
            del self.events[next(iter(self.events))]
        self.webhook_sender.send(event, subscribers)

    def schedule(self, seconds: float, act: Callable[[], object]) -> None:
        """Call `act` after `seconds`, unless the sandbox is reset first."""
        intents = self.intents
        asyncio.get_running_loop().call_later(seconds, lambda: act() if self.intents is intents else None)

    def expanded(self, shown: Object, params: Params) -> Object:
        """Return a copy of `shown` in which the ids that `expand[]` names are replaced by their objects."""
        for path in forms.strings(params, "expand"):
            steps = path.split(".")
            if len(steps) > DEEPEST_EXPANSION:
                raise InvalidRequest("You cannot expand more than 4 levels of a property.", "expand")
            shown = self._expand(shown, steps, path)
        return shown

    def _expand(self, shown: Object, steps: list[str], path: str) -> Object:
        first, *rest = steps
        if first == "data" and shown["object"] == "list":
            return shown | {"data": [self._expand(item, rest, path) if rest else item for item in shown["data"]]}
        if first not in _EXPANDABLE.get(shown["object"], ()):
            raise InvalidRequest(f"This property cannot be expanded ({path}).", "expand")
        found = self._related(shown, first)
        if found is None:
            return shown
        return shown | {first: self._expand(found, rest, path) if rest else found}

    def _related(self, shown: Object, name: str) -> Object | None:
        if name == "refunds":
            url = f"/v1/charges/{shown['id']}/refunds"
            refunds = [refund for refund in reversed(self.refunds.values()) if refund["charge"] == shown["id"]]
            return {"object": "list", "data": refunds, "has_more": False, "url": url}
        value = shown[name]
        collection: dict[str, Object] = getattr(self, _COLLECTIONS[name])
        return collection.get(value) if isinstance(value, str) else value


_COLLECTIONS = {
    "latest_charge": "charges",
    "charge": "charges",
    "payment_intent": "intents",
    "payment_method": "payment_methods",
}
_EXPANDABLE = {
    "payment_intent": ("latest_charge", "payment_method"),
    "charge": ("payment_intent", "refunds"),
    "refund": ("charge", "payment_intent", "payment_method"),
    "dispute": ("charge", "payment_intent"),
}


def find(collection: dict[str, Object], kind: str, identifier: str, param: str) -> Object:
    """Return the object with this id. Raises InvalidRequest `resource_missing` (404)."""
    found = collection.get(identifier)
    if found is None:
        raise missing_object(kind, identifier, param)
    return found


def page(
    collection: dict[str, Any],
    kind: str,
    url: str,
    params: Params,
    *,
    keep: Callable[[Any], bool] = lambda item: True,
    show: Callable[[Any], Object] = lambda item: item,
) -> Object:
    """Return one page of a list, newest first, by Stripe's cursors: `limit`, `starting_after`, `ending_before`."""
    limit = forms.integer(params, "limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= LONGEST_PAGE:
        raise bad_parameter(f"This value must be between 1 and {LONGEST_PAGE}.", "limit", "parameter_invalid_integer")
    after, before = forms.string(params, "starting_after"), forms.string(params, "ending_before")
    if after and before:
        raise InvalidRequest("You can only specify one of starting_after, ending_before.", code="parameters_exclusive")
    cursor_name = "starting_after" if after else "ending_before"
    cursor = after or before
    if cursor and cursor not in collection:
        raise missing_object(kind, cursor, cursor_name)
    items = iter(collection.items()) if before else reversed(collection.items())
    found: list[Object] = []
    for item in _after_cursor(items, cursor):
        if keep(item):
            found.append(item)
        if len(found) > limit:
            break
    shown = [show(item) for item in found[:limit]]
    return {"object": "list", "data": shown[::-1] if before else shown, "has_more": len(found) > limit, "url": url}


def _after_cursor(items: Iterator[tuple[str, Any]], cursor: str | None) -> Iterator[Any]:
    for identifier, _ in items if cursor else ():
        if identifier == cursor:
            break
    for _, item in items:
        yield item


def created_within(params: Params) -> range:
    """Return the range of Unix time that `created=…` or `created[gte]=…` selects."""
    given = params.get("created", {})
    bounds = {"gte": given, "lte": given} if isinstance(given, str) else given
    low = max(forms.integer(bounds, "gte") or 0, (forms.integer(bounds, "gt") or -1) + 1)
    top, below = forms.integer(bounds, "lte"), forms.integer(bounds, "lt")
    return range(low, min(END_OF_TIME if top is None else top + 1, END_OF_TIME if below is None else below))


def matching(params: Params, *names: str) -> Callable[[Object], bool]:
    """Return the filter of a list: `created`, and equality for each parameter of `names`."""
    when = created_within(params)
    wanted = [(name, value) for name in names if (value := forms.string(params, name))]
    return lambda item: item["created"] in when and all(item[name] == value for name, value in wanted)
