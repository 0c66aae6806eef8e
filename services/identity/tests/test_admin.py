"""`python -m identity.admin`: the first admin, without a password that anybody else knows."""

import asyncio
import re
import sys

import pytest
from chassis.ids import new_id
from chassis.testing import until
from contracts.identity import SecurityNoticed, UserRegistered
from identity import store

from .conftest import PASSWORD, logged_in
from .staff import PEOPLE, audited, only_admins, someone


async def command(*arguments: str, typed: str = "") -> tuple[int, str, str]:
    """Return exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "identity.admin", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaints = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), complaints.decode()


@pytest.fixture
def address() -> str:
    return f"{new_id()}@usher.example"


async def test_the_first_admin_types_a_password(client, bus, address):
    await only_admins()
    status, out, complaints = await command(address, "--name", "Ada Admin", typed=f"{PASSWORD}\n")
    assert (status, out, complaints) == (0, "The admin can sign in now.\n", "")
    answer = await logged_in(client, address)
    assert answer.json()["user"]["roles"] == ["admin"]
    user = await store.user_with_email(address)
    assert user
    (listed,) = await store.Admins.find().to_list()
    assert listed.active == [user.id]
    await bus.wait_for(UserRegistered, lambda event: event.email == address)
    assert (await audited("admin_created", user.id)).actor_id is None


async def test_the_first_admin_gets_a_link_that_works_once(client, address):
    status, out, _ = await command(address, "--link")
    assert status == 0
    found = re.search(r"/accept-invitation#token=(\S{43})\n", out)
    assert found
    accept = {"token": found[1], "password": PASSWORD}
    answer = await client.post("/api/auth/accept-invitation", json=accept)
    assert answer.json()["user"]["roles"] == ["admin"]
    assert (await client.post("/api/auth/accept-invitation", json=accept)).status_code == 410


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("\n", "8 to 128 characters"),
        ("password1\n", "attackers try it first"),
        ("x" * 200, "8 to 128"),
        ("ada admin 1", "your name or address"),
    ],
)
async def test_an_invalid_password_creates_no_admin(client, address, typed, complaint):
    status, out, complaints = await command(address, "--name", "Ada Admin", typed=typed)
    assert (status, out) == (1, "")
    assert complaint in complaints
    assert "Traceback" not in complaints
    assert await store.user_with_email(address) is None


@pytest.mark.parametrize(
    "arguments", [("not an address",), ("a@usher.example", "--name", ""), ("a" * 300 + "@x.example",)]
)
async def test_an_invalid_address_is_reported(client, arguments):
    status, out, complaints = await command(*arguments, typed=PASSWORD)
    assert (status, out) == (1, "")
    assert complaints
    assert "Traceback" not in complaints


async def test_the_owner_of_an_account_becomes_an_admin_without_a_password(client, bus):
    grace = await someone(client, "theater_manager", theaters=["rialto"])
    status, out, _ = await command(grace.email)
    assert (status, out) == (0, "This person is an admin now.\n")
    assert (await store.find_person(grace.user_id)).theaters == []
    line = await audited("roles_changed", grace.user_id)
    assert line.actor_id is None

    async def void():
        return (await grace.ask("GET", "/api/users/me")).status_code == 401

    await until(void)
    await grace.signs_in()
    assert (await grace.ask("GET", PEOPLE)).status_code == 200
    status, _, complaints = await command(grace.email)
    assert (status, complaints) == (1, "This person is already an active admin.\n")


async def test_a_closed_account_stays_closed(client):
    grace = await someone(client)
    await store.User.get_pymongo_collection().update_one({"_id": grace.user_id}, {"$set": {"is_active": False}})
    status, _, complaints = await command(grace.email)
    assert status == 1
    assert "deactivated" in complaints


async def test_an_admin_who_has_lost_the_second_factor_gets_in_again(client, bus):
    grace = await someone(client, "admin")
    await store.User.get_pymongo_collection().update_one(
        {"_id": grace.user_id}, {"$set": {"totp": {"sealed_secret": "x"}}}
    )
    assert (await grace.signs_in()).json()["code"] == "second_factor_needed"
    status, out, _ = await command(grace.email, "--reset-second-factor")
    assert status == 0
    assert "sessions have ended" in out
    assert (await grace.signs_in()).status_code == 200
    told = await bus.wait_for(SecurityNoticed, lambda event: event.user_id == grace.user_id)
    assert told.what == "second_factor_reset"
    assert (await command("nobody-at-all@usher.example", "--reset-second-factor"))[0] == 1
