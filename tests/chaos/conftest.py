"""A platform that tests may break, and the check after every such test."""

import os
from collections.abc import AsyncIterator

import httpx
import pytest
from cinema import Cinema
from facts import Facts
from invariants import at_rest, violations
from launcher.platform import Platform
from launcher.ports import SERVICES
from launcher.settings import NO_LIMITS

from .crowd import Crowd

# Deadlines that pass within a test. SMTP_SECONDS also limits how long a killed sender's mail waits for another sender.
IMPATIENT = {
    "HOLD_SECONDS": "6",
    "PAYMENT_SECONDS": "6",
    "PIN_GRACE_SECONDS": "3",
    "SMTP_SECONDS": "1",
}
REPLICAS = {f"{service.upper()}_REPLICAS": os.environ.get("REPLICAS", "1") for service in SERVICES}
"""The number of replicas of each service. `make chaos` runs everything with one and with two."""


@pytest.fixture(scope="package")
async def arena() -> AsyncIterator[Cinema]:
    """A platform with demo data whose deadlines are a few seconds."""
    environment = NO_LIMITS | IMPATIENT | REPLICAS
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=30) as http:
        yield Cinema(platform, http)


@pytest.fixture(scope="module")
async def race_track() -> AsyncIterator[Cinema]:
    """A platform with the usual deadlines."""
    environment = NO_LIMITS | REPLICAS
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=60) as http:
        yield Cinema(platform, http)


async def stands(arena: Cinema, crowd: Crowd, seconds: float = 120) -> Facts:
    """Wait until the platform is at rest. Check all invariants and that every promise to a customer was kept."""
    now = await at_rest(arena.platform.env, seconds)
    assert violations(now) == []
    assert crowd.broken_promises(now) == []
    return now
