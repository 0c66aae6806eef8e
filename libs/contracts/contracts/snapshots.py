"""Snapshots of the released event schemas, one JSON file per event type, and the check of changes to them.

`python -m contracts.snapshots` records new types and compatible changes, and refuses others. Optional additions stay
v1; any other change needs a v2 that is published in addition to v1.
"""

import json
import sys
from pathlib import Path
from typing import Any

from contracts import registry
from contracts.envelope import Event

FOLDER = Path(__file__).parent / "schemas"
Schema = dict[str, Any]
_ANNOTATIONS = frozenset({"title", "description", "examples"})


def schema_of(event: type[Event]) -> Schema:
    """Return the event's JSON Schema with all references inlined."""
    schema = event.model_json_schema(mode="validation")
    return _inlined(schema, schema.get("$defs", {}))


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items() if key != "$defs"}


def recorded() -> dict[str, Schema]:
    """Return all snapshots by event type."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def incompatibilities(old: Schema, new: Schema, place: str = "") -> list[str]:
    """Return the changes in `new` that would break a publisher or consumer of `old`, one sentence each."""
    if "properties" not in old:
        if "items" in old and "items" in new:
            rest = _changed(_without(old, "items"), _without(new, "items"), place)
            return rest + incompatibilities(old["items"], new["items"], f"{place}[]")
        if "anyOf" in old and len(old["anyOf"]) == len(new.get("anyOf", ())):
            rest = _changed(_without(old, "anyOf"), _without(new, "anyOf"), place)
            choices = zip(old["anyOf"], new["anyOf"], strict=True)
            return rest + [fault for choice in choices for fault in incompatibilities(*choice, place)]
        return _changed(old, new, place)
    before, after = old["properties"], new.get("properties", {})
    faults = [f"{place}.{name} is gone" for name in before.keys() - after.keys()]
    faults += [
        f"{place}.{name} is required now"
        for name in after
        if name in new.get("required", []) and name not in old.get("required", [])
    ]
    faults += [
        f"{place}.{name} may be missing now"
        for name in before.keys() & after.keys()
        if name in old.get("required", []) and name not in new.get("required", [])
    ]
    for name in before.keys() & after.keys():
        faults += incompatibilities(before[name], after[name], f"{place}.{name}")
    return sorted(faults)


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _changed(old: Any, new: Any, place: str) -> list[str]:
    before, after = _constraints(old), _constraints(new)
    return [] if before == after else [f"{place or 'the event'} was {json.dumps(before)} and is {json.dumps(after)}"]


def _constraints(node: Any) -> Any:
    if isinstance(node, list):
        return [_constraints(each) for each in node]
    if isinstance(node, dict):
        return {
            key: _constraints(value)
            for key, value in node.items()
            if key not in _ANNOTATIONS or isinstance(value, dict)
        }
    return node


def faults() -> list[str]:
    """Return all incompatible changes since the snapshots, including removed types."""
    now = {name: schema_of(event) for name, event in registry.events().items()}
    found: list[str] = []
    for name, old in recorded().items():
        changes = incompatibilities(old, now[name]) if name in now else ["the type is gone"]
        found += [f"{name}: {change}" for change in changes]
    return found


def main() -> int:
    """Record the current schemas. If one is incompatible, print why to stderr and return exit status 1."""
    if found := faults():
        sys.stderr.write("Add a v2 of the event instead:\n" + "".join(f"  {fault}\n" for fault in found))
        return 1
    for name, event in registry.events().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(schema_of(event), indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
