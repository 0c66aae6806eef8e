"""The authenticator app and the recovery codes."""

import asyncio
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from identity import settings, store
from identity.api import attempts
from identity.model import GUESSES, PasskeyRefused, SecondFactorOff
from pyotp import parse_uri
from pyotp.totp import TOTP

from .conftest import PASSWORD, bearer, logged_in, noticed


def claims_of(answer):
    return jwt.decode(answer["access_token"], options={"verify_signature": False})


class App:
    """An authenticator app and the recovery codes. It never returns the same code twice."""

    def __init__(self, secret):
        self._totp, self._half_minute, self.recovery_codes = TOTP(secret), -1, []

    def code(self):
        """Return the next code that identity accepts: clocks may drift, so there are three."""
        self._half_minute += 1
        assert self._half_minute < 3, "a test uses three codes at most"
        return self.at(self._half_minute - 1)

    def at(self, half_minutes):
        return self._totp.at(now() + timedelta(seconds=30 * half_minutes))


async def ask(client, answer, path, **body):
    return await client.post(f"/api/auth/mfa/{path}", json=body, headers=bearer(answer))


async def state(client, answer):
    return (await client.get("/api/auth/mfa", headers=bearer(answer))).json()


@pytest.fixture
async def app(client, signed_in):
    """Set up the signed-in person's app."""
    offered = (await ask(client, signed_in, "totp", password=PASSWORD)).json()
    app = App(offered["secret"])
    confirmed = await ask(client, signed_in, "totp/confirm", code=app.code())
    assert confirmed.status_code == 201, confirmed.text
    app.recovery_codes = confirmed.json()["recovery_codes"]
    return app


async def test_an_app_is_active_once_a_code_was_confirmed(client, bus, account, signed_in):
    offered = await ask(client, signed_in, "totp", password=PASSWORD)
    assert parse_uri(offered.json()["uri"]).secret == offered.json()["secret"]
    assert await state(client, signed_in) == {
        "totp": False,
        "recovery_codes_left": 0,
        "passkeys": 0,
        "removal_at": None,
    }
    assert (await logged_in(client, account["email"])).status_code == 200, "not yet"
    app = App(offered.json()["secret"])
    for code in ("000000", "٠٠٠٠٠٠"):
        wrong = await ask(client, signed_in, "totp/confirm", code=code)
        assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_code")
    confirmed = await ask(client, signed_in, "totp/confirm", code=app.code())
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    assert await state(client, signed_in) == {
        "totp": True,
        "recovery_codes_left": 10,
        "passkeys": 0,
        "removal_at": None,
    }
    await noticed(bus, "totp_added", account["email"])
    again = await ask(client, signed_in, "totp", password=PASSWORD)
    assert (again.status_code, again.json()["code"]) == (409, "second_factor_on")
    without = await ask(client, signed_in, "totp/confirm", code=app.code())
    assert (without.status_code, without.json()["code"]) == (409, "second_factor_off")


async def test_an_abandoned_setup_cannot_be_completed_later(client, account, signed_in):
    app = App((await ask(client, signed_in, "totp", password=PASSWORD)).json()["secret"])
    earlier = {"$set": {"totp_offered_at": now() - timedelta(minutes=15)}}
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, earlier)
    answer = await ask(client, signed_in, "totp/confirm", code=app.code())
    assert (answer.status_code, answer.json()["code"]) == (409, "second_factor_off")


async def test_factors_are_added_only_beside_those_that_were_checked(client, account, signed_in):
    """Two writes between a request's check and its own write."""
    app = App((await ask(client, signed_in, "totp", password=PASSWORD)).json()["secret"])
    before = await store.find_person(account["user_id"])
    keys = [
        store.Passkey(
            passkey_id=f"k{n}",
            credential_id=f"c{n}-{before.id}",
            public_key=b"",
            sign_count=0,
            name="",
            created_at=now(),
        )
        for n in range(3)
    ]
    await store.add_passkey(before, keys[0], "")
    with pytest.raises(PasskeyRefused):
        await store.add_passkey(before, keys[1], "")
    with pytest.raises(SecondFactorOff):
        await store.take_totp(before, 1, [], "", now())
    await ask(client, signed_in, "totp/confirm", code=app.code())
    with pytest.raises(PasskeyRefused):
        await store.add_passkey(before.model_copy(update={"passkeys": keys[:1]}), keys[2], "")


async def test_the_setup_requires_the_password(client, signed_in):
    wrong = await ask(client, signed_in, "totp", password="not the password")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    assert (await client.post("/api/auth/mfa/totp", json={"password": PASSWORD})).status_code == 401


async def test_signing_in_requires_the_password_and_a_code(client, account, app):
    asked = await logged_in(client, account["email"])
    assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_needed")
    unknowing = await logged_in(client, account["email"], "not the password", code=app.at(0))
    assert unknowing.json()["code"] == "wrong_credentials", "without the password, nothing reveals the app"
    assert (await logged_in(client, account["email"], code="000000")).json()["code"] == "wrong_code"
    answer = await logged_in(client, account["email"], code=app.code())
    assert answer.status_code == 200
    assert claims_of(answer.json())["amr"] == ["pwd", "otp"]


async def test_no_code_works_twice_even_concurrently(client, replica, account, app):
    code = app.code()
    answers = await asyncio.gather(*(logged_in(each, account["email"], code=code) for each in (client, replica) * 3))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 5
    assert (await logged_in(client, account["email"], code=app.at(-1))).status_code == 403, "nor does an earlier one"
    assert (await logged_in(client, account["email"], code=app.code())).status_code == 200


