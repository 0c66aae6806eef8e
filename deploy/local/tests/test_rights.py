"""Each service can use its own part of MongoDB and RabbitMQ and is refused everything else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, DeliveryError
from chassis.messaging.consumer import is_forged
from contracts import rabbitmq, registry, topology
from launcher.platform import Platform
from launcher.ports import SERVICES, free_ports
from launcher.settings import process_environment
from pymongo import MongoClient
from pymongo.errors import OperationFailure

UNAUTHORIZED = 13
Mongo = MongoClient[dict[str, Any]]
Act = Callable[[AbstractChannel], Coroutine[Any, Any, Any]]
Run = Callable[[Act], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def servers() -> Iterator[Platform]:
    with Platform(only={"mongo", "rabbitmq"}) as platform:
        yield platform


def mongo_of(platform: Platform, name: str) -> Mongo:
    return Mongo(process_environment(name, platform.env)["MONGO_URI"])


@asynccontextmanager
async def channel_of(platform: Platform, service: str) -> AsyncIterator[Run]:
    """Run actions as the service's user, each on its own channel: RabbitMQ closes a channel after a refusal."""
    uri = process_environment(service, platform.env)["RABBITMQ_URI"]
    async with await aio_pika.connect(uri) as connection:

        async def act(action: Act) -> Any:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            try:
                return await action(channel)
            finally:
                await channel.close()

        yield act


def publish(exchange: str, routing_key: str, *, mandatory: bool = True) -> Act:
    async def action(channel: AbstractChannel) -> None:
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await target.publish(aio_pika.Message(b"{}"), routing_key, mandatory=mandatory)

    return action


# ---- MongoDB


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_and_writes_its_own_database_only(servers: Platform, service: str):
    with mongo_of(servers, service) as mongo:
        own = mongo[f"usher_{service}"].things
        own.insert_one({"kept": True})
        for other in [f"usher_{each}" for each in SERVICES if each != service] + ["admin", "local"]:
            for refused in (mongo[other].things.find_one, lambda other=other: mongo[other].things.insert_one({})):
                with pytest.raises(OperationFailure) as failure:
                    refused()
                assert failure.value.code == UNAUTHORIZED
        assert own.find_one({}, {"_id": 0}) == {"kept": True}


def test_its_rights_suffice_for_migrations(servers: Platform):
    with mongo_of(servers, "booking") as mongo:
        things = mongo.usher_booking.things
        name = things.create_index("at", expireAfterSeconds=60)
        mongo.usher_booking.command("collMod", "things", index={"name": name, "expireAfterSeconds": 120})
        assert things.index_information()[name]["expireAfterSeconds"] == 120
        things.drop_index(name)


def test_nobody_reads_without_a_password(servers: Platform):
    address = servers.env["MONGO_URI"].partition("@")[2]
    with Mongo(f"mongodb://{address}") as anyone, pytest.raises(OperationFailure) as failure:
        anyone.usher_booking.things.find_one()
    assert failure.value.code == UNAUTHORIZED


def test_data_of_a_time_without_users_gets_them(tmp_path: Path):
    ports = free_ports()
    address = f"127.0.0.1:{ports['MONGO_PORT']}"
    (tmp_path / "mongo").mkdir()
    options = f"--dbpath {tmp_path}/mongo --port {ports['MONGO_PORT']} --bind_ip 127.0.0.1 --replSet usher"
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(["mongod", *options.split()], stdout=log) as mongod:
        with Mongo(f"mongodb://{address}/?directConnection=true") as mongo:
            mongo.admin.command("replSetInitiate", {"_id": "usher", "members": [{"_id": 0, "host": address}]})
        with Mongo(f"mongodb://{address}/?replicaSet=usher") as mongo:
            mongo.usher_booking.things.insert_one({"kept": True})
        mongod.terminate()
    with Platform(data_dir=tmp_path, only={"mongo"}) as platform, mongo_of(platform, "booking") as mongo:
        assert mongo.usher_booking.things.find_one({}, {"_id": 0}) == {"kept": True}


