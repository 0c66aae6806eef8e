"""Several RabbitMQ hosts: real nodes, one of which is dead, dies or stops confirming."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue
from aiormq.exceptions import AMQPError, DeliveryError, PublishError
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging import broker, hosts, wire
from chassis.messaging.broker import Broker
from chassis.messaging.hosts import BrokerTooOld, HostsConnection
from chassis.testing import servers, until
from contracts import topology
from contracts.envelope import Envelope
from yarl import URL


@pytest.fixture(scope="module")
def other_node() -> Iterator[ExitStack]:
    """A second node, not clustered with the first one. Closing the stack stops it."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def other(other_node: ExitStack) -> URL:
    return URL(other_node.enter_context(servers.rabbitmq()))


@pytest.fixture
def both(other: URL, rabbitmq_uri: str) -> str:
    """The URI of both nodes, the other one first."""
    return str(other).replace(other.authority, f"{other.authority},{_host(rabbitmq_uri)}")


@pytest.fixture
async def cluster(both: str) -> AsyncIterator[Broker]:
    async with await hosts.connect(both, "test") as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await broker.declare(channel)
        yield await broker.opened(connection, channel, "booking")


def _host(uri: str) -> str:
    return URL(uri).authority.rpartition("@")[2]


def _port(connection: HostsConnection) -> int | None:
    return connection.url.port


async def bound_queue(cluster: Broker, name: str, arguments: dict[str, Any]) -> AbstractQueue:
    """Declare a queue that `put` reaches, on each host that the connection moves to."""
    queue = await cluster.channel.declare_queue(name, durable=True, arguments=arguments)
    await queue.bind(topology.own_exchange(cluster.service), name)
    return queue


def envelope() -> Envelope:
    return Envelope(id=new_id(), source="test", type="test.said.v1", subject="a", time=now(), body="{}")


def test_each_host_has_the_user_the_virtual_host_and_the_options_of_the_uri():
    urls = hosts.hosts_of("amqps://usher:p%40q@a, b:5673 /tickets?cafile=/ca.pem")
    assert [str(url) for url in urls] == [
        f"amqps://usher:p%40q@{host}/tickets?cafile=/ca.pem&heartbeat=5" for host in ("a", "b:5673")
    ]
    assert [url.host for url in hosts.hosts_of("amqp://usher@a,, b,/")] == ["a", "b"]
    assert [str(url) for url in hosts.hosts_of("amqp://a/?heartbeat=20")] == ["amqp://a/?heartbeat=20"]


async def test_the_first_host_that_answers_is_used(rabbitmq_uri: str):
    dead = f"127.0.0.1:{servers.free_port()}"
    uri = rabbitmq_uri.replace("@", f"@{dead},")
    async with await hosts.connect(uri, "test") as connection:
        assert _port(connection) == URL(rabbitmq_uri).port
    async with await hosts.connect_once(uri) as connection:
        assert not connection.is_closed


async def test_a_host_that_confirms_nothing_is_replaced_by_the_next_one(cluster: Broker, rabbitmq_uri: str):
    """A full queue that rejects messages simulates a node that has lost the majority."""
    arguments: Any = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await bound_queue(cluster, "full", arguments)
    message = wire.to_message(envelope())
    await cluster.put(message, "full")
    for _ in range(broker.MOVE_AFTER):
        with pytest.raises(DeliveryError) as refused:
            await cluster.put(message, "full")
        assert not isinstance(refused.value, PublishError)

    async def is_taken_elsewhere() -> bool:
        with suppress(AMQPError, TimeoutError):  # not yet
            await cluster.put(message, "full")
            return _port(cluster.connection) == URL(rabbitmq_uri).port
        return False

    await until(is_taken_elsewhere)


async def test_a_connection_whose_host_dies_continues_at_the_next_one(
    cluster: Broker, other: URL, other_node: ExitStack, rabbitmq_uri: str
):
    assert _port(cluster.connection) == other.port
    queue = await bound_queue(cluster, "survivor", {})
    received = asyncio.Event()

    async def receive(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await message.ack()
        received.set()

    await queue.consume(receive)
    await asyncio.to_thread(other_node.close)

    async def is_taken_elsewhere() -> bool:
        with suppress(AMQPError, TimeoutError):  # not yet
            await cluster.put(wire.to_message(envelope()), "survivor")
            return _port(cluster.connection) == URL(rabbitmq_uri).port
        return False

    await until(is_taken_elsewhere)
    await received.wait()


async def test_a_cluster_of_an_old_version_is_refused(rabbitmq_uri: str, toy, monkeypatch: pytest.MonkeyPatch):
    async with await hosts.connect(rabbitmq_uri, "test") as connection:
        transport: Any = connection.transport
        properties = transport.connection.server_properties
        hosts.check_version(connection)
        for version, count, is_fine in (
            *(("3.9.29", 1, False), ("3.10.8", 1, True), ("4.0.5", 1, True)),
            *(("3.13.7", 3, False), ("4.0.5", 3, True), ("4.3.0-rc.1", 3, True)),
        ):
            monkeypatch.setitem(properties, "version", version)
            monkeypatch.setattr(connection, "hosts", count)
            if is_fine:
                hosts.check_version(connection)
            else:
                with pytest.raises(BrokerTooOld, match=f"RabbitMQ {version} is too old"):
                    hosts.check_version(connection)


async def test_a_service_does_not_start_with_a_broker_that_is_too_old(
    rabbitmq_uri: str, toy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hosts, "SINGLE_HOST", (99, 0))
    with pytest.raises(BrokerTooOld):
        async with broker.connected(toy.Settings(service="toy", rabbitmq_uri=rabbitmq_uri)):
            pass
