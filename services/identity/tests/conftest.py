import itertools

import pytest
from chassis.testing import running

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def client(service_env):
    from identity.main import app  # noqa: PLC0415 - the settings read the environment of `service_env`

    async with running(app) as client:
        yield client


@pytest.fixture
async def account(client):
    """A new customer, as `register` answered."""
    body = {"email": f"person{next(_numbers)}@usher.example", "password": PASSWORD, "name": "Ada"}
    answer = await client.post("/api/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
async def signed_in(client, account):
    """The answer of a log-in."""
    answer = await client.post("/api/auth/login", json={"email": account["email"], "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json()