# ---- RabbitMQ


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_its_own_events_only(servers: Platform, service: str):
    async with channel_of(servers, service) as act:
        for event in registry.events().values():
            exchange = topology.publishing_exchange(event.source())
            publishing = act(publish(exchange, event.type, mandatory=topology.is_consumed(event.type)))
            if event.source() == service:
                await publishing
                continue
            with pytest.raises(ChannelAccessRefused):
                await publishing
        theirs = next(event.type for event in registry.events().values() if event.source() != service)
        for exchange in (topology.publishing_exchange(service), topology.EXCHANGE):
            with pytest.raises(ChannelAccessRefused):
                await act(publish(exchange, theirs))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_puts_messages_into_its_own_queues_only(servers: Platform, service: str):
    async with channel_of(servers, service) as act:
        for owner in SERVICES:
            queue, own = topology.queue_name(owner), topology.own_exchange(owner)
            if owner == service:
                tiers = [topology.retry_queue_name(owner, seconds) for seconds in rabbitmq.RETRY_TIERS_S]
                for name in (queue, topology.dead_letter_queue_name(owner), *tiers):
                    await act(publish(own, name))
                continue
            for exchange in ("", own):
                with pytest.raises(ChannelAccessRefused):
                    await act(publish(exchange, queue))
            with pytest.raises(DeliveryError):
                await act(publish(topology.own_exchange(service), queue))


async def test_a_retried_message_returns_to_its_queue(servers: Platform):
    async def returned(channel: AbstractChannel) -> bytes:
        queue = await channel.get_queue(topology.queue_name("payment"))
        await queue.purge()
        await publish(topology.own_exchange("payment"), topology.retry_queue_name("payment", 1))(channel)
        async with queue.iterator(no_ack=True, timeout=60) as messages:
            message = await anext(messages)
        assert not is_forged(message, "payment")
        return message.body

    async with channel_of(servers, "payment") as act:
        assert await act(returned) == b"{}"


@pytest.mark.parametrize("queue", ["booking.events", "booking.events.dead", "booking.events.retry.1s"])
async def test_a_service_neither_reads_nor_changes_the_queues_of_others(servers: Platform, queue: str):
    async def consume(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue)).get()

    async def bind(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue)).bind(topology.EXCHANGE, "identity.access_revoked.v1")

    acts: list[Act] = [
        consume,
        bind,
        lambda channel: channel.declare_queue(queue, durable=True),
        lambda channel: channel.queue_delete(queue),
    ]
    async with channel_of(servers, "payment") as act:
        for action in acts:
            with pytest.raises(ChannelAccessRefused):
                await act(action)


@pytest.mark.parametrize(
    "exchange", ["", topology.EXCHANGE, topology.publishing_exchange("booking"), topology.own_exchange("booking")]
)
async def test_a_service_cannot_reach_an_exchange_by_a_detour(servers: Platform, exchange: str):
    """What comes by a binding or as a dead letter would have a routing key and headers of the attacker's choice."""

    async def bind(channel: AbstractChannel) -> None:
        own = await channel.declare_exchange("inventory.watch.way", "topic", auto_delete=True)
        await (await channel.get_exchange(exchange, ensure=False)).bind(own, "#")

    async def fall_back(channel: AbstractChannel) -> None:
        arguments: Any = {"alternate-exchange": exchange}
        await channel.declare_exchange("inventory.watch.other", "fanout", auto_delete=True, arguments=arguments)

    async def dead_letter(channel: AbstractChannel) -> None:
        arguments: Any = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "booking.events"}
        await channel.declare_queue("inventory.watch.end", exclusive=True, arguments=arguments)

    async with channel_of(servers, "inventory") as act:
        for action in (bind, dead_letter, *([fall_back] if exchange else [])):
            with pytest.raises(ChannelAccessRefused):
                await act(action)


SOLD, REFUNDED = "inventory.seats_sold.v1", "payment.refunded.v1"
"""Two events that booking consumes. Inventory may publish the first one only."""


