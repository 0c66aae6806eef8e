"""What a client may not do, and what happens then: a clear error, and nothing stops for anybody else."""

import asyncio
import json
import socket
from datetime import timedelta

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import Bus, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .conftest import client, replica
from .test_live import subscribed
from .test_model import changed


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{not json", "bad_json"),
        ("", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        ("[]", "bad_message"),
        ('"subscribe"', "bad_message"),
        ("{}", "unknown_type"),
        ('{"type":"seat:steal"}', "unknown_type"),
        ('{"type":"subscribe"}', "bad_message"),
        ('{"type":"subscribe","showtime_id":7}', "bad_message"),
        ('{"type":"subscribe","showtime_id":"$where"}', "bad_message"),
        ('{"type":"subscribe","showtime_id":"s","and":"more"}', "bad_message"),
        ('{"type":"subscribe","showtime_id":"unheard-of"}', "showtime_not_found"),
        ('{"type":"seat:select","showtime_id":"s","seats":["A1"]}', "not_subscribed"),
        ('{"type":"seat:select","showtime_id":"s","seats":"A1"}', "bad_message"),
        (json.dumps({"type": "seat:select", "showtime_id": "s", "seats": ["A1"] * 21}), "bad_message"),
        ('{"type":"authenticate"}', "bad_message"),
        ('{"type":"authenticate","token":"nonsense"}', "token_invalid"),
        (json.dumps({"type": "authenticate", "hold_secret": "x" * 129}), "bad_message"),
    ],
)
async def test_a_wrong_message_gets_a_clear_error_and_the_connection_goes_on(server, message, code):
    async with client(server) as careless:
        await careless.connection.send(message)
        answer = await careless.receive()
        assert (answer["type"], answer["code"]) == ("error", code)
        assert answer["detail"]
        assert await careless.is_silent()


async def test_a_new_showtime_that_has_not_arrived_is_not_ready(server):
    async with client(server) as early:
        await early.send("subscribe", showtime_id=new_id())
        assert (await early.receive())["code"] == "showtime_not_ready"
        long_ago = f"{int((now() - timedelta(days=1)).timestamp() * 1000):012x}{new_id()[12:]}"
        await early.send("subscribe", showtime_id=long_ago)
        assert (await early.receive())["code"] == "showtime_not_found"


async def test_someone_elses_or_expired_tokens_are_refused(server, signer):
    async with client(server) as impostor:
        for claims in ({"aud": "another"}, {"iss": "https://elsewhere.example"}, {"exp": 1}):
            await impostor.send("authenticate", token=signer.token("anna", **claims))
            assert (await impostor.receive())["code"] == "token_invalid"


async def test_a_huge_message_ends_the_connection_with_a_reason(server):
    async with client(server) as big:
        await big.connection.send("x" * 5000)
        with pytest.raises(ConnectionClosed):
            await big.receive()
        assert big.connection.close_code == 1009


async def test_subscriptions_are_limited_and_can_be_swapped(bus: Bus, server, showtime):
    async with replica(MAX_SUBSCRIPTIONS="1") as limited, client(limited) as greedy:
        await subscribed(greedy, showtime)
        assert (await subscribed(greedy, "another"))["code"] == "too_many_subscriptions"
        assert (await subscribed(greedy, showtime))["type"] == "showtime:update"
        await greedy.send("unsubscribe", showtime_id=showtime)
        assert (await subscribed(greedy, "another"))["code"] == "showtime_not_found"


async def test_connections_are_limited_and_a_place_becomes_free_again(service_env):
    async with replica(MAX_CONNECTIONS="1") as limited:
        async with client(limited):
            with pytest.raises(InvalidStatus) as refused:
                async with client(limited):
                    pass
            assert refused.value.response.status_code == 503

        async def is_let_in() -> bool:
            try:
                async with client(limited) as next_one:
                    return await next_one.is_silent()
            except InvalidStatus:
                return False

        await until(is_let_in)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", None])
async def test_own_pages_and_programs_may_connect(server, origin):
    async with client(server, origin=origin) as welcome:
        assert await welcome.is_silent()


async def test_the_page_served_under_the_same_host_may_connect(server):
    async with client(server, origin=f"https://{server}") as welcome:
        assert await welcome.is_silent()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8080.evil.example"])
