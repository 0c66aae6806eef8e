"""Each service can use its own part of MongoDB and RabbitMQ and is refused everything else."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused
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
Forge = Callable[[AbstractChannel, aio_pika.Message], Coroutine[Any, Any, None]]


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
            publishing = act(publish(topology.EXCHANGE, event.type, mandatory=topology.is_consumed(event.type)))
            if event.source() == service:
                await publishing
            else:
                with pytest.raises(ChannelAccessRefused):
                    await publishing


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_puts_messages_into_its_own_queues_only(servers: Platform, service: str):
    async with channel_of(servers, service) as act:
        for owner in SERVICES:
            queue, dead = topology.queue_name(owner), topology.dead_letter_queue_name(owner)
            ways = [(rabbitmq.QUEUES, queue), (rabbitmq.QUEUES, dead)]
            ways += [(rabbitmq.retry_exchange(seconds), queue) for seconds in rabbitmq.RETRY_TIERS_S]
            for exchange, routing_key in ways:
                if owner == service:
                    await act(publish(exchange, routing_key))
                else:
                    with pytest.raises(ChannelAccessRefused):
                        await act(publish(exchange, routing_key))
            with pytest.raises(ChannelAccessRefused):
                await act(publish("", queue))


async def test_a_retried_message_returns_to_its_queue(servers: Platform):
    async def returned(channel: AbstractChannel) -> bytes:
        queue = await channel.get_queue(topology.queue_name("payment"))
        await queue.purge()
        await publish(rabbitmq.retry_exchange(1), queue.name)(channel)
        async with queue.iterator(no_ack=True, timeout=60) as messages:
            message = await anext(messages)
        assert not is_forged(message, queue.name)
        return message.body

    async with channel_of(servers, "payment") as act:
        assert await act(returned) == b"{}"


@pytest.mark.parametrize("queue", ["booking.events", "booking.events.dead", "usher.retry.1s"])
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


SOLD, REFUNDED, THEIRS = "inventory.seats_sold.v1", "payment.refunded.v1", topology.queue_name("booking")
"""Two events that booking consumes. Inventory may publish the first one only."""


async def with_another_type(channel: AbstractChannel, message: aio_pika.Message) -> None:
    await (await channel.get_exchange(topology.EXCHANGE, ensure=False)).publish(message, SOLD)


async def with_a_copy(channel: AbstractChannel, message: aio_pika.Message) -> None:
    message.headers["CC"] = [REFUNDED]
    await (await channel.get_exchange(topology.EXCHANGE, ensure=False)).publish(message, "inventory.mine")


def through_an_exchange(target: str, routing_key: str) -> Forge:
    async def forge(channel: AbstractChannel, message: aio_pika.Message) -> None:
        own = await channel.declare_exchange("inventory.watch.way", "topic", auto_delete=True)
        bound = await channel.get_exchange(target, ensure=False)
        await bound.bind(own, routing_key)
        await own.publish(message, routing_key)
        await bound.unbind(own, routing_key)

    return forge


def through_a_queue(target: str, routing_key: str) -> Forge:
    async def forge(channel: AbstractChannel, message: aio_pika.Message) -> None:
        own = await channel.declare_exchange("inventory.watch.start", "fanout", auto_delete=True)
        returns = {"x-dead-letter-exchange": target, "x-dead-letter-routing-key": routing_key, "x-message-ttl": 0}
        queue = await channel.declare_queue("inventory.watch.end", exclusive=True, arguments=returns)
        await queue.bind(own)
        await own.publish(message, "", mandatory=False)

    return forge


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(with_another_type, id="another type"),
        pytest.param(with_a_copy, id="a copy"),
        pytest.param(through_an_exchange(topology.EXCHANGE, REFUNDED), id="an exchange"),
        pytest.param(through_an_exchange(rabbitmq.QUEUES, THEIRS), id="an exchange before the queue"),
        pytest.param(through_an_exchange(rabbitmq.retry_exchange(1), THEIRS), id="an exchange before a retry tier"),
        pytest.param(through_a_queue(topology.EXCHANGE, REFUNDED), id="a dead letter"),
        pytest.param(through_a_queue(rabbitmq.QUEUES, THEIRS), id="a dead letter into the queue"),
        pytest.param(through_a_queue(rabbitmq.retry_exchange(1), THEIRS), id="a dead letter into a retry tier"),
    ],
)
async def test_a_consumer_recognizes_what_rabbitmq_lets_through(servers: Platform, forge: Forge):
    async with channel_of(servers, "booking") as booking, channel_of(servers, "inventory") as inventory:

        async def received(channel: AbstractChannel) -> AbstractIncomingMessage:
            await channel.set_qos(prefetch_count=1)
            queue = await channel.get_queue(THEIRS)
            await queue.purge()
            await inventory(lambda theirs: forge(theirs, aio_pika.Message(b"{}", type=REFUNDED)))
            async with queue.iterator(no_ack=True, timeout=60) as messages:
                async for message in messages:
                    if message.type == REFUNDED:  # an earlier test's message may arrive late
                        return message
            raise AssertionError("no message arrived")

        message = await booking(received)
    assert message.type == REFUNDED
    assert is_forged(message, THEIRS)


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
