"""Records one query of each kind that the service makes during its tests, and explains it with MongoDB."""

import sys
from collections.abc import Iterator
from typing import Any

from pymongo import monitoring

Json = dict[str, Any]
PARTS = {"update": "updates", "delete": "deletes"}
DECIDING = ("filter", "query", "q", "pipeline", "sort", "hint")
KEPT = ("find", "aggregate", "distinct", "count", "update", "delete", "findAndModify")
FIELDS = (
    *("filter", "query", "pipeline", "sort", "hint", "limit", "key", "q", "u", "upsert", "collation", "projection"),
    *("cursor", "multi", "let", "update", "new", "fields", "remove"),
)


class Recorder(monitoring.CommandListener):
    """`asked` are commands by their kind: the collection, and the shape of filter and sort."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[str, Json]] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Record the command."""
        if event.command_name not in KEPT or not event.database_name.startswith("usher_"):
            return
        collection = event.command[event.command_name]
        if not isinstance(collection, str) or (caller := _caller()) is None:
            return
        for part in _parts(event.command_name, event.command):
            deciding = {
                name: part[name] for name in ("filter", "query", "q", "pipeline", "sort", "hint") if name in part
            }
            kind = f"{event.command_name} {collection} {_shape(deciding)} limit={'limit' in part}"
            self.asked.setdefault(kind, (caller, {event.command_name: collection, **_command(event, part)}))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Do nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing."""


def _caller() -> str | None:
    """Return the service's function that makes the query; None for a test, a migration or an unknown caller.

    Migrations may read everything once.
    """
    frame, caller = sys._getframe(2), None
    while frame := frame.f_back:
        path = frame.f_code.co_filename
        if "/catalog/tests/" in path or path.endswith("/migrations.py"):
            return None
        if "/catalog/catalog/" in path:
            return f"{path.rpartition('/catalog/')[2]}:{frame.f_code.co_name}"
        if "/chassis/chassis/" in path and "/testing/" not in path:
            caller = f"{path.rpartition('/')[2]}:{frame.f_code.co_name}"
    return caller


def _parts(name: str, command: Any) -> Iterator[Json]:
    yield from command[PARTS[name]] if name in PARTS else [command]


def _command(event: monitoring.CommandStartedEvent, part: Json) -> Json:
    if event.command_name in PARTS:
        return {PARTS[event.command_name]: [dict(part)]}
    return {name: part[name] for name in FIELDS if name in part and name != event.command_name}


def _shape(value: Any) -> Any:
    """Return the names and operators of a value; a list of plain values matches one of any length."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        shapes = [_shape(each) for each in value]
        return shapes if any(isinstance(each, dict | list) for each in shapes) else "list"
    return type(value).__name__ if value is not None else None


def stages(plan: Any) -> Iterator[Json]:
    """Yield all stages of an explained plan."""
    if isinstance(plan, dict):
        if "stage" in plan or "$sort" in plan:
            yield plan
        for name, inner in plan.items():
            if name not in {"rejectedPlans", "command", "allPlansExecution", "parsedQuery"}:
                yield from stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from stages(inner)