async def test_pages_of_other_sites_may_not_connect(server, origin):
    with pytest.raises(InvalidStatus) as refused:
        async with client(server, origin=origin):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "addresses",
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:9::3", "2001:db8:0:2::1"),
    ],
)
async def test_connections_from_one_network_are_limited(service_env, addresses):
    first, second, third, elsewhere = ({"X-Forwarded-For": address} for address in addresses)
    async with (
        replica(MAX_CONNECTIONS_PER_ADDRESS="2", FORWARDED_ALLOW_IPS="127.0.0.1") as limited,
        client(limited, additional_headers=first),
        client(limited, additional_headers=second),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with client(limited, additional_headers=third):
                pass
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body)["code"] == "too_many_connections"
        async with client(limited, additional_headers=elsewhere) as other:
            assert await other.is_silent()


async def test_a_client_that_says_too_much_is_dropped(service_env):
    async with replica(MAX_MESSAGES_PER_HEARTBEAT="20") as limited, client(limited) as talker:
        for _ in range(20):
            assert await talker.is_silent()
        await talker.send("ping")
        with pytest.raises(ConnectionClosed):
            await talker.receive()
        assert (talker.connection.close_code, talker.connection.close_reason) == (1008, "too_many_messages")


async def test_a_client_that_answers_no_ping_is_dropped_and_one_that_does_is_not(service_env):
    async with replica(HEARTBEAT_SECONDS="0.3") as strict, client(strict, ping_interval=None) as alive:
        host, port = strict.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with asyncio.timeout(60):
            heard = await reader.read()
        assert heard.startswith(b"HTTP/1.1 101 ")
        assert heard.endswith(b"\x03\xf3silent")
        writer.close()
        assert await alive.is_silent()


async def refused_handshake(server, path="/ws", **changes):
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.get(f"http://{server}{path}", headers=headers | changes)


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("/ws", {"Sec-WebSocket-Version": "8"}, 400),
        ("/ws", {"Sec-WebSocket-Key": "no key"}, 400),
        ("/nothing", {}, 403),
    ],
)
async def test_a_refused_handshake_is_a_problem_document(server, path, changes, status):
    answer = await refused_handshake(server, path, **changes)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json()["code"], answer.json()["status"]) == ("handshake_refused", status)
    assert answer.headers["Sec-WebSocket-Version"] == "13"


async def test_a_message_may_come_in_pieces_with_pings_in_between(server):
    async with client(server) as chatty:

        async def pieces():
            yield '{"type":'
            await chatty.connection.ping()
            yield '"ping"'
            yield "}"

        await chatty.connection.send(pieces())
        assert (await chatty.receive())["type"] == "pong"


async def test_a_service_that_ends_says_so(service_env):
    async with replica() as ending:
        last = await connect(f"ws://{ending}/ws", proxy=None)
    with pytest.raises(ConnectionClosed):
        await last.recv()
    assert last.close_code == 1012


async def test_a_client_that_does_not_read_is_dropped_and_slows_nobody(bus: Bus, service_env, server, showtime):
    async with replica(MAX_MESSAGES_PER_HEARTBEAT="1000000") as patient:
        await drop_a_slow_one(bus, patient, showtime)


async def drop_a_slow_one(bus: Bus, server: str, showtime: str) -> None:
    host, port = server.rsplit(":", 1)
    narrow = socket.create_connection((host, int(port)))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    async with client(server) as brisk, client(server, sock=narrow, compression=None) as slow:
        await subscribed(brisk, showtime)
        many = [f"{row}{number}" for row in "BCDEFGHIJK" for number in range(1, 100)]
        await bus.publish(changed(1, showtime, **dict.fromkeys(many, "blocked")))  # makes snapshots large
        await brisk.receive()
        slow.connection.transport.pause_reading()
        flooding = asyncio.create_task(flood(slow, showtime))
        try:
            for version in range(2, 12):
                await bus.publish(changed(version, showtime, **{f"A{version}": "held"}))
                assert (await brisk.receive())["seats"] == [f"A{version}"]
            await until(lambda: has_dropped_one(server))
        finally:
            flooding.cancel()
            slow.connection.transport.abort()


async def flood(slow, showtime: str) -> None:
    """Ask for one snapshot after the other and read none."""
    while True:
        await slow.send("subscribe", showtime_id=showtime)


async def has_dropped_one(server: str) -> bool:
    """Whether the server's metrics say that it dropped a slow client."""
    async with httpx.AsyncClient() as asking:
        metrics = (await asking.get(f"http://{server}/metrics")).text
    return 'usher_realtime_dropped_total{reason="too_slow"} 1.0' in metrics
