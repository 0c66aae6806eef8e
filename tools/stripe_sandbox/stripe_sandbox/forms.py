"""Stripe's form encoding, e.g. `metadata[booking_id]=b1&expand[]=latest_charge`, and readers of typed values."""

from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from .errors import InvalidRequest, bad_parameter, missing_parameter

Params = dict[str, Any]
"""Values are strings, lists of strings (`a[]=`) or nested Params (`a[b]=`)."""

MOST_METADATA_KEYS = 50
LONGEST_METADATA_KEY = 40
LONGEST_METADATA_VALUE = 500
LONGEST_INTEGER = 18


def parse_form(text: str) -> Params:
    """Parse a query string or form body into nested parameters. Raises InvalidRequest when it is malformed."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise InvalidRequest(f"Invalid form encoding: {error}", executed=False) from error
    params: Params = {}
    for name, value in pairs:
        _place(params, name, value)
    return params


def _place(params: Params, name: str, value: str) -> None:
    first, *rest = name.replace("]", "").split("[")
    path = [first, *rest]
    is_item = len(path) > 1 and path[-1] == ""
    *parents, last = path[:-1] if is_item else path
    where: Any = params
    for step in parents:
        where = where.setdefault(step, {})
        if not isinstance(where, dict):
            raise bad_parameter("Invalid hash", first)
    if not is_item:
        where[last] = value
        return
    items = where.setdefault(last, [])
    if not isinstance(items, list):
        raise bad_parameter("Invalid array", first)
    items.append(value)


def check_known(params: Params, known: Collection[str]) -> None:
    """Raise InvalidRequest for an unknown parameter, as Stripe does."""
    unknown = [name for name in params if name not in known]
    if unknown:
        text = f"Received unknown parameter{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}"
        raise bad_parameter(text, unknown[0], "parameter_unknown")


def string(params: Params, name: str, default: str | None = None) -> str | None:
    """Return a string. An empty one, which unsets a field, is returned as None."""
    value = params.get(name, default)
    if value is not None and not isinstance(value, str):
        raise bad_parameter(f"Invalid string: {value}", name, "parameter_invalid_string")
    return value or None


def required_string(params: Params, name: str) -> str:
    value = string(params, name)
    if value is None:
        raise missing_parameter(name)
    return value


def integer(params: Params, name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.removeprefix("-").isdecimal() or len(value) > LONGEST_INTEGER:
        raise bad_parameter(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def boolean(params: Params, name: str, default: bool = False) -> bool:
    value = params.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise bad_parameter(f"Invalid boolean: {value}", name)
    return value == "true"


def group(params: Params, name: str) -> Params:
    """Return the nested parameters `name[…]`, or {}."""
    value = params.get(name, {})
    if not isinstance(value, dict):
        raise bad_parameter("Invalid hash", name)
    return value


def strings(params: Params, name: str) -> list[str]:
    """Return the list `name[]=…` or `name[0]=…`, or []."""
    value = params.get(name, [])
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise bad_parameter("Invalid array", name)
    return items


def metadata(params: Params, current: dict[str, str]) -> dict[str, str]:
    """Merge `metadata[…]` into `current`; empty values delete keys. Raises InvalidRequest beyond Stripe's limits."""
    given = params.get("metadata")
    if given is None:
        return current
    if given == "":
        return {}
    if not isinstance(given, dict):
        raise bad_parameter("Invalid metadata: metadata must be a set of key-value pairs", "metadata")
    for key, value in given.items():
        if not isinstance(value, str) or len(value) > LONGEST_METADATA_VALUE:
            text = (
                f"Metadata values can have up to {LONGEST_METADATA_VALUE} characters, but you passed in another value."
            )
            raise bad_parameter(text, f"metadata[{key}]")
        if len(key) > LONGEST_METADATA_KEY:
            text = f"Metadata keys can have up to {LONGEST_METADATA_KEY} characters, but you passed in {key}."
            raise bad_parameter(text, "metadata")
    merged = {key: value for key, value in (current | given).items() if value != ""}
    if len(merged) > MOST_METADATA_KEYS:
        raise bad_parameter(f"You can only specify up to {MOST_METADATA_KEYS} metadata keys.", "metadata")
    return merged
