"""python -m bench.identity [--quick]: measure a log-in's cost, its effect on other requests and its timing.

The timing must not show who has an account."""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from argon2 import PasswordHasher
from launcher.platform import Platform
from launcher.settings import NO_LIMITS
from pymongo import AsyncMongoClient

from bench import cpu, report
from bench.client import Client, Json, Refused
from bench.load import Latencies

PROCESSES = {"mongo", "rabbitmq", "mailbox", "identity", "notifier", "gateway"}
PASSWORD = "popcorn-and-a-movie"  # noqa: S105 - identity.demo's
CLIENTS = 16
PAUSE_S = 0.01
ROUTES = {
    "login": lambda email: {"email": email, "password": "not the password"},
    "register": lambda email: {"email": email, "password": "correct horse battery", "name": "Ada"},
    "forgot-password": lambda email: {"email": email},
}


def argon2_ms(times: int) -> float:
    """Return the CPU milliseconds of one hash with identity's parameters, alone on a core."""
    hasher = PasswordHasher(2, 19_456, parallelism=1)
    began = time.process_time()
    for _ in range(times):
        hasher.hash(PASSWORD)
    return (time.process_time() - began) / times * 1000


async def enter_people(platform: Platform, count: int) -> list[str]:
    """Create this many accounts like the demo's customer. Returns their addresses."""
    command = [sys.executable, "-m", "identity.demo"]
    await asyncio.to_thread(subprocess.run, command, env=platform.env, check=True, capture_output=True)
    mongo: AsyncMongoClient[Json] = AsyncMongoClient(platform.env["MONGO_URI"], tz_aware=True)
    async with mongo:
        users = mongo.usher_identity.users
        pattern = await users.find_one({"email": "customer@usher.example"})
        people = [{**(pattern or {}), "_id": f"bench-{n}", "email": f"bench-{n}@usher.example"} for n in range(count)]
        await users.insert_many(people)
    return [person["email"] for person in people]


async def log_ins(platform: Platform, emails: list[str], seconds: float) -> dict[str, float]:
    """Let CLIENTS people log in repeatedly, each with their own account."""
    done, end = 0, time.perf_counter() + seconds

    async def person(email: str) -> None:
        nonlocal done
        async with await Client.to(platform.url) as client:
            while time.perf_counter() < end:
                await client.post("/api/auth/login", {"email": email, "password": PASSWORD})
                done += 1

    before = cpu.read(platform)
    await asyncio.gather(*(person(email) for email in emails[:CLIENTS]))
    took, spent = before.until(cpu.read(platform))
    each = {name: ms / done for name, ms in spent.items()}
    return {"per_second": done / took, "per_core": 1000 / sum(each.values()), "identity_ms": each["identity"]}


async def glances(platform: Platform, headers: dict[str, str], seconds: float) -> dict[str, float]:
    """Return the latencies of a client that requests its profile at most a hundred times a second."""
    found, end = Latencies(), time.perf_counter() + seconds
    async with await Client.to(platform.url) as client:
        while (began := time.perf_counter()) < end:
            await client.get("/api/users/me", headers)
            found.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE_S)
    return found.summary()


async def delays(platform: Platform, emails: list[str], seconds: float) -> dict[str, Any]:
    """Return the latencies of the same requests on an idle platform and while others log in."""
    async with await Client.to(platform.url) as client:
        session = await client.post("/api/auth/login", {"email": emails[-1], "password": PASSWORD})
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    await glances(platform, headers, 1)  # to warm up
    alone = await glances(platform, headers, seconds)
    besides, beside = await asyncio.gather(log_ins(platform, emails, seconds), glances(platform, headers, seconds))
    return {"alone": alone, "beside_log_ins": beside, "log_ins": besides}


async def tells(platform: Platform, route: str, known: list[str]) -> dict[str, float]:
    """Return the medians in ms for known and unknown addresses, requested in random order.

    `other` are unknown addresses again: their difference from `unknown` is the noise of this machine.
    """
    tries = [("known", email) for email in known]
    tries += [(kind, f"{kind}-{email}") for kind in ("unknown", "other") for email in known]
    random.shuffle(tries)
    took: dict[str, list[float]] = {"known": [], "unknown": [], "other": []}
    async with await Client.to(platform.url) as client:
        for kind, email in tries:
            body, began = ROUTES[route](email), time.perf_counter()
            try:
                await client.post(f"/api/auth/{route}", body)
            except Refused as refused:
                if refused.status != 401:
                    raise
            took[kind].append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE_S)  # finish the mail of this response before the next request
    return {kind: statistics.median(each) for kind, each in took.items()}


async def measure(platform: Platform, *, quick: bool) -> dict[str, Any]:
    """Measure everything on one platform."""
    seconds, tries = (5.0, 60) if quick else (20.0, 300)
    emails = await enter_people(platform, tries)
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "log_ins": lambda: log_ins(platform, emails, seconds),
        "delays": lambda: delays(platform, emails, seconds),
        **{route: lambda route=route: tells(platform, route, emails) for route in ROUTES},
    }
    return {"tries": tries, "argon2_ms": argon2_ms(50), **{name: await step() for name, step in steps.items()}}


def markdown(began: report.Circumstances, found: dict[str, Any]) -> str:
    """Format the result as tables."""
    lone, delayed = found["log_ins"], found["delays"]
    share = found["argon2_ms"] / lone["identity_ms"] * 100
    looks = [
        [what, *(f"{figures[f'p{percent}_ms']:.1f}" for percent in (50, 95, 99))]
        for what, figures in (
            ("nobody logs in", delayed["alone"]),
            (f"{CLIENTS} clients do", delayed["beside_log_ins"]),
        )
    ]
    times = [
        [
            f"`{route}`",
            *(f"{found[route][kind]:.2f}" for kind in ("known", "unknown", "other")),
            f"{found[route]['known'] / found[route]['unknown']:.3f}",
            f"{found[route]['other'] / found[route]['unknown']:.3f}",
        ]
        for route in ROUTES
    ]
    return f"""# What a log-in costs

Commit {began.commit}, {began.at}, {began.machine}; load of the machine before it began: {began.load_before}.
Through the gateway, which limits nothing here; the clients share the machine.

**{lone["per_second"]:.1f} log-ins a second** with {CLIENTS} clients on this machine; by the CPU time that the platform
spent, **{lone["per_core"]:.1f} a second and core**. A log-in takes {lone["identity_ms"]:.1f} CPU-ms of identity; of
them {share:.0f} % are one argon2id hash (19 MiB, two passes, one lane): {found["argon2_ms"]:.1f} CPU-ms when alone.

Other requests meanwhile (`GET /api/users/me`; {delayed["log_ins"]["per_second"]:.1f} log-ins a second beside them):

{report.table(["ms", "p50", "p95", "p99"], looks)}

Does the time show who has an account? Medians in ms of {found["tries"]} tries each, in random order.
The last column is the noise: unknown addresses compared with other unknown ones.

{report.table(["", "known", "unknown", "others unknown", "known : unknown", "unknown : unknown"], times)}
"""


def main() -> None:
    """Parse the command line and run."""
    quick = "--quick" in sys.argv[1:]
    began = report.Circumstances.now()
    with Platform(environment=NO_LIMITS, only=PROCESSES) as platform:
        found = uvloop.run(measure(platform, quick=quick))
    text = markdown(began, found)
    print(text)
    (report.RESULTS / f"identity{'-quick' if quick else ''}.md").write_text(text)


if __name__ == "__main__":
    main()
