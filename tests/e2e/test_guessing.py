"""Guessing passwords through the gateway: two replicas, a restart, and a client that lies about its address."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from launcher.platform import Platform
from launcher.settings import NO_LIMITS
from pymongo import AsyncMongoClient

FREE = 5
PROXY = "127.0.0.50"
SERVERS = {"mongo", "rabbitmq", "identity", "notifier", "gateway"}


@pytest.fixture(scope="module")
async def platform():
    few = {"IDENTITY_REPLICAS": "2", "ADDRESS_ATTEMPTS": str(FREE), "GATEWAY_TRUSTED_PROXIES": PROXY}
    async with Platform(only=SERVERS, environment=NO_LIMITS | few) as platform:
        yield platform


@asynccontextmanager
async def somewhere(platform: Platform, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Create a client that connects from this address of the machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(base_url=platform.url, transport=transport, timeout=30) as client:
        yield client


async def guess(client: httpx.AsyncClient, name: object, **headers: str) -> httpx.Response:
    body = {"email": f"{name}@usher.example", "password": "not the password"}
    return await client.post("/api/auth/login", json=body, headers=headers)


async def test_one_machine_that_tries_many_accounts_is_stopped_whatever_it_says_of_itself(platform):
    async with somewhere(platform, "127.0.0.11") as guesser, somewhere(platform, "127.0.0.12") as neighbour:
        forged = [{"X-Forwarded-For": f"9.9.9.{n}", "X-Real-IP": f"9.9.9.{n}", "Forwarded": f"for=9.9.9.{n}"}
                  for n in range(FREE + 3)]  # fmt: skip
        answers = [await guess(guesser, f"person{n}", **headers) for n, headers in enumerate(forged)]
        assert [answer.status_code for answer in answers[: FREE + 1]] == [401] * (FREE + 1)
        assert answers[FREE + 1].status_code == 429
        assert int(answers[FREE + 1].headers["retry-after"]) >= 1
        assert answers[FREE + 1].json()["code"] == "too_many_attempts"
        assert (await guess(neighbour, "person1")).status_code == 401


async def test_behind_a_trusted_proxy_the_attempts_of_each_network_are_counted(platform):
    async with somewhere(platform, PROXY) as proxy:

        async def status(address: str) -> int:
            return (await guess(proxy, address.replace(":", "-"), **{"X-Forwarded-For": address})).status_code

        assert [await status(f"2001:db8:0:1::{n}") for n in range(FREE + 2)] == [401] * (FREE + 1) + [429]
        assert await status("2001:db8:0:2::1") == 401
        assert await status("203.0.113.7") == 401


async def test_many_machines_that_guess_one_password_are_stopped_and_a_restart_helps_nobody(platform):
    answers = []
    for n in range(20, 32):
        async with somewhere(platform, f"127.0.0.{n}") as machine:
            answers.append((await guess(machine, "ada")).status_code)
    assert answers == [401] * 10 + [429] * 2
    async with AsyncMongoClient(platform.env["MONGO_URI"]) as mongo, somewhere(platform, "127.0.0.40") as machine:
        many_more = {"$set": {"attempts": 17, "blocked_until": datetime.now(UTC)}}
        await mongo.usher_identity.throttles.update_one({"attempts": 10}, many_more)
        assert (await guess(machine, "ada")).status_code == 401
        for name in ("identity", "identity.2"):
            await asyncio.to_thread(platform.stop, name)
            await asyncio.to_thread(platform.start, name)
        blocked = await guess(machine, "ada")
        assert (blocked.status_code, int(blocked.headers["retry-after"]) > 60) == (429, True)
