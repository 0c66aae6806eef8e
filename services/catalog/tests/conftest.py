"""The service on real servers, with the demo loaded once."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pymongo.monitoring
import pytest
from chassis.clock import now
from chassis.testing import Bus, running

from .queries import Recorder
from .tmdb_server import TOKEN, TmdbServer, serving

_recorder = Recorder()
pymongo.monitoring.register(_recorder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the test that checks all queries of the run last."""
    items.sort(key=lambda item: "recorder" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """The queries that the service has made so far."""
    return _recorder


@pytest.fixture(scope="session")
def tmdb_server() -> Iterator[TmdbServer]:
    """A stand-in for TMDB at the address in the service's settings."""
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TMDB_URL", server.url)
        patch.setitem(os.environ, "TMDB_TOKEN", TOKEN)
        patch.setitem(os.environ, "TMDB_REQUESTS_PER_SECOND", "50")
        yield server


@pytest.fixture(scope="session")
async def client(service_env, tmdb_server) -> AsyncIterator[httpx.AsyncClient]:
    from catalog.main import app  # noqa: PLC0415 - reads the environment that the fixture sets

    async with running(app) as client:
        yield client


@pytest.fixture(scope="session")
async def loaded(client: httpx.AsyncClient, bus: Bus) -> dict[str, int]:
    """The number of documents that the loader has added."""
    from catalog import demo  # noqa: PLC0415

    return await demo.load(now())
