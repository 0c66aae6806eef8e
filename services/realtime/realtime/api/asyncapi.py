"""AsyncAPI 3 of `/ws`, rendered from the messages: `python -m realtime.api.asyncapi FILE`."""

import sys
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter

from realtime.model.protocol import ClientMessage, ServerMessage


def document() -> dict[str, Any]:
    """Return the AsyncAPI document as plain data."""
    groups = {"fromClient": get_args(ClientMessage), "fromServer": get_args(ServerMessage)}
    messages = {model.__name__: _message(model) for models in groups.values() for model in models}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Usher live",
            "version": "1.0.0",
            "description": "Live seats, and one's own bookings as they change. Messages reach a client in order.",
        },
        "defaultContentType": "application/json",
        "servers": {"gateway": {"host": "127.0.0.1:8080", "protocol": "ws"}},
        "channels": {
            "live": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            group: {
                "action": "receive" if group == "fromClient" else "send",
                "channel": {"$ref": "#/channels/live"},
                "messages": [{"$ref": f"#/channels/live/messages/{model.__name__}"} for model in models],
            }
            for group, models in groups.items()
        },
        "components": {"messages": messages},
    }


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": get_args(model.model_fields["type"].annotation)[0],
        "summary": " ".join((model.__doc__ or "").split()),
        "payload": TypeAdapter(model).json_schema(),
    }


def render() -> str:
    """Return the document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
