"""Every event type and the model that describes it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.envelope import Event

SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")

_events: dict[str, type[Event]] = {}


def register(event_type: str, model: type[Event]) -> None:
    """Enter a model under its wire type. Raises ValueError when two models claim one type."""
    if _events.setdefault(event_type, model) is not model:
        raise ValueError(f"{event_type} is registered twice")


def events() -> dict[str, type[Event]]:
    """All events of Usher's services by wire type, sorted."""
    for speaker in SERVICES:
        import_module(f"contracts.{speaker}")
    return {name: _events[name] for name in sorted(_events) if name.partition(".")[0] in SERVICES}


def model_of(event_type: str) -> type[Event] | None:
    """The model of a wire type; None for a type that this release does not know."""
    if event_type not in _events:
        events()
    return _events.get(event_type)
