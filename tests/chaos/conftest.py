"""A platform that tests may break, and what every such test ends with."""

import os
from collections.abc import AsyncIterator

import httpx
import pytest
from facts import Facts
from house import House
from invariants import at_rest, violations
from launcher.platform import Platform
from launcher.ports import SERVICES
from launcher.settings import NO_LIMITS

from .crowd import Crowd

# Deadlines that pass within a test. SMTP_SECONDS also bounds how long a killed sender's mail waits for another one.
IMPATIENT = {
    "HOLD_SECONDS": "6",
    "PAYMENT_SECONDS": "6",
    "PIN_GRACE_SECONDS": "3",
    "SMTP_SECONDS": "1",
}
REPLICAS = {f"{service.upper()}_REPLICAS": os.environ.get("REPLICAS", "1") for service in SERVICES}
"""Replicas of each service. `make chaos` runs everything with one and with two."""


@pytest.fixture(scope="package")
async def arena() -> AsyncIterator[House]:
    """A platform with demo data and deadlines of seconds."""
    environment = NO_LIMITS | IMPATIENT | REPLICAS
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=30) as http:
        yield House(platform, http)


@pytest.fixture(scope="module")
async def race_track() -> AsyncIterator[House]:
    """One with the usual deadlines."""
    environment = NO_LIMITS | REPLICAS
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=60) as http:
        yield House(platform, http)


async def stands(arena: House, crowd: Crowd, seconds: float = 120) -> Facts:
    """The platform comes to rest, all invariants hold and everybody got what they were told."""
    now = await at_rest(arena.platform.env, seconds)
    assert violations(now) == []
    assert crowd.broken_promises(now) == []
    return now
