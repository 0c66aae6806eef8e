"""This release runs beside the next one: replicas of both share each service's queue, and no event is lost."""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging import wire
from chassis.settings import database_name
from chassis.testing import until
from cinema import Cinema
from contracts import topology
from contracts.envelope import Envelope
from customer import Refused
from invariants import at_rest, violations
from launcher.platform import Platform
from launcher.ports import SERVICES, replica_variable
from launcher.settings import NO_LIMITS
from pymongo import AsyncMongoClient

NEXT = str(Path(__file__).parent / "next")
REPLICAS = {f"{service.upper()}_REPLICAS": "2" for service in SERVICES}
NEW, FAILED = re.compile(r"\.improved\.v1$"), re.compile(r"^payment\.failed\.v1$")
UNKNOWN = re.compile(r"^usher_events_unknown_total\{.*\} (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
async def mixed_cinema() -> AsyncIterator[Cinema]:
    """A platform whose second replica of each service belongs to the next release."""
    platform = Platform(demo=True, environment=NO_LIMITS | REPLICAS)
    commands = platform._processes.commands  # pyright: ignore[reportPrivateUsage]
    path = os.pathsep.join(filter(None, (NEXT, os.environ.get("PYTHONPATH"))))
    for service in SERVICES:
        command, environment = commands[f"{service}.2"]
        newer = command.replace("-m chassis.serve", "-m next_release")
        assert newer != command
        commands[f"{service}.2"] = (newer, environment | {"PYTHONPATH": path})
    async with platform, httpx.AsyncClient(timeout=30) as http:
        command = [sys.executable, "-m", "next_release", "rights"]
        await asyncio.to_thread(subprocess.run, command, env=platform.env | {"PYTHONPATH": path}, check=True)
        yield Cinema(platform, http)


@pytest.fixture(scope="module")
async def rabbit(mixed_cinema: Cinema) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(mixed_cinema.platform.env["RABBITMQ_URI"]) as connection:
        yield await connection.channel(on_return_raises=True)


async def publish(channel: aio_pika.abc.AbstractChannel, event_type: str, count: int) -> set[str]:
    """Publish new events as the next release does, half of them as a batch. Returns their ids."""
    events = [
        Envelope(
            id=new_id(),
            source=event_type.partition(".")[0],
            type=event_type,
            subject=f"thing-{number}",
            time=now(),
            correlation_id=f"correlation-{number}",
            body='{"thing_id": "thing"}',
        )
        for number in range(count)
    ]
    owner = topology.owner_of(event_type)
    exchange = await channel.get_exchange(topology.publishing_exchange(owner), ensure=False)
    half = count // 2
    for message in (wire.to_batch(events[:half]), *map(wire.to_message, events[half:])):
        await exchange.publish(message, event_type, mandatory=True)
    return {event.id for event in events}


async def handled(cinema: Cinema, event_type: re.Pattern[str], key: str) -> Counter[str]:
    """Count how often the next release's replicas handled each event of this type, by `event_id` or `subject`."""
    async with AsyncMongoClient[dict[str, Any]](cinema.platform.env["MONGO_URI"]) as client:
        return Counter(
            [
                document[key]
                for service in SERVICES
                async for document in client[database_name(service)].handled.find({"type": event_type})
            ]
        )


async def put_back(cinema: Cinema, service: str) -> int:
    """Count the events that this release's replica left to the next release."""
    port = cinema.platform.ports[replica_variable(service, 1)]
    text = (await cinema.http.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(int(float(value)) for value in UNKNOWN.findall(text))


async def test_sagas_pass_through_both_releases(mixed_cinema: Cinema):
    async def sale(number: int) -> str:
        guest = mixed_cinema.guest()
        hold = await guest.buy(*places[number], f"guest-{number}@usher.example")
        return (await guest.settled(hold, "confirmed"))["state"]

    places = [await mixed_cinema.seats(2) for _ in range(6)]
    assert set(await asyncio.gather(*map(sale, range(6)))) == {"confirmed"}
    assert violations(await at_rest(mixed_cinema.platform.env)) == []


async def test_what_this_release_does_not_know_is_handled_once_by_the_next(
    mixed_cinema: Cinema, rabbit: aio_pika.abc.AbstractChannel
):
    platform = mixed_cinema.platform
    platform.stop("notifier")
    platform.start("notifier")  # a start of this release removes nothing of the next one
    guest = mixed_cinema.guest()
    hold = await guest.hold(*await mixed_cinema.seats(1))
    await guest.check_out(hold, "declined@usher.example")
    with pytest.raises(Refused):
        await guest.pay(await guest.create_intent(hold), "pm_card_chargeDeclinedInsufficientFunds")
    sent = set[str]()
    for service in SERVICES:
        sent |= await publish(rabbit, f"{service}.improved.v1", 4)

    async def every_service_left_some() -> bool:
        left = [service for service in SERVICES if not await put_back(mixed_cinema, service)]
        for service in left:
            sent.update(await publish(rabbit, f"{service}.improved.v1", 1))
        return not left

    await until(every_service_left_some)
    await asyncio.gather(
        *(asyncio.to_thread(platform.stop, service) for service in SERVICES)
    )  # the upgrade is complete

    async def all_handled() -> bool:
        failed = await handled(mixed_cinema, FAILED, "subject")
        return set(await handled(mixed_cinema, NEW, "event_id")) >= sent and hold["hold_id"] in failed

    await until(all_handled)
    assert await handled(mixed_cinema, NEW, "event_id") == Counter(sent)
    assert await handled(mixed_cinema, FAILED, "subject") == Counter([hold["hold_id"]])
    for service in SERVICES:
        dead = await rabbit.declare_queue(topology.dead_letter_queue_name(service), passive=True)
        assert dead.declaration_result.message_count == 0
