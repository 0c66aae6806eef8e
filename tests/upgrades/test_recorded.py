"""This version's consumers accept each message of released versions, alone and in a batch."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aio_pika import Message
from chassis.messaging.consumer import events_of, read
from contracts import registry

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


def message(data: dict[str, Any]) -> Message:
    timestamp = data["timestamp"] and datetime.fromisoformat(data["timestamp"])
    return Message(**{**data, "body": data["body"].encode(), "timestamp": timestamp})


async def handle(_: object) -> None:
    """Replaces the service's handler: these tests cover only the steps before it."""


def test_a_message_of_every_type_is_recorded():
    missing = set(registry.events()) - {path.stem for path in RECORDED}
    assert not missing, f"record them as recorder.py says: {sorted(missing)}"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_message_is_accepted(path: Path):
    recording = json.loads(path.read_text())
    model = registry.model_of(path.stem)
    assert model is not None
    (alone,), (of_batch,) = (events_of(message(recording[form])) for form in ("binary", "batch"))
    first, second = (read(each, {model: handle}) for each in (alone, of_batch))
    assert first == second
    assert first[0].id == recording["binary"]["message_id"]
