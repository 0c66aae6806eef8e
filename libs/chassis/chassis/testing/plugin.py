"""pytest fixtures. Servers start when the first test uses them and stop with the session."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from chassis.testing import servers
from chassis.testing.bus import Bus, tapped
from chassis.testing.signer import AUDIENCE, ISSUER, Signer, signing


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """A real MongoDB replica set."""
    with servers.mongo() as uri:
        yield uri


@pytest.fixture(scope="session")
def rabbitmq_uri() -> Iterator[str]:
    """A real RabbitMQ broker."""
    with servers.rabbitmq() as uri:
        yield uri


@pytest.fixture(scope="session")
def signer() -> Iterator[Signer]:
    """A signer of access tokens."""
    with signing() as signer:
        yield signer


@pytest.fixture(scope="session")
def service_env(mongo_uri: str, rabbitmq_uri: str, signer: Signer) -> Iterator[None]:
    """Set the environment variables with which a service's settings find the servers."""
    environment = {
        "MONGO_URI": mongo_uri,
        "RABBITMQ_URI": rabbitmq_uri,
        "JWKS_URL": signer.url,
        "TOKEN_ISSUER": ISSUER,
        "TOKEN_AUDIENCE": AUDIENCE,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setitem(os.environ, name, value)
        yield


@pytest.fixture(scope="session")
async def bus(rabbitmq_uri: str) -> AsyncIterator[Bus]:
    """A bus that records all events and can publish any."""
    async with tapped(rabbitmq_uri) as bus:
        yield bus
