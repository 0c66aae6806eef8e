import asyncio
import itertools
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from chassis.security.secrets import Cipher
from chassis.testing import running, until
from chassis.testing.servers import free_port
from contracts.identity import SecurityNoticed, VerificationRequested

PASSWORD = "correct horse battery"
ENVIRONMENT = {
    "LINK_KEY": "a link key for the tests",
    "TOTP_KEY": "a totp key for the tests",
    "IDENTITY_KEY": "a key for the tests' keys",
    "ADDRESS_ATTEMPTS": "100000",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def identity_env(service_env):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
async def client(identity_env):
    from identity.main import app  # noqa: PLC0415 - the settings read the environment of `identity_env`

    async with running(app) as client:
        yield client


@pytest.fixture
def email():
    """Return an address that no other test uses."""
    return f"person{next(_numbers)}@usher.example"


async def registered(client, email, **fields):
    """Sign up and return the response."""
    body = {"email": email, "password": PASSWORD, "name": "Ada"} | fields
    return await client.post("/api/auth/register", json=body)


async def mailed_token(bus, event_type, email):
    """Return the secret of the newest link that was mailed to the address."""
    await bus.wait_for(event_type, lambda event: event.email == email)
    told = bus.events(event_type, lambda event: event.email == email)[-1]
    return Cipher(ENVIRONMENT["LINK_KEY"]).decrypt(told.sealed_token)


async def noticed(bus, what, email):
    """Check that the owner of the address was notified."""
    return await bus.wait_for(SecurityNoticed, lambda event: (event.what, event.email) == (what, email))


async def logged_in(client, email, password=PASSWORD, **fields):
    """Log in and return the response."""
    return await client.post("/api/auth/login", json={"email": email, "password": password} | fields)


def bearer(answer):
    """Return the headers of the person who signed in with this response."""
    return {"Authorization": f"Bearer {answer['access_token']}"}


async def verified_account(client, bus, email):
    """Sign up and verify a person. Returns the profile as `me` does."""
    answer = await registered(client, email)
    assert answer.status_code == 201, answer.text
    token = await mailed_token(bus, VerificationRequested, email)
    verified = await client.post("/api/auth/verify-email", json={"token": token}, headers=bearer(answer.json()))
    assert verified.json() == {"email": email}
    return (await client.get("/api/users/me", headers=bearer(answer.json()))).json()


@pytest.fixture
async def account(client, bus, email):
    """A verified person, as returned by `me`."""
    return await verified_account(client, bus, email)


@pytest.fixture
async def signed_in(client, account):
    """Log in and return the response."""
    answer = await logged_in(client, account["email"])
    assert answer.status_code == 200, answer.text
    return answer.json()


@asynccontextmanager
async def another_process():
    """A client of another replica in a separate process."""
    port = free_port()
    uvicorn = ["-m", "uvicorn", "identity.main:app", "--port", str(port), "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(sys.executable, *uvicorn, stdout=asyncio.subprocess.DEVNULL)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def ready():
            try:
                return (await client.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        try:
            await until(ready)
            yield client
        finally:
            process.terminate()
            await process.wait()


@pytest.fixture(scope="session")
async def replica(client):
    """A second replica beside the one of `client`."""
    async with another_process() as replica:
        yield replica
