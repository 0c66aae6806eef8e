"""A separate platform for tests that need more than one service."""

from collections.abc import AsyncIterator

import httpx
import pytest
from cinema import Cinema
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

HASTY = {"HOLD_SECONDS": "8", "PAYMENT_SECONDS": "8", "PIN_GRACE_SECONDS": "2"}


@pytest.fixture(scope="session")
async def cinema() -> AsyncIterator[Cinema]:
    """A platform with demo data."""
    async with Platform(demo=True, environment=NO_LIMITS) as platform, httpx.AsyncClient(timeout=30) as http:
        yield Cinema(platform, http)


@pytest.fixture(scope="module")
async def impatient_cinema() -> AsyncIterator[Cinema]:
    """A platform whose deadlines are a few seconds."""
    async with Platform(demo=True, environment=NO_LIMITS | HASTY) as platform, httpx.AsyncClient(timeout=30) as http:
        yield Cinema(platform, http)
