"""Render all events as AsyncAPI 3 from the registry and the topology: `python -m contracts.asyncapi FILE`."""

import sys
from pathlib import Path
from typing import Any

import yaml

from contracts import registry, snapshots, topology
from contracts.envelope import Event

_HEADERS = {
    "type": "object",
    "required": ["cloudEvents_specversion", "cloudEvents_id", "cloudEvents_source", "cloudEvents_type"],
    "properties": {
        "cloudEvents_specversion": {"const": "1.0"},
        "cloudEvents_id": {"type": "string", "description": "unique; a message with a known id is a duplicate"},
        "cloudEvents_source": {"enum": list(registry.SERVICES)},
        "cloudEvents_type": {"type": "string", "description": "the routing key"},
        "cloudEvents_subject": {"type": "string", "description": "the aggregate's id"},
        "cloudEvents_time": {"type": "string", "format": "date-time"},
        "aggregate_version": {"type": "integer"},
        "traceparent": {"type": "string", "description": "W3C trace context"},
    },
}


def document() -> dict[str, Any]:
    """Return the AsyncAPI document as plain data."""
    events = registry.events()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Usher events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over AMQP 0-9-1. A single event is sent in binary mode; several events of "
            "one type are sent together in the JSON batch format. Delivered at least once, in any order.",
        },
        "defaultContentType": "application/json",
        "servers": {"rabbitmq": {"host": "127.0.0.1:5772", "protocol": "amqp"}},
        "channels": {name: _channel(name) for name in events},
        "operations": _operations(events),
        "components": {
            "messages": {name: _message(event) for name, event in events.items()},
            "messageTraits": {"cloudevent": {"headers": _HEADERS}},
        },
    }


def _channel(name: str) -> dict[str, Any]:
    exchange = {"name": topology.EXCHANGE, "type": "topic", "durable": True}
    return {
        "address": name,
        "messages": {"event": {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "traits": [{"$ref": "#/components/messageTraits/cloudevent"}],
        "payload": snapshots.schema_of(event),
    }


def _operations(events: dict[str, type[Event]]) -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for name, event in events.items():
        operations[f"{event.source()} publishes {name}"] = _operation("send", name)
    for service, consumed in topology.CONSUMES.items():
        for event in consumed:
            operations[f"{service} consumes {event.type}"] = _operation("receive", event.type) | {
                "bindings": {"amqp": {"ack": True}},
                "summary": f"durable queue {topology.queue_name(service)}",
            }
    for service, watched in topology.BROADCAST.items():
        for event in watched:
            operations[f"every {service} replica consumes {event.type}"] = _operation("receive", event.type) | {
                "summary": "one temporary queue per replica"
            }
    return operations


def _operation(action: str, name: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}}


class _NoAliasDumper(yaml.SafeDumper):
    """Writes repeated shapes out in full, because many AsyncAPI tools do not resolve YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render() -> str:
    """Return the document as YAML."""
    return yaml.dump(document(), Dumper=_NoAliasDumper, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
