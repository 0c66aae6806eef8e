"""Remove the bindings and queues of earlier versions: `python -m chassis.bindings contract`. Needs RABBITMQ_URI.

This is the last step of an upgrade: run it when no replica of the previous version is left. Services only add bindings
when they start. The command is idempotent.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity
from contracts import topology

from chassis.messaging import broker
from chassis.messaging.hosts import connect_once
from chassis.settings import ServiceSettings


async def contract(uri: str) -> AsyncIterator[str]:
    """Unbind every retired event type from its queue and delete the empty retired queues. Returns one line for each."""
    async with await connect_once(uri) as connection:
        channel = await connection.channel()
        await broker.declare(channel)
        for service, retired in topology.RETIRED.items():
            queue = await channel.get_queue(topology.queue_name(service))
            for event_type in retired:
                await queue.unbind(topology.EXCHANGE, event_type)
                yield f"{queue.name} is not bound to {event_type}"
        for name in topology.RETIRED_QUEUES:
            yield await _delete(connection, name)


async def _delete(connection: AbstractConnection, name: str) -> str:
    """Delete a queue if it exists and is empty. RabbitMQ has no such condition for quorum queues."""
    async with connection.channel() as channel:
        try:
            queue = await channel.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            return f"{name} does not exist"
        if queue.declaration_result.message_count:
            return f"{name} still has messages: run this again later"
        await channel.queue_delete(name)
        return f"{name} is deleted"


async def run(uri: str) -> None:
    """Remove the bindings and print each of them."""
    async for line in contract(uri):
        sys.stdout.write(line + "\n")


def main() -> None:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(prog="python -m chassis.bindings", description=__doc__)
    parser.add_argument("command", choices=["contract"])
    parser.parse_args()
    asyncio.run(run(ServiceSettings(service="bindings").rabbitmq_uri))


if __name__ == "__main__":
    main()
