"""Messages that are not events, in the queue of every service of a running platform."""

import sys
import time
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from subprocess import PIPE
from typing import Any

import aio_pika
import pytest
from chassis.ids import new_id
from chassis.messaging.consumer import MAX_EVENT_BYTES, UNKNOWN_FOR_S
from chassis.messaging.wire import FIRST_SEEN
from cinema import Cinema
from contracts import topology

from .conftest import stands
from .crowd import Crowd

BAD = {
    "malformed": lambda heard: (heard, b'{"booking_id": 7'),
    "no_such_field": lambda heard: (heard, b"{}"),
    "not_text": lambda heard: (heard, b"\xff\xfe\x00"),
    "unknown_version": lambda heard: (heard.removesuffix(".v1") + ".v2", b"{}"),  # since an hour ago
    "no_type": lambda _: (None, b"{}"),
    "oversized": lambda heard: (heard, b'{"text": "' + b"x" * MAX_EVENT_BYTES + b'"}'),
}
REASONS = {
    "malformed": "malformed",
    "no_such_field": "malformed",
    "not_text": "malformed",
    "unknown_version": "unknown_type",
    "no_type": "malformed",
    "oversized": "oversized",
}


@pytest.fixture(scope="module")
async def rabbit(arena: Cinema) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(arena.platform.env["RABBITMQ_URI"]) as connection:
        yield await connection.channel()


async def dead_letters(cinema: Cinema, command: str, service: str) -> list[str]:
    """Return the lines that `python -m chassis.deadletters` prints."""
    everything = [] if command == "list" else ["--all"]
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "chassis.deadletters", command, service, *everything),
        env=cinema.platform.env,
        stdout=PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().splitlines()


async def test_what_is_no_event_goes_to_the_dead_letters_and_the_queues_move_on(arena, rabbit):
    letters = {}
    for service, heard in topology.CONSUMES.items():
        for name, make in BAD.items():
            event_type, body = make(heard[0].type)
            letters[service, name] = new_id()
            first_seen: Any = {FIRST_SEEN: int(time.time() - UNKNOWN_FOR_S)} if name == "unknown_version" else {}
            message = aio_pika.Message(body, headers=first_seen, type=event_type, message_id=letters[service, name])
            await rabbit.default_exchange.publish(message, topology.queue_name(service))
    async with Crowd(arena) as crowd:
        await crowd.grows(5)

    for service in topology.CONSUMES:
        lines = await dead_letters(arena, "list", service)
        reasons = {line.split()[0]: line for line in lines}
        for name, reason in REASONS.items():
            assert f"  {reason}: " in reasons[letters[service, name]]
        assert len(lines) == len(BAD)
        assert len(await dead_letters(arena, "drop", service)) == len(BAD)
    await stands(arena, crowd)
