"""An address that somebody else registered first: its owner's click on the link does not help that person."""

import asyncio

import pytest
from chassis.testing import until
from contracts.identity import AccessRevoked, EmailChangeRequested, VerificationRequested
from identity import store
from identity.store import registrations

from .conftest import PASSWORD, bearer, logged_in, mailed_token, registered, verified_account

OWNERS = "the owner chose this one"


async def verify(client, token, session=None, **fields):
    headers = bearer(session) if session else {}
    return await client.post("/api/auth/verify-email", json={"token": token} | fields, headers=headers)


def refusal(answer):
    return answer.status_code, answer.json()["code"]


async def refreshed(client, session):
    return await client.post("/api/auth/refresh", json={"refresh_token": session["refresh_token"]})


@pytest.fixture
async def stranger(client, email):
    """The session of somebody who has registered an address that belongs to another person."""
    return (await registered(client, email, name="Mallory")).json()


@pytest.fixture
async def token(bus, stranger, email):
    return await mailed_token(bus, VerificationRequested, email)


async def test_the_link_alone_confirms_nothing(client, bus, email, token, stranger):
    await verified_account(client, bus, f"other-{email}")
    somebody_else = (await logged_in(client, f"other-{email}")).json()
    for proof in ({}, {"session": somebody_else}):
        refused = await verify(client, token, **proof)
        assert refusal(refused) == (403, "proof_needed")
        assert refused.json()["can_choose_password"] is True
    assert refusal(await verify(client, token, password="not the password")) == (403, "wrong_password")
    assert (await client.get("/api/users/me", headers=bearer(stranger))).json()["email_verified"] is False
    for method in ("GET", "HEAD"):
        assert (await client.request(method, "/api/auth/verify-email", params={"token": token})).status_code == 405
    assert (await verify(client, token, stranger)).status_code == 200, "the link still works"


@pytest.mark.parametrize("proof", ["session", "password"])
async def test_the_session_or_the_password_that_registered_confirms_the_address(client, email, token, stranger, proof):
    proofs = {"session": {"session": stranger}, "password": {"password": PASSWORD}}
    assert (await verify(client, token, **proofs[proof])).json() == {"email": email}
    assert (await refreshed(client, stranger)).json()["user"]["email_verified"] is True
    assert (await logged_in(client, email)).status_code == 200


async def test_an_ended_session_proves_nothing(client, token, stranger):
    await client.post("/api/auth/logout", json={"refresh_token": stranger["refresh_token"]})
    assert refusal(await verify(client, token, stranger)) == (403, "proof_needed")


async def test_a_new_password_ends_what_the_stranger_had(client, bus, email, token, stranger):
    personal = await verify(client, token, new_password=email)
    assert refusal(personal) == (422, "password_refused")
    assert (await verify(client, token, new_password=OWNERS)).json() == {"email": email}
    assert refusal(await refreshed(client, stranger)) == (401, "session_over")
    assert (await logged_in(client, email)).status_code == 401
    assert (await logged_in(client, email, OWNERS)).json()["user"]["user_id"] == stranger["user"]["user_id"]
    revoked = await bus.wait_for(AccessRevoked, lambda event: event.user_id == stranger["user"]["user_id"])
    assert revoked.epoch == 1

    async def refused():
        answer = await client.get("/api/users/me", headers=bearer(stranger))
        return answer.json().get("code") == "token_invalid"

    await until(refused)


async def crash_before_the_sessions_are_deleted(client, token, monkeypatch):
    async def crash(_):
        raise RuntimeError

    monkeypatch.setattr(registrations, "delete_ended_sessions", crash)
    assert (await verify(client, token, new_password=OWNERS)).status_code == 500


async def test_the_write_that_creates_the_account_ends_the_strangers_session(
    client, email, token, stranger, monkeypatch
):
    await crash_before_the_sessions_are_deleted(client, token, monkeypatch)
    assert refusal(await refreshed(client, stranger)) == (401, "session_over")
    assert (await logged_in(client, email, OWNERS)).status_code == 200


async def test_without_that_the_stranger_would_be_in_the_account(client, token, stranger, monkeypatch):
    await crash_before_the_sessions_are_deleted(client, token, monkeypatch)
    monkeypatch.setattr(store.User, "is_signed_out", lambda *_: False)
    assert (await refreshed(client, stranger)).json()["user"]["email_verified"] is True


async def test_of_concurrent_confirmations_one_succeeds(client, replica, email, token, stranger):
    ways = [{"session": stranger}, {"password": PASSWORD}, {"new_password": OWNERS}]
    answers = await asyncio.gather(*(verify(each, token, **way) for way in ways for each in (client, replica)))
    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 5
    won_by_owner = any(answer.status_code == 200 for answer in answers[4:])
    assert (await logged_in(client, email, OWNERS)).is_success is won_by_owner
    assert (await refreshed(client, stranger)).is_success is not won_by_owner


async def test_a_link_to_a_new_address_requires_the_account(client, bus, account, signed_in):
    new = f"new-{account['email']}"
    body = {"email": new, "password": PASSWORD}
    assert (await client.post("/api/users/me/email", json=body, headers=bearer(signed_in))).status_code == 202
    token = await mailed_token(bus, EmailChangeRequested, new)
    for proof in ({}, {"new_password": OWNERS}):
        refused = await verify(client, token, **proof)
        assert refusal(refused) == (403, "proof_needed")
        assert refused.json()["can_choose_password"] is False
    assert (await verify(client, token, signed_in)).json() == {"email": new}


async def test_guessing_the_accounts_password_with_a_link_is_throttled(client, bus, account, signed_in):
    new = f"new-{account['email']}"
    body = {"email": new, "password": PASSWORD}
    await client.post("/api/users/me/email", json=body, headers=bearer(signed_in))
    token = await mailed_token(bus, EmailChangeRequested, new)
    client.cookies.clear()
    codes = [(await verify(client, token, password=f"guess {n}")).status_code for n in range(11)]
    assert codes == [403] * 10 + [429]
