"""What a client may not do, and what happens then: a clear error, and nothing stops for anybody else."""

import asyncio
import json
import socket

import httpx
import pytest
from chassis.ids import new_id
from chassis.testing import Bus, until
from contracts.inventory import SeatsBlocked
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .conftest import client, instance
from .test_live import held, subscribed


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
        ('{"type":"authenticate"}', "bad_message"),
        ('{"type":"authenticate","token":"nonsense"}', "token_invalid"),
        (json.dumps({"type": "authenticate", "hold_secret": "x" * 129}), "bad_message"),
    ],
)
async def test_a_wrong_message_gets_a_clear_error_and_the_connection_goes_on(server, message, code):
    async with client(server) as careless:
        await careless.connection.send(message)
        answer = await careless.hear()
        assert (answer["type"], answer["code"]) == ("error", code)
        assert answer["detail"]
        assert await careless.is_silent()


async def test_someone_elses_or_expired_tokens_are_refused(server, signer):
    async with client(server) as impostor:
        for claims in ({"aud": "another"}, {"iss": "https://elsewhere.example"}, {"exp": 1}):
            await impostor.say("authenticate", token=signer.token("anna", **claims))
            assert (await impostor.hear())["code"] == "token_invalid"


async def test_a_huge_message_ends_the_connection_with_a_reason(server):
    async with client(server) as big:
        await big.connection.send("x" * 5000)
        assert (await big.hear())["code"] == "message_too_big"
        with pytest.raises(ConnectionClosed):
            await big.hear()
        assert big.connection.close_code == 1009


async def test_subscriptions_are_limited_and_can_be_swapped(bus: Bus, server, showtime):
    async with instance(MAX_SUBSCRIPTIONS="1") as limited, client(limited) as greedy:
        await subscribed(greedy, showtime)
        assert (await subscribed(greedy, "another"))["code"] == "too_many_subscriptions"
        assert (await subscribed(greedy, showtime))["type"] == "showtime:update"
        await greedy.say("unsubscribe", showtime_id=showtime)
        assert (await subscribed(greedy, "another"))["code"] == "showtime_not_found"


async def test_connections_are_limited_and_a_place_becomes_free_again(service_env):
    async with instance(MAX_CONNECTIONS="1") as limited:
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


async def test_a_client_that_does_not_read_is_dropped_and_slows_nobody(bus: Bus, server, showtime):
    narrow = socket.create_connection(server.rsplit(":", 1))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    async with client(server) as brisk, client(server, sock=narrow, compression=None) as slow:
        await subscribed(brisk, showtime)
        many = [f"{row}{number}" for row in "BCDEFGHIJK" for number in range(1, 100)]
        await bus.say(SeatsBlocked(showtime_id=showtime, block_id=new_id(), seats=many, reason="makes snapshots large"))
        await brisk.hear()
        slow.connection.transport.pause_reading()
        flooding = asyncio.create_task(flood(slow, showtime))
        try:
            for version in range(1, 11):
                await bus.say(held(showtime, new_id(), f"A{version}"), version=version)
                assert (await brisk.hear())["seats"] == [f"A{version}"]
            await until(lambda: has_dropped_one(server), seconds=30)
        finally:
            flooding.cancel()
            slow.connection.transport.abort()


async def flood(slow, showtime: str) -> None:
    """Ask for one snapshot after the other and read none."""
    while True:
        await slow.say("subscribe", showtime_id=showtime)


async def has_dropped_one(server: str) -> bool:
    """Whether the server's metrics say that it dropped a slow client."""
    async with httpx.AsyncClient() as asking:
        metrics = (await asking.get(f"http://{server}/metrics")).text
    return 'usher_realtime_dropped_total{reason="too_slow"} 1.0' in metrics
