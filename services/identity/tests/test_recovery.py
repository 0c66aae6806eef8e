"""A forgotten password: one mail, one use, all sessions end."""

import asyncio
from datetime import timedelta

import pytest
from chassis.clock import now
from contracts.identity import PasswordResetRequested, SecurityNoticed, VerificationRequested
from identity import settings, store

from .conftest import PASSWORD, bearer, logged_in, mailed_token, noticed, registered

NEW = "a train to anywhere"


async def forgot(client, email):
    return await client.post("/api/auth/forgot-password", json={"email": email})


async def reset(client, token, password=NEW):
    return await client.post("/api/auth/reset-password", json={"token": token, "password": password})


@pytest.fixture
async def token(client, bus, account):
    """Return the secret of a link for a new password of `account`."""
    assert (await forgot(client, account["email"])).status_code == 202
    return await mailed_token(bus, PasswordResetRequested, account["email"])


async def test_every_address_gets_the_same_response_and_only_an_account_a_mail(client, bus, account):
    known, unknown = await forgot(client, account["email"]), await forgot(client, "nobody-at-all@usher.example")
    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json()
    assert known.headers.keys() == unknown.headers.keys()
    told = await bus.wait_for(PasswordResetRequested, lambda event: event.email == account["email"])
    assert (told.name, told.locale) == ("Ada", "en")
    assert timedelta(minutes=55) < told.expires_at - now() <= timedelta(minutes=60)
    assert not bus.events(PasswordResetRequested, lambda event: event.email == "nobody-at-all@usher.example")


async def test_the_link_sets_a_new_password_and_ends_all_sessions(client, bus, account, signed_in, token):
    assert (await reset(client, token)).status_code == 204
    for path in ("/api/users/me", "/api/auth/sessions", "/api/auth/mfa"):
        answer = await client.get(path, headers=bearer(signed_in))
        assert answer.status_code == 401, path
        assert answer.json()["code"] in {"session_over", "token_invalid"}, "before and after identity's own event"
    refused = await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "session_over")
    assert (await logged_in(client, account["email"])).status_code == 401
    assert (await logged_in(client, account["email"], NEW)).status_code == 200
    await noticed(bus, "password_reset", account["email"])


async def test_the_link_works_once_even_on_two_replicas_concurrently(client, replica, bus, account, token):
    answers = await asyncio.gather(
        *(reset(each, token, f"the password of try {n}") for n, each in enumerate((client, replica) * 3))
    )
    assert sorted(answer.status_code for answer in answers) == [204] + [410] * 5
    (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 204]
    assert (await logged_in(client, account["email"], f"the password of try {winner}")).status_code == 200
    late = await reset(replica, token)
    assert (late.status_code, late.json()["code"]) == (410, "link_void")
    assert len(bus.events(SecurityNoticed, lambda event: event.email == account["email"])) == 1


async def test_using_one_link_voids_the_others(client, bus, account, token):
    await forgot(client, account["email"])
    while (second := await mailed_token(bus, PasswordResetRequested, account["email"])) == token:
        await asyncio.sleep(0.02)
    assert (await reset(client, second)).status_code == 204
    assert (await reset(client, token, "yet another password")).status_code == 410
    assert (await logged_in(client, account["email"], NEW)).status_code == 200


async def test_the_link_expires(client, bus, account, monkeypatch):
    monkeypatch.setattr(settings.get(), "reset_minutes", 0)
    await forgot(client, account["email"])
    late = await reset(client, await mailed_token(bus, PasswordResetRequested, account["email"]))
    assert (late.status_code, late.json()["code"]) == (410, "link_void")
    indexes = await store.Link.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_a_link_works_only_for_its_purpose(client, bus, email, token):
    await registered(client, email)
    verification = await mailed_token(bus, VerificationRequested, email)
    assert (await reset(client, verification)).status_code == 410
    assert (await client.post("/api/auth/verify-email", json={"token": token})).status_code == 410
    assert (await reset(client, token)).status_code == 204


async def test_after_a_refused_password_the_link_still_works(client, account, token):
    for password in ("password1", account["email"], "short"):
        answer = await reset(client, token, password)
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "password"])
    assert (await reset(client, token)).status_code == 204


async def test_a_new_password_resets_the_throttle(client, account, token):
    guesses = [await logged_in(client, account["email"], "not the password") for _ in range(12)]
    assert guesses[-1].status_code == 429
    assert (await reset(client, token)).status_code == 204
    assert (await logged_in(client, account["email"], NEW)).status_code == 200


async def test_a_closed_account_gets_no_link_and_uses_none(client, bus, account, token):
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"is_active": False}})
    assert (await forgot(client, account["email"])).status_code == 202
    assert (await reset(client, token)).status_code == 410
    assert len(bus.events(PasswordResetRequested, lambda event: event.email == account["email"])) == 1


async def test_the_link_is_void_after_a_change_of_the_password(client, account, signed_in, token):
    body = {"old_password": PASSWORD, "password": "the one I chose myself"}
    assert (await client.put("/api/users/me/password", json=body, headers=bearer(signed_in))).status_code == 200
    assert (await reset(client, token)).status_code == 410


async def test_the_mails_to_an_address_are_limited_with_and_without_an_account(client, account, email):
    for address in (account["email"], f"not-{email}"):
        codes = [(await forgot(client, address)).status_code for _ in range(7)]
        assert codes[:5] == [202] * 5, "the mail of the sign-up counts too"
        assert codes[-1] == 429
