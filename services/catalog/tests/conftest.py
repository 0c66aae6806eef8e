"""The service on real servers, with the demo loaded once."""

from collections.abc import AsyncIterator

import httpx
import pytest
from chassis.clock import now
from chassis.testing import Bus, running


@pytest.fixture(scope="session")
async def client(service_env) -> AsyncIterator[httpx.AsyncClient]:
    from catalog.main import app  # noqa: PLC0415 - reads the environment that the fixture sets

    async with running(app) as client:
        yield client


@pytest.fixture(scope="session")
async def loaded(client: httpx.AsyncClient, bus: Bus) -> dict[str, int]:
    """How many documents the loader has added."""
    from catalog import demo  # noqa: PLC0415

    return await demo.load(now())
