import asyncio
import json
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from chassis.security.secrets import new_secret
from contracts.identity import RegistrationRepeated, UserRegistered, VerificationRequested
from identity import settings, store

from .conftest import PASSWORD, bearer, logged_in, mailed_token, registered


async def verified(client, token):
    return await client.post("/api/auth/verify-email", json={"token": token, "password": PASSWORD})


def claims_of(answer):
    return jwt.decode(answer["access_token"], options={"verify_signature": False})


async def test_signing_up_opens_a_session_with_a_guests_rights(client, email):
    answer = await registered(client, email)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(answer.json())
    assert (claims["email"], claims["email_verified"]) == (email, False)
    assert claims["roles"] == claims["permissions"] == []
    me = await client.get("/api/users/me", headers=bearer(answer.json()))
    assert me.json()["email_verified"] is False
    for method, path in (("GET", "/api/auth/mfa"), ("GET", "/api/auth/passkeys"), ("PATCH", "/api/users/me")):
        refused = await client.request(method, path, headers=bearer(answer.json()), json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "email_unverified")


async def test_the_link_creates_an_account_with_the_same_id(client, bus, email):
    session = (await registered(client, email, locale="de-AT")).json()
    token = await mailed_token(bus, VerificationRequested, email)
    assert (await verified(client, token)).json() == {"email": email}
    said = await bus.wait_for(UserRegistered, lambda event: event.email == email)
    assert (said.user_id, said.name, said.roles) == (session["user"]["user_id"], "Ada", ["customer"])
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert claims_of(refreshed.json())["email_verified"] is True
    assert refreshed.json()["user"]["locale"] == "de-AT"
    assert (await logged_in(client, email)).json()["user"]["user_id"] == session["user"]["user_id"]


async def test_the_password_does_not_work_before_the_link_was_followed(client, email):
    await registered(client, email)
    answer = await logged_in(client, email)
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")


async def test_a_taken_address_gets_the_same_response_and_its_owner_a_mail(client, bus, account, email):
    fresh = await registered(client, "nobody-yet@usher.example")
    again = await registered(client, account["email"], password="another password", name="Mallory")
    assert again.status_code == fresh.status_code == 201
    assert again.json().keys() == fresh.json().keys()
    assert again.json()["user"].keys() == fresh.json()["user"].keys()
    assert again.json()["user"]["user_id"] != account["user_id"]
    told = await bus.wait_for(RegistrationRepeated, lambda event: event.email == account["email"])
    assert told.name == "Ada", "the owner's name, not what a stranger typed"
    assert len(bus.events(VerificationRequested, lambda event: event.email == account["email"])) == 1
    assert (await logged_in(client, account["email"], "another password")).status_code == 401
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_the_link_works_once_even_for_concurrent_requests(client, bus, email):
    await registered(client, email)
    token = await mailed_token(bus, VerificationRequested, email)
    answers = await asyncio.gather(*(verified(client, token) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 5
    assert (await verified(client, token)).json()["code"] == "link_void"
    assert len(bus.events(UserRegistered, lambda event: event.email == email)) == 1


async def test_of_two_registrations_the_one_whose_link_is_followed_counts(client, bus, email):
    await registered(client, email, password="what the stranger typed")
    await mailed_token(bus, VerificationRequested, email)
    await registered(client, email)
    await bus.wait_for(VerificationRequested, lambda event: event.email == email)

    async def tokens():
        return bus.events(VerificationRequested, lambda event: event.email == email)

    while len(await tokens()) < 2:
        await asyncio.sleep(0.02)
    assert (await verified(client, await mailed_token(bus, VerificationRequested, email))).status_code == 200
    assert (await logged_in(client, email)).status_code == 200
    assert (await logged_in(client, email, "what the stranger typed")).status_code == 401


async def test_the_link_of_a_second_registration_reports_the_taken_address(client, bus, email):
    for _ in range(2):
        await registered(client, email)
    first, second = await store.Registration.find({"email": email}).to_list()
    tokens = [new_secret(), new_secret()]
    for claim, token in zip((first, second), tokens, strict=True):
        mail = VerificationRequested(
            link_id="l", email=email, locale="en", sealed_token="", expires_at=now() + timedelta(hours=1)
        )
        assert await store.renew_token(claim, token, now() + timedelta(hours=1), mail)
    assert (await verified(client, tokens[0])).status_code == 200
    late = await verified(client, tokens[1])
    assert (late.status_code, late.json()["code"]) == (409, "email_taken")


async def test_a_link_expires(client, bus, email, monkeypatch):
    monkeypatch.setattr(settings.get(), "verification_hours", 0)
    await registered(client, email)
    late = await verified(client, await mailed_token(bus, VerificationRequested, email))
    assert (late.status_code, late.json()["code"]) == (410, "link_void")


async def test_a_mail_is_sent_again_and_voids_the_earlier_link(client, bus, email):
    session = (await registered(client, email)).json()
    first = await mailed_token(bus, VerificationRequested, email)
    answer = await client.post("/api/auth/verify-email/resend", headers=bearer(session))
    assert answer.status_code == 202
    while (second := await mailed_token(bus, VerificationRequested, email)) == first:
        await asyncio.sleep(0.02)
    assert (await verified(client, first)).status_code == 410
    assert (await verified(client, second)).status_code == 200
    gone = await client.post("/api/auth/verify-email/resend", headers=bearer(session))
    assert (gone.status_code, gone.json()["code"]) == (404, "user_gone")


async def test_the_mails_to_an_address_are_limited(client, email):
    answers = [await registered(client, email) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 6 + [429]
    assert answers[-1].json()["code"] == "too_many_attempts"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


async def test_only_hashes_are_stored_and_the_secret_travels_encrypted(client, bus, email):
    await registered(client, email)
    token = await mailed_token(bus, VerificationRequested, email)
    kept = await store.Registration.get_pymongo_collection().find_one({"email": email}, {"outbox": 0}) or {}
    assert kept["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    (told,) = bus.events(VerificationRequested, lambda event: event.email == email)
    for place in (json.dumps(kept, default=str), told.model_dump_json(), repr(told)):
        assert PASSWORD not in place
        assert token not in place
    assert told.sealed_token not in repr(told)


async def test_unverified_registrations_are_deleted(client, email):
    session = (await registered(client, email)).json()
    await store.Registration.get_pymongo_collection().update_one({"email": email}, {"$set": {"expires_at": now()}})
    answer = await client.post("/api/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")
    indexes = await store.Registration.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("de-AT,de;q=0.9,en;q=0.8", "de-AT"), ("", "en"), ("*", "en"), ("x" * 500, "en"), ("fr;q=1", "fr")],
)
async def test_mails_come_in_the_browsers_language(client, email, sent, kept):
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    answer = await client.post("/api/auth/register", json=body, headers={"Accept-Language": sent})
    assert answer.json()["user"]["locale"] == kept


@pytest.mark.parametrize("password", ["password1", "Password1", "iloveyou", "１２３４５６７８", "aaaaaaaaaaaa"])
async def test_the_commonest_passwords_are_refused(client, email, password):
    answer = await registered(client, email, password=password)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "password"])
    assert "attackers try it first" in answer.json()["detail"]


