import asyncio
import json
import sys

import pytest
from argon2 import PasswordHasher
from contracts.identity import PasswordResetRequested, UserRegistered
from identity import demo, settings, store
from structlog.testing import capture_logs

from .conftest import PASSWORD, bearer, logged_in, mailed_token


async def test_a_log_in_returns_valid_tokens(client, account, signed_in):
    assert signed_in["token_type"] == "Bearer"
    assert signed_in["expires_in"] == 900
    assert signed_in["second_factor_required"] is False
    assert signed_in["user"]["user_id"] == account["user_id"]
    answer = await client.get("/api/users/me", headers=bearer(signed_in))
    assert answer.json() == account
    assert answer.headers["cache-control"] == "no-store"


async def test_any_spelling_of_the_address_logs_in(client, account):
    assert (await logged_in(client, account["email"].upper())).status_code == 200


async def test_a_wrong_password_and_an_unknown_address_get_the_same_response(client, account):
    wrong = await logged_in(client, account["email"], "not the password")
    unknown = await logged_in(client, "nobody@usher.example")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert [{k: v for k, v in a.json().items() if k != "correlation_id"} for a in (wrong, unknown)] == [
        {
            "type": "urn:usher:problem:wrong_credentials",
            "title": "The e-mail address or password is wrong, or the address has not been confirmed yet.",
            "detail": "The e-mail address or password is wrong, or the address has not been confirmed yet.",
            "status": 401,
            "code": "wrong_credentials",
        }
    ] * 2


@pytest.fixture
def passwords(client):
    """The service's hashing threads."""
    from identity.main import app  # noqa: PLC0415 - the settings read the environment of `identity_env`

    return app.state.passwords


async def test_an_unknown_address_never_matches_but_its_password_is_hashed(passwords):
    assert not (await passwords.check(PASSWORD, None)).fits
    assert passwords._nobody.split("$")[:4] == (await passwords.hash(PASSWORD)).split("$")[:4]


async def kept_hash(account):
    user = await store.active_user(account["user_id"])
    assert user
    return user.password_hash


async def test_a_weaker_hash_is_replaced_at_the_next_log_in(client, account):
    weak = PasswordHasher(1, 8192, parallelism=1).hash(PASSWORD)
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"password_hash": weak}})
    await logged_in(client, account["email"], "not the password")
    assert await kept_hash(account) == weak
    assert (await logged_in(client, account["email"])).status_code == 200
    assert (await kept_hash(account)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_hashing_does_not_block_the_event_loop(passwords):
    hashing = asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(8)))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0.001)
    await hashing
    assert turns > 8


async def test_a_full_queue_answers_503_with_retry_after(client, account, passwords, monkeypatch):
    monkeypatch.setattr(passwords, "room", 2)
    answers = await asyncio.gather(*(logged_in(client, f"crowd{n}@usher.example") for n in range(12)))
    assert {answer.status_code for answer in answers} == {401, 503}
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert (busy.json()["code"], busy.headers["retry-after"]) == ("busy", "5")
    assert passwords.room == 2
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_no_log_line_has_a_secret_or_an_address(client, bus, account):
    with capture_logs() as lines:
        answer = (await logged_in(client, account["email"])).json()
        await logged_in(client, account["email"], "not the password")
        again = await client.post("/api/auth/refresh", json={"refresh_token": answer["refresh_token"]})
        await client.post("/api/auth/forgot-password", json={"email": account["email"]})
        token = await mailed_token(bus, PasswordResetRequested, account["email"])
        await client.post("/api/auth/reset-password", json={"token": token, "password": "a train to anywhere"})
        await client.post("/api/auth/reset-password", json={"token": token, "password": "a train to anywhere"})
    told = str(lines)
    assert "logged_in" in told
    assert "password_reset" in told
    secrets = [answer["access_token"], answer["refresh_token"], again.json()["refresh_token"], token]
    for secret in (*secrets, PASSWORD, "not the password", "a train to anywhere", account["email"]):
        assert secret not in told


async def test_a_closed_account_can_neither_log_in_nor_refresh_nor_read(client, account, signed_in):
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"is_active": False}})
    assert (await logged_in(client, account["email"])).json()["code"] == "wrong_credentials"
    me = await client.get("/api/users/me", headers=bearer(signed_in))
    assert (me.status_code, me.json()["code"]) == (404, "user_gone")
    answer = await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")


GOOD = {"email": "good@usher.example", "password": PASSWORD}


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("login", GOOD | {"email": "x"}, "email"),
        ("login", GOOD | {"password": ""}, "password"),
        ("login", GOOD | {"password": "x" * 100_000}, "password"),
        ("login", GOOD | {"password": {"$gt": ""}}, "password"),
        ("login", GOOD | {"code": "1"}, "code"),
        ("login", GOOD | {"code": 123456}, "code"),
        ("login", GOOD | {"code": "1" * 41}, "code"),
        ("refresh", {"refresh_token": "rubbish"}, "refresh_token"),
        ("refresh", {"refresh_token": "ü" * 43 + "." + "b" * 43}, "refresh_token"),
        ("refresh", [], "body"),
        ("logout", {"refresh_token": "a" * 43 + "." + "b" * 43 + "\n"}, "refresh_token"),
        ("logout", {"refresh_token": ["a"]}, "refresh_token"),
    ],
)
async def test_invalid_input_is_refused_with_its_place_and_never_echoed(client, path, body, where):
    answer = await client.post(f"/api/auth/{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert where in answer.json()["errors"][0]["loc"]
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"email": NaN}', b"null", b'{"\\ud800": 1}', b"[" * 9999]
)
async def test_a_body_that_is_not_json_is_refused(client, content):
    answer = await client.post("/api/auth/login", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_form_of_another_site_does_not_log_in(client, account):
    """Pages of other sites can send forms and plain text without a preflight; neither is JSON."""
    body = json.dumps({"email": account["email"], "password": PASSWORD})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await client.post("/api/auth/login", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 422


async def test_the_demos_people_are_loaded_once_and_not_changed(client, bus):
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "identity.demo")
    assert await process.wait() == 0
    await store.User.get_pymongo_collection().update_one(
        {"email": "staff@usher.example"}, {"$set": {"name": "Renamed"}}
    )
    await demo.load()
    roles = {}
    for email in demo.PEOPLE:
        answer = await logged_in(client, email, demo.PASSWORD)
        roles[email] = answer.json()["user"]["roles"]
    assert roles == {
        "customer@usher.example": ["customer"],
        "staff@usher.example": ["box_office", "door_staff"],
        "admin@usher.example": ["admin"],
    }
    assert await store.User.find({"email": {"$in": list(roles)}}).count() == 3
    assert await store.User.find_one({"email": "staff@usher.example", "name": "Renamed"})
    for email in roles:
        await bus.wait_for(UserRegistered, lambda event, email=email: event.email == email)


@pytest.mark.parametrize(
    ("variable", "value"), [("ARGON2_MEMORY_KIB", "8"), ("ARGON2_PASSES", "1"), ("LINK_KEY", "short")]
)
def test_weak_hashing_and_short_keys_cannot_be_configured(identity_env, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable.lower()):
        settings.get.__wrapped__()
