"""An admin's second factor cannot be replaced with the password alone."""

import pytest
from identity import settings

from .authenticator import Authenticator
from .conftest import PASSWORD, bearer, logged_in
from .staff import someone
from .test_mfa import App


@pytest.fixture(autouse=True)
def site(identity_env, monkeypatch):
    monkeypatch.setattr(settings.get(), "public_url", "http://127.0.0.1:8080")
    monkeypatch.setattr(settings.get(), "second_factor_for_admins", True)


async def test_the_password_alone_does_not_replace_an_admins_passkey(client):
    admin = await someone(client, "admin")
    paths = ("/api/auth/passkeys/options", "/api/auth/mfa/totp")

    async def statuses(answer):
        return [
            (await client.post(path, json={"password": PASSWORD}, headers=bearer(answer))).status_code for path in paths
        ]

    weak = (await logged_in(client, admin.email)).json()
    begun = await client.post(paths[0], json={"password": PASSWORD}, headers=bearer(weak))
    phone = Authenticator()
    credential = phone.create(begun.json()["public_key"])
    body = {"credential": credential, "name": "Ada's phone"}
    passkey = (await client.post("/api/auth/passkeys", json=body, headers=bearer(weak))).json()

    weak = (await logged_in(client, admin.email)).json()
    assert await statuses(weak) == [401, 401]
    removed = await client.delete(f"/api/auth/passkeys/{passkey['passkey_id']}", headers=bearer(weak))
    assert (removed.status_code, removed.json()["code"]) == (401, "second_factor_needed")

    options = (await client.post("/api/auth/passkeys/login/options")).json()["public_key"]
    strong = await client.post("/api/auth/passkeys/login", json={"credential": phone.get(options)})
    assert strong.json()["user"]["roles"] == ["admin"]
    assert await statuses(strong.json()) == [200, 200]


async def test_a_setup_from_before_the_first_factor_cannot_be_completed_with_the_password_alone(client):
    admin = await someone(client, "admin")
    mine, weak = [(await logged_in(client, admin.email)).json() for _ in range(2)]

    async def post(answer, path, **body):
        return await client.post(f"/api/{path}", json=body, headers=bearer(answer))

    begun = [(await post(each, "auth/passkeys/options", password=PASSWORD)).json() for each in (mine, weak)]
    app = App((await post(weak, "auth/mfa/totp", password=PASSWORD)).json()["secret"])
    credentials = [Authenticator().create(each["public_key"]) for each in begun]
    assert (await post(mine, "auth/passkeys", credential=credentials[0], name="mine")).status_code == 201
    refused = [
        await post(weak, "auth/passkeys", credential=credentials[1], name="a thief's"),
        await post(weak, "auth/mfa/totp/confirm", code=app.code()),
        await client.post(
            "/api/users/me/email", json={"email": "thief@usher.example", "password": PASSWORD}, headers=bearer(weak)
        ),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(401, "second_factor_needed")] * 3
