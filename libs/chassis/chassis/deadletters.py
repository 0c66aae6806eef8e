"""Manage dead letters: `python -m chassis.deadletters list booking`, then `show`, `replay` or `drop`.

A dead letter is identified by its event id. `replay` puts it back into the queue of this service only, with a fresh
retry count; `drop` deletes it. `--all` selects every dead letter of the service. Needs RABBITMQ_URI.

`replay` leaves a dead letter whose publisher the service has not verified: a forged one, and one that RabbitMQ has put
here. `--unverified` replays one of the latter by its event id.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from contracts import topology

from chassis.messaging.hosts import connect_once
from chassis.messaging.wire import ATTEMPT, FIRST_SEEN, FORGED, REASON, again
from chassis.settings import ServiceSettings


@asynccontextmanager
async def letters(uri: str, service: str) -> AsyncIterator[tuple[Any, list[AbstractIncomingMessage]]]:
    """Yield a channel and a service's dead letters, oldest first. Unacknowledged ones return to the queue at exit."""
    async with await connect_once(uri) as connection:
        channel = await connection.channel(on_return_raises=True)
        queue = await channel.get_queue(topology.dead_letter_queue_name(service))
        found: list[AbstractIncomingMessage] = []
        while message := await queue.get(fail=False):
            found.append(message)
        yield channel, found


def summary(message: AbstractIncomingMessage) -> str:
    """Describe a dead letter in one line: id, type, time and reason."""
    when = message.timestamp.isoformat() if message.timestamp else "-"
    reason = " ".join(str(message.headers.get(REASON, "-")).split())
    return f"{message.message_id}  {message.type}  {when}  {reason}"


def details(message: AbstractIncomingMessage) -> str:
    """Return a dead letter as JSON. It may contain personal data: do not share it."""
    facts = {
        "headers": {name: str(value) for name, value in message.headers.items()},
        "correlation_id": message.correlation_id,
        "body": message.body.decode(errors="replace"),
    }
    return json.dumps(facts, indent=2)


def objection(message: AbstractIncomingMessage, service: str, *, unverified: bool) -> str | None:
    """Return why a dead letter must not be replayed, or None.

    The service has checked who published a dead letter that it has put into the queue. Nobody has checked one that
    RabbitMQ has put there, and another routing key means that another service's queue has put it there.
    """
    reason = str(message.headers.get(REASON, ""))
    checked = message.exchange == topology.own_exchange(service)
    if message.routing_key != topology.dead_letter_queue_name(service) or (checked and reason.startswith(f"{FORGED}:")):
        return "its event's owner has not published it"
    return None if checked or unverified else "nobody has checked who published it (--unverified)"


async def replay(channel: Any, service: str, message: AbstractIncomingMessage) -> None:
    """Put a dead letter back into the service's queue without its retry headers, then acknowledge it."""
    fresh = again(message)
    for header in (ATTEMPT, FIRST_SEEN, REASON, "x-delivery-count"):
        fresh.headers.pop(header, None)
    queues = await channel.get_exchange(topology.own_exchange(service), ensure=False)
    await queues.publish(fresh, topology.queue_name(service))
    await message.ack()


async def run(command: str, service: str, chosen: str | None, uri: str, *, unverified: bool = False) -> int:
    """Run one command. `chosen` is an event id, or None for all. Returns the exit status."""
    async with letters(uri, service) as (channel, found):
        matching = [message for message in found if chosen is None or message.message_id == chosen]
        done = 0
        for message in matching:
            if command == "show":
                sys.stdout.write(details(message) + "\n")
            elif command == "replay":
                if reason := objection(message, service, unverified=unverified):
                    sys.stderr.write(f"not replayed, {reason}: {summary(message)}\n")
                    continue
                await replay(channel, service, message)
            elif command == "drop":
                await message.ack()
            if command != "show":
                sys.stdout.write(summary(message) + "\n")
            done += 1
        sys.stderr.write(f"{done} of {len(found)} dead letters of {service}: {command}\n")
        return 0 if done == len(matching) and (matching or chosen is None) else 1


def main() -> int:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(prog="python -m chassis.deadletters", description=__doc__)
    parser.add_argument("command", choices=["list", "show", "replay", "drop"])
    parser.add_argument("service", choices=sorted(topology.CONSUMES))
    parser.add_argument("event_id", nargs="?")
    parser.add_argument("--all", action="store_true", help="every dead letter of the service")
    parser.add_argument("--unverified", action="store_true", help="replay it although its publisher is not verified")
    arguments = parser.parse_args()
    if arguments.command != "list" and bool(arguments.event_id) == arguments.all:
        parser.error(f"{arguments.command} takes an event id or --all")
    if arguments.unverified and (arguments.command != "replay" or arguments.all):
        parser.error("--unverified is for the replay of one event id")
    uri = ServiceSettings(service=arguments.service).rabbitmq_uri
    command, service, event_id = arguments.command, arguments.service, arguments.event_id
    return asyncio.run(run(command, service, event_id, uri, unverified=arguments.unverified))


if __name__ == "__main__":
    sys.exit(main())
