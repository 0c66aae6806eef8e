"""The registry of event types and their models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.envelope import Event

SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")

_events: dict[str, type[Event]] = {}


def register(event_type: str, model: type[Event]) -> None:
    """Register a model for an event type. Raises ValueError when the type already has another model."""
    if _events.setdefault(event_type, model) is not model:
        raise ValueError(f"{event_type} is registered twice")


def events() -> dict[str, type[Event]]:
    """Return the models of all events by event type, sorted."""
    for service in SERVICES:
        import_module(f"contracts.{service}")
    return {name: _events[name] for name in sorted(_events) if name.partition(".")[0] in SERVICES}


def model_of(event_type: str) -> type[Event] | None:
    """Return the model of an event type; None if this release does not know the type."""
    if event_type not in _events:
        events()
    return _events.get(event_type)
