"""The refresh token as a cookie: its attributes, and which pages may use it."""

import pytest
from identity import settings
from identity.api.cookies import DEVICE_NAME, NAME, SECURE_NAME

from .conftest import PASSWORD, bearer, logged_in

OWN = {"Sec-Fetch-Site": "same-origin"}
ORIGIN = {"Origin": "http://127.0.0.1:8080"}


def attributes(answer):
    """Return name, value and attributes of the session cookie that the response sets; attributes in lower case."""
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if not each.startswith(DEVICE_NAME)]
    pair, *rest = cookie.split("; ")
    return *pair.split("=", 1), {part.lower() for part in rest}


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(settings.get(), "public_url", "http://127.0.0.1:8080")


async def sign_in(client, email, headers=OWN):
    return await client.post(
        "/api/auth/login", json={"email": email, "password": PASSWORD, "mode": "cookie"}, headers=headers
    )


async def with_cookie(client, path, token, headers, name=NAME):
    """A request of a browser that keeps the token; httpx's own jar would keep more than intended."""
    answer = await client.post(f"/api/auth/{path}", json={}, headers={"Cookie": f"{name}={token}"} | headers)
    client.cookies.clear()
    return answer


async def test_the_refresh_token_goes_into_a_cookie_that_no_script_reads(client, site, account):
    answer = await sign_in(client, account["email"])
    name, token, told = attributes(answer)
    client.cookies.clear()
    assert (answer.status_code, answer.json()["refresh_token"]) == (200, None)
    assert name == "usher_session"
    assert {"httponly", "samesite=strict", "path=/api/auth"} <= told
    assert "secure" not in told, "a browser stores no secure cookie of http://127.0.0.1"
    assert token not in answer.text
    assert any(part.startswith("max-age=") and 2_591_900 < int(part[8:]) <= 2_592_000 for part in told)


async def test_outside_this_machine_the_cookie_is_secure(client, account, monkeypatch):
    monkeypatch.setattr(settings.get(), "public_url", "https://usher.example")
    name, _, told = attributes(await sign_in(client, account["email"], {"Origin": "https://usher.example"}))
    client.cookies.clear()
    assert name == "__Secure-usher_session"
    assert {"secure", "httponly", "samesite=strict", "path=/api/auth"} <= told


async def test_a_page_refreshes_with_the_cookie_and_gets_the_next_one(client, site, account):
    _, first, _ = attributes(await sign_in(client, account["email"]))
    answer = await with_cookie(client, "refresh", first, ORIGIN)
    assert (answer.status_code, answer.json()["refresh_token"]) == (200, None)
    _, second, _ = attributes(answer)
    assert second != first
    me = await client.get("/api/users/me", headers=bearer(answer.json()))
    assert me.json() == account


async def test_an_expired_cookie_is_deleted(client, site, account):
    token = ".".join(["A" * 43] * 2)
    answer = await with_cookie(client, "refresh", token, OWN)
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")
    assert answer.headers["content-type"] == "application/problem+json"
    name, value, told = attributes(answer)
    assert (name, value.strip('"')) == (NAME, "")
    assert "max-age=0" in told
    without = await client.post("/api/auth/refresh", json={}, headers=OWN)
    assert without.status_code == 401


async def test_logging_out_ends_the_session_and_deletes_the_cookie(client, site, account):
    _, token, _ = attributes(await sign_in(client, account["email"]))
    answer = await with_cookie(client, "logout", token, OWN)
    assert answer.status_code == 204
    assert "max-age=0" in attributes(answer)[2]
    assert (await with_cookie(client, "refresh", token, OWN)).status_code == 401


FOREIGN = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8080.evil.example"},
    {"Origin": "http://127.0.0.1:8081"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_sites_page_can_neither_use_nor_plant_nor_end_a_session(client, site, account, headers):
    _, token, _ = attributes(await sign_in(client, account["email"]))
    for answer in (
        await with_cookie(client, "refresh", token, headers),
        await with_cookie(client, "logout", token, headers),
        await sign_in(client, account["email"], headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert "set-cookie" not in answer.headers
    assert (await with_cookie(client, "refresh", token, OWN)).status_code == 200


async def test_every_sign_in_checks_the_origin(client, site, account, signed_in):
    body = {"email": "new@usher.example", "password": PASSWORD, "name": "Ada", "mode": "cookie"}
    passkey = {"credential": {"id": "x"}, "mode": "cookie"}
    change = {"old_password": PASSWORD, "password": "another password", "mode": "cookie"}
    for answer in (
        await client.post("/api/auth/register", json=body),
        await client.post("/api/auth/passkeys/login", json=passkey),
        await client.put("/api/users/me/password", json=change, headers=bearer(signed_in)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_a_configured_origin_may_use_the_cookie(client, site, account, monkeypatch):
    monkeypatch.setattr(settings.get(), "cors_origins", ["https://partner.example"])
    answer = await sign_in(client, account["email"], {"Origin": "https://partner.example"})
    client.cookies.clear()
    assert answer.status_code == 200


async def test_a_token_in_the_body_needs_no_origin_and_sets_no_cookie(client, site, signed_in):
    evil = {"Sec-Fetch-Site": "cross-site", "Cookie": f"{NAME}=whatever"}
    answer = await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]}, headers=evil)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.json()["refresh_token"]


async def test_the_cookie_is_accepted_only_for_the_refresh(client, site, account):
    _, token, _ = attributes(await sign_in(client, account["email"]))
    for name in (NAME, SECURE_NAME):
        answer = await client.get("/api/users/me", headers={"Cookie": f"{name}={token}"} | OWN)
        assert answer.status_code == 401
    client.cookies.clear()


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c", "%00", "é" * 20, "x" * 3000])
async def test_an_invalid_cookie_is_no_session(client, site, rubbish):
    header = f"{NAME}={rubbish}".encode()
    headers = {b"Cookie": header, b"Sec-Fetch-Site": b"same-origin"}
    answer = await client.post("/api/auth/refresh", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")
    assert "max-age=0" in attributes(answer)[2]
    assert (await client.post("/api/auth/logout", json={}, headers=headers)).status_code == 204
    client.cookies.clear()