@pytest.mark.parametrize(("routing_key", "copies"), [(SOLD, []), ("inventory.mine", [REFUNDED])])
async def test_a_consumer_recognizes_what_rabbitmq_lets_through(servers: Platform, routing_key: str, copies: list[str]):
    def send(service: str, event_type: str, **headers: Any) -> Act:
        async def action(channel: AbstractChannel) -> None:
            message = aio_pika.Message(b"{}", type=REFUNDED, message_id=service, headers=headers)
            exchange = await channel.get_exchange(topology.publishing_exchange(service), ensure=False)
            await exchange.publish(message, event_type)

        return action

    async def received(channel: AbstractChannel) -> dict[str | None, bool]:
        forged: dict[str | None, bool] = {}
        queue = await channel.get_queue(topology.queue_name("booking"))
        async with queue.iterator(no_ack=True, timeout=60) as messages:
            while "payment" not in forged:
                message = await anext(messages)
                forged[message.message_id] = is_forged(message, "booking")
        return forged

    async with channel_of(servers, "inventory") as inventory, channel_of(servers, "payment") as payment:
        with suppress(ChannelAccessRefused):  # RabbitMQ 4 checks copies, too
            await inventory(send("inventory", routing_key, CC=list[Any](copies)))
        await payment(send("payment", REFUNDED))
    async with channel_of(servers, "booking") as booking:
        forged = await booking(received)
    assert forged.pop("payment") is False
    assert forged.pop("inventory", True)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_a_queue_of_a_service_stays_small(servers: Platform, kind: str):
    sent, size = 40, 1024**2
    name = f"inventory.watch.{kind}"

    async def fill(channel: AbstractChannel) -> int:
        lifted = {"x-queue-type": kind, "x-max-length-bytes": 10**12, "x-max-length": 10**9, "x-expires": 10**9}
        queue = await channel.declare_queue(name, durable=True, arguments=lifted)
        own = await channel.declare_exchange("inventory.watch.fill", "fanout", auto_delete=True)
        await queue.bind(own)
        for _ in range(sent):
            await own.publish(aio_pika.Message(bytes(size)), "")
        kept = (await channel.declare_queue(name, passive=True)).declaration_result.message_count
        await channel.queue_delete(name)
        return kept or 0

    async with channel_of(servers, "inventory") as act:
        assert 0 < await act(fill) <= rabbitmq.TEMPORARY["max-length-bytes"] // size


def test_the_limits_hold_for_every_service(servers: Platform):
    url = servers.env["RABBITMQ_MANAGEMENT_URL"]
    login = (rabbitmq.OPERATOR, servers.env["RABBITMQ_PASSWORD"])

    def got(path: str) -> Any:
        return httpx.get(f"{url}/api/{path}", auth=login, timeout=60).raise_for_status().json()

    (temporary,), (waiting,) = got("operator-policies"), got("policies")
    assert (temporary["definition"], temporary["apply-to"]) == (rabbitmq.TEMPORARY, "queues")
    assert (waiting["definition"], waiting["apply-to"]) == (rabbitmq.WAITING, "queues")
    for service in SERVICES:
        name, dead = topology.queue_name(service), topology.dead_letter_queue_name(service)
        names = [name, dead, topology.retry_queue_name(service, 30), f"{service}.watch.1"]
        assert [bool(re.search(waiting["pattern"], each)) for each in names] == [False, True, True, False]
        assert [bool(re.search(temporary["pattern"], each)) for each in names] == [False, False, False, True]
    assert [each["value"] for each in got("vhost-limits")] == [{"max-queues": rabbitmq.MAX_QUEUES}]
    assert {each["user"]: each["value"] for each in got("user-limits")} == dict.fromkeys(SERVICES, rabbitmq.USER_LIMITS)


async def test_a_replica_receives_the_broadcast_events_of_its_service_only(servers: Platform):
    async def bind(channel: AbstractChannel, event_type: str) -> None:
        queue = await channel.declare_queue("payment.watch.1", exclusive=True, auto_delete=True)
        await queue.bind(topology.EXCHANGE, event_type)

    async with channel_of(servers, "payment") as act:
        for event in topology.BROADCAST["payment"]:
            await act(lambda channel, event=event: bind(channel, event.type))
        for event_type in ("#", "booking.*.v1", "identity.password_reset_requested.v1"):
            with pytest.raises(ChannelAccessRefused):
                await act(lambda channel, event_type=event_type: bind(channel, event_type))


async def test_a_service_changes_no_exchange(servers: Platform):
    async with channel_of(servers, "payment") as act:
        for name in (*rabbitmq.exchanges(), "another"):
            with pytest.raises(ChannelAccessRefused):
                await act(lambda channel, name=name: channel.declare_exchange(name, "topic", durable=True))