async def test_a_password_with_the_name_or_address_is_refused(client, email):
    for password in (email, email.upper(), "Adalovelace1815", "usher12345"):
        answer = await registered(client, email, password=password, name="Ada Lovelace")
        assert (answer.status_code, answer.json()["code"]) == (422, "password_refused")
        assert answer.json()["errors"][0]["loc"] == ["body", "password"]


async def test_longer_passwords_can_be_required(client, email, monkeypatch):
    monkeypatch.setattr(settings.get(), "min_password_length", 15)
    assert (await registered(client, email, password="fourteen signs")).status_code == 422
    assert (await registered(client, email, password="fifteen signs !")).status_code == 201


GOOD = {"email": "good@usher.example", "password": PASSWORD, "name": "Ada"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (GOOD | {"email": "no address"}, "email"),
        (GOOD | {"email": "a@usher.example\r\nBcc: b@usher.example"}, "email"),
        (GOOD | {"email": "käthe@usher.example"}, "email"),
        (GOOD | {"email": "a" * 300 + "@usher.example"}, "email"),
        (GOOD | {"email": {"$ne": ""}}, "email"),
        (GOOD | {"password": "short"}, "password"),
        (GOOD | {"password": "x" * 129}, "password"),
        (GOOD | {"password": "\ufdfa" * 100}, "password"),
        (GOOD | {"password": 12345678}, "password"),
        (GOOD | {"password": "\ud800 lone surrogate"}, "password"),
        (GOOD | {"name": " "}, "name"),
        (GOOD | {"name": "x" * 101}, "name"),
        (GOOD | {"name": "a\r\nb"}, "name"),
        (GOOD | {"name": "\ud800"}, "name"),
        (GOOD | {"locale": "en_US.UTF-8"}, "locale"),
        (GOOD | {"mode": "cookies"}, "mode"),
        (GOOD | {"roles": ["admin"]}, "roles"),
        (GOOD | {"email_verified": True}, "email_verified"),
        ({"email": GOOD["email"]}, "password"),
        ([], "body"),
    ],
)
async def test_invalid_input_is_refused_with_its_place_and_never_echoed(client, body, where):
    answer = await client.post(
        "/api/auth/register", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert where in answer.json()["errors"][0]["loc"]
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("token", ["", "x" * 42, "x" * 44, "ü" * 43, None, ["x" * 43], {"$ne": 1}])
async def test_an_invalid_token_is_no_link(client, token):
    for path in ("verify-email", "reset-password"):
        answer = await client.post(f"/api/auth/{path}", json={"token": token, "password": PASSWORD})
        assert answer.status_code == 422