async def test_a_phones_clock_may_be_half_a_minute_off_and_no_more(client, account, app):
    for half_minutes in (-3, 3, 40):
        assert (await logged_in(client, account["email"], code=app.at(half_minutes))).status_code == 403
    assert (await logged_in(client, account["email"], code=app.at(1))).status_code == 200


async def test_each_recovery_code_works_once_in_any_spelling(client, replica, account, signed_in, app):
    first, second, third, *_ = app.recovery_codes
    answers = await asyncio.gather(*(logged_in(each, account["email"], code=first) for each in (client, replica) * 3))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 5
    assert (await logged_in(client, account["email"], code=second.upper())).status_code == 200
    assert (await logged_in(client, account["email"], code=third.replace("-", " "))).status_code == 200
    assert (await state(client, signed_in))["recovery_codes_left"] == 7


async def test_the_owner_is_notified_that_a_recovery_code_was_used(client, bus, account, app):
    assert (await logged_in(client, account["email"], code=app.recovery_codes[0])).status_code == 200
    await noticed(bus, "recovery_code_used", account["email"])


async def test_new_recovery_codes_void_the_old_ones(client, bus, account, signed_in, app):
    renewed = await ask(client, signed_in, "recovery-codes", password=PASSWORD, code=app.code())
    fresh = renewed.json()["recovery_codes"]
    assert not set(fresh) & set(app.recovery_codes)
    assert (await logged_in(client, account["email"], code=app.recovery_codes[0])).status_code == 403
    assert (await logged_in(client, account["email"], code=fresh[0])).status_code == 200
    await noticed(bus, "recovery_codes_replaced", account["email"])


async def test_removing_the_app_requires_the_password_and_a_code(client, bus, account, signed_in, app):
    wrong = await ask(client, signed_in, "totp/remove", password="not the password", code=app.at(0))
    assert wrong.json()["code"] == "wrong_password"
    assert (await ask(client, signed_in, "totp/remove", password=PASSWORD, code="000000")).json()[
        "code"
    ] == "wrong_code"
    assert (await state(client, signed_in))["totp"] is True
    removed = await ask(client, signed_in, "totp/remove", password=PASSWORD, code=app.recovery_codes[0])
    assert removed.status_code == 204
    assert await state(client, signed_in) == {
        "totp": False,
        "recovery_codes_left": 0,
        "passkeys": 0,
        "removal_at": None,
    }
    assert (await logged_in(client, account["email"])).status_code == 200
    await noticed(bus, "totp_removed", account["email"])
    for path in ("totp/remove", "recovery-codes"):
        nothing = await ask(client, signed_in, path, password=PASSWORD, code="000000")
        assert (nothing.status_code, nothing.json()["code"]) == (409, "second_factor_off")


async def test_guessing_codes_is_throttled(client, account, app, monkeypatch):
    monkeypatch.setattr(attempts, "GUESSES", GUESSES._replace(first=timedelta(minutes=5)))
    codes = [(await logged_in(client, account["email"], code=f"{n:06}")).status_code for n in range(12)]
    assert codes == [403] * 10 + [429] * 2
    assert (await logged_in(client, account["email"], code=app.code())).status_code == 429


async def test_secrets_are_stored_encrypted_or_hashed(client, account, app):
    kept = str(await store.User.get_pymongo_collection().find_one({"_id": account["user_id"]}, {"outbox": 0}))
    assert "sealed_secret" in kept
    assert app._totp.secret not in kept
    assert not [code for code in app.recovery_codes if code in kept]


@pytest.fixture
async def admin(client, account, monkeypatch):
    """`account` as an admin on a site that requires a second factor of admins."""
    monkeypatch.setattr(settings.get(), "second_factor_for_admins", True)
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"roles": ["admin"]}})
    return account


async def test_an_admin_without_a_second_factor_has_no_admin_rights(client, admin):
    answer = (await logged_in(client, admin["email"])).json()
    assert answer["second_factor_required"] is True
    assert answer["user"]["roles"] == ["customer"]
    assert claims_of(answer)["permissions"] == []


async def test_an_admin_who_sets_one_up_has_them_from_the_next_refresh_on(client, admin):
    answer = (await logged_in(client, admin["email"])).json()
    app = App((await ask(client, answer, "totp", password=PASSWORD)).json()["secret"])
    await ask(client, answer, "totp/confirm", code=app.code())
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": answer["refresh_token"]})
    assert refreshed.json()["second_factor_required"] is False
    assert "users:write" in claims_of(refreshed.json())["permissions"]
    again = (await logged_in(client, admin["email"], code=app.code())).json()
    assert (again["second_factor_required"], again["user"]["roles"]) == (False, ["admin"])


async def test_where_it_is_not_required_the_password_is_enough(client, admin, monkeypatch):
    monkeypatch.setattr(settings.get(), "second_factor_for_admins", False)
    answer = (await logged_in(client, admin["email"])).json()
    assert (answer["second_factor_required"], answer["user"]["roles"]) == (False, ["admin"])


@pytest.mark.parametrize(
    ("public_url", "chosen", "needed"),
    [
        ("http://127.0.0.1:8080", None, False),
        ("https://usher.example", None, True),
        ("https://usher.example", False, False),
        ("http://localhost:8080", True, True),
    ],
)
def test_admins_need_one_unless_the_site_is_local(identity_env, monkeypatch, public_url, chosen, needed):
    monkeypatch.setattr(settings.get(), "public_url", public_url)
    monkeypatch.setattr(settings.get(), "second_factor_for_admins", chosen)
    assert settings.get().admins_need_second_factor is needed
