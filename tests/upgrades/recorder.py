"""Records one message of each event type while the services' own tests run, as a pytest plugin:

    cd services/booking && PYTHONPATH=../../tests/upgrades python -m pytest -p recorder

A recorded type is not recorded again, so the messages of earlier releases are kept. To record a type again, delete its
file in `recorded/`.
"""

import json
from datetime import UTC
from pathlib import Path
from typing import Any

from aio_pika.abc import AbstractIncomingMessage, AbstractMessage
from chassis.messaging import wire
from chassis.messaging.consumer import events_of
from chassis.testing.bus import Bus
from contracts import registry
from pydantic import ValidationError

FOLDER = Path(__file__).parent / "recorded"
_listen = Bus.listen


def as_data(message: AbstractMessage) -> dict[str, Any]:
    """A message in the form of a recording."""
    return {
        "content_type": message.content_type,
        "type": message.type,
        "app_id": message.app_id,
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "timestamp": message.timestamp.astimezone(UTC).isoformat() if message.timestamp else None,
        "headers": {name: value for name, value in message.headers.items() if not name.startswith("x-")},
        "body": message.body.decode(),
    }


def record(message: AbstractMessage) -> None:
    """Write an event, alone and as a batch, unless its type is already recorded or a test has made it invalid."""
    model = registry.model_of(message.type or "")
    path = FOLDER / f"{message.type}.json"
    if model is None or message.type not in registry.events() or path.exists():
        return
    try:
        model.model_validate_json(message.body)
        batch = wire.to_batch([wire.to_envelope(message)])
    except (ValidationError, UnicodeDecodeError):
        return
    recording = {"binary": as_data(message), "batch": as_data(batch)}
    path.write_text(json.dumps(recording, indent=2, sort_keys=True) + "\n")


async def _listen_and_record(self: Bus, message: AbstractIncomingMessage) -> None:
    for event in events_of(message):
        record(event)
    await _listen(self, message)


def pytest_configure() -> None:
    """Record the events of every bus of the tests."""
    FOLDER.mkdir(exist_ok=True)
    Bus.listen = _listen_and_record
