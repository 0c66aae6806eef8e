import asyncio
import json
import sys

import pytest
from contracts.identity import UserRegistered
from identity import demo, passwords, settings, store

from .conftest import PASSWORD


async def test_registering_opens_a_customer_account_and_says_so(bus, account):
    assert account["roles"] == ["customer"]
    assert account["permissions"] == []
    assert not {"password", "password_hash"} & account.keys()
    said = await bus.heard(UserRegistered, lambda event: event.user_id == account["user_id"])
    assert (said.email, said.name, said.roles) == (account["email"], "Ada", ["customer"])


async def test_the_password_is_kept_as_argon2id_only(account):
    document = await store.User.collection().find_one({"_id": account["user_id"]}) or {}
    assert document["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in json.dumps(document, default=str)


async def test_of_many_who_register_one_address_at_once_one_wins(client, bus):
    bodies = [{"email": f"{e}@usher.example", "password": PASSWORD, "name": "A"} for e in ("race", "Race", "RACE") * 3]
    answers = await asyncio.gather(*(client.post("/api/auth/register", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 8
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"email_taken"}
    await bus.heard(UserRegistered, lambda event: event.email == "race@usher.example")
    assert len(bus.events(UserRegistered, lambda event: event.email == "race@usher.example")) == 1


async def test_logging_in_gives_tokens_that_open_me(client, account, signed_in):
    assert signed_in["token_type"] == "Bearer"
    assert signed_in["expires_in"] == 900
    assert signed_in["user"] == account
    answer = await client.get("/api/users/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"})
    assert answer.json() == account
    assert answer.headers["cache-control"] == "no-store"


async def test_any_spelling_of_the_address_logs_in(client, account):
    credentials = {"email": account["email"].upper(), "password": PASSWORD}
    assert (await client.post("/api/auth/login", json=credentials)).status_code == 200


async def test_a_wrong_password_and_an_unknown_address_get_one_answer(client, account):
    wrong = await client.post("/api/auth/login", json={"email": account["email"], "password": "not the password"})
    unknown = await client.post("/api/auth/login", json={"email": "nobody@usher.example", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    varying = {"correlation_id"}
    assert [{k: v for k, v in a.json().items() if k not in varying} for a in (wrong, unknown)] == [
        {
            "type": "urn:usher:problem:wrong_credentials",
            "title": "The e-mail address or the password is wrong.",
            "detail": "The e-mail address or the password is wrong.",
            "status": 401,
            "code": "wrong_credentials",
        }
    ] * 2


async def test_nobodys_password_never_fits_but_is_hashed_as_anybodys(service_env):
    works = passwords._works()
    assert not await passwords.is_password(PASSWORD, None)
    assert works.nobody.split("$")[:4] == (await passwords.hash_password(PASSWORD)).split("$")[:4]


async def test_hashing_leaves_the_event_loop_free(service_env):
    hashing = asyncio.gather(*(passwords.hash_password(PASSWORD) for _ in range(8)))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0.001)
    await hashing
    assert turns > 8


async def test_a_closed_account_can_neither_log_in_nor_refresh_nor_look(client, account, signed_in):
    await store.User.commit({"_id": account["user_id"]}, {"$set": {"is_active": False}})
    credentials = {"email": account["email"], "password": PASSWORD}
    assert (await client.post("/api/auth/login", json=credentials)).json()["code"] == "wrong_credentials"
    answer = await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")
    me = await client.get("/api/users/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"})
    assert (me.status_code, me.json()["code"]) == (404, "user_gone")


GOOD = {"email": "good@usher.example", "password": PASSWORD, "name": "Ada"}


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("register", GOOD | {"email": "no address"}, "email"),
        ("register", GOOD | {"email": "a@usher.example\r\nBcc: b@usher.example"}, "email"),
        ("register", GOOD | {"email": "a" * 300 + "@usher.example"}, "email"),
        ("register", GOOD | {"email": {"$ne": ""}}, "email"),
        ("register", GOOD | {"password": "short"}, "password"),
        ("register", GOOD | {"password": "x" * 129}, "password"),
        ("register", GOOD | {"password": "\ufdfa" * 100}, "password"),
        ("register", GOOD | {"password": 12345678}, "password"),
        ("register", GOOD | {"password": "\ud800 lone surrogate"}, "password"),
        ("register", GOOD | {"name": " "}, "name"),
        ("register", GOOD | {"name": "x" * 101}, "name"),
        ("register", GOOD | {"name": "a\r\nb"}, "name"),
        ("register", GOOD | {"name": "\ud800"}, "name"),
        ("register", GOOD | {"roles": ["admin"]}, "roles"),
        ("register", {"email": GOOD["email"]}, "password"),
        ("register", [], "body"),
        ("login", {"email": "x", "password": PASSWORD}, "email"),
        ("login", {"email": GOOD["email"], "password": ""}, "password"),
        ("login", {"email": GOOD["email"], "password": "x" * 100_000}, "password"),
        ("login", {"email": GOOD["email"], "password": {"$gt": ""}}, "password"),
        ("refresh", {"refresh_token": "rubbish"}, "refresh_token"),
        ("refresh", {"refresh_token": None}, "refresh_token"),
        ("refresh", {}, "refresh_token"),
        ("logout", {"refresh_token": "a" * 43 + "." + "b" * 43 + "\n"}, "refresh_token"),
        ("logout", {"refresh_token": ["a"]}, "refresh_token"),
    ],
)
async def test_bad_input_is_told_its_place_and_never_echoed(client, path, body, where):
    answer = await client.post(
        f"/api/auth/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert where in answer.json()["errors"][0]["loc"]
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"email": NaN}', b"null", b'{"\\ud800": 1}', b"[" * 9999]
)
async def test_a_body_that_is_not_json_is_told_so(client, content):
    answer = await client.post("/api/auth/login", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_demos_people_are_loaded_once_and_stay_as_they_are(client, bus):
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "identity.demo")
    assert await process.wait() == 0
    await store.User.commit({"email": "staff@usher.example"}, {"$set": {"name": "Renamed"}})
    await demo.load()
    roles = {}
    for email in demo.PEOPLE:
        answer = await client.post("/api/auth/login", json={"email": email, "password": demo.PASSWORD})
        roles[email] = answer.json()["user"]["roles"]
    assert roles == {
        "customer@usher.example": ["customer"],
        "staff@usher.example": ["box_office", "door_staff"],
        "admin@usher.example": ["admin"],
    }
    assert await store.User.find({"email": {"$in": list(roles)}}).count() == 3
    assert await store.User.find_one({"email": "staff@usher.example", "name": "Renamed"})
    for email in roles:
        await bus.heard(UserRegistered, lambda event, email=email: event.email == email, seconds=15)


def test_weak_hashing_cannot_be_configured(monkeypatch):
    monkeypatch.setenv("ARGON2_MEMORY_KIB", "8")
    with pytest.raises(ValueError, match="19456"):
        settings.Settings()
