"""A new password by mail, for somebody who has lost the second factor or does not know it."""

import asyncio
from datetime import timedelta

import pytest
from chassis.clock import now
from contracts.identity import AccessRevoked, PasswordResetRequested
from identity import jobs, settings, store
from identity.store import changes
from pyotp.totp import TOTP

from .authenticator import Authenticator
from .conftest import PASSWORD, bearer, logged_in, mailed_token, noticed
from .staff import audited
from .test_passkeys import added, asked, offered, signs_in, site  # noqa: F401 - a fixture

NEW = "a train to anywhere"


@pytest.fixture
async def app(client, signed_in):
    """The signed-in person's authenticator app."""
    begun = await client.post("/api/auth/mfa/totp", json={"password": PASSWORD}, headers=bearer(signed_in))
    app = TOTP(begun.json()["secret"])
    done = await client.post("/api/auth/mfa/totp/confirm", json={"code": code(app, -1)}, headers=bearer(signed_in))
    assert done.status_code == 201
    return app


def code(app, half_minutes):
    return app.at(now() + timedelta(seconds=30 * half_minutes))


async def reset(client, bus, email, **fields):
    await client.post("/api/auth/forgot-password", json={"email": email})
    token = await mailed_token(bus, PasswordResetRequested, email)
    answer = await client.post("/api/auth/reset-password", json={"token": token, "password": NEW} | fields)
    assert answer.status_code == 204, answer.text


async def keep(client, answer, password=NEW):
    return await client.post("/api/auth/mfa/keep", json={"password": password}, headers=bearer(answer))


async def removal_at(client, answer):
    return (await client.get("/api/auth/mfa", headers=bearer(answer))).json()["removal_at"]


async def make_due(account):
    changed = await store.User.get_pymongo_collection().update_one(
        {"_id": account["user_id"]}, {"$set": {"factor_removal.due_at": now()}}
    )
    assert changed.modified_count


async def test_a_factor_stays_unless_its_removal_is_requested(client, bus, account, app):
    await reset(client, bus, account["email"])
    await jobs.remove_factors()
    assert (await logged_in(client, account["email"], NEW)).json()["code"] == "second_factor_needed"
    answer = (await logged_in(client, account["email"], NEW, code=code(app, 0))).json()
    assert await removal_at(client, answer) is None


async def test_it_is_removed_after_a_delay_with_notices_and_its_sessions_end(client, bus, account, app):
    await reset(client, bus, account["email"], remove_factors=True)
    await noticed(bus, "factor_removal_requested", account["email"])
    answer = (await logged_in(client, account["email"], NEW, code=code(app, 0))).json()
    due_at = await removal_at(client, answer)
    assert due_at > (now() + settings.get().factor_removal_delay - timedelta(minutes=1)).isoformat()
    await jobs.remove_factors()
    await store.remove_factors(account["user_id"], now())
    assert (await logged_in(client, account["email"], NEW)).json()["code"] == "second_factor_needed", "not yet"
    await make_due(account)
    await jobs.remove_factors()
    assert (await logged_in(client, account["email"], NEW)).status_code == 200
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": answer["refresh_token"]})
    assert refreshed.status_code == 401
    await bus.wait_for(AccessRevoked, lambda event: (event.user_id, event.epoch) == (account["user_id"], 2))
    await noticed(bus, "second_factor_removed", account["email"])
    await audited("second_factor_removed", account["user_id"])


async def test_a_person_with_the_factor_can_keep_it(client, bus, account, app):
    await reset(client, bus, account["email"], remove_factors=True)
    answer = (await logged_in(client, account["email"], NEW, code=code(app, 0))).json()
    assert (await keep(client, answer, "not the password")).json()["code"] == "wrong_password"
    assert (await keep(client, answer)).status_code == 204
    assert await removal_at(client, answer) is None
    await noticed(bus, "factor_removal_cancelled", account["email"])
    await jobs.remove_factors()
    assert (await logged_in(client, account["email"], NEW)).json()["code"] == "second_factor_needed"


@pytest.mark.usefixtures("site")
async def test_a_password_without_the_factor_cancels_nothing(client, bus, account, signed_in):
    await added(client, signed_in, Authenticator().create(await offered(client, signed_in)))
    await reset(client, bus, account["email"], remove_factors=True)
    answer = (await logged_in(client, account["email"], NEW)).json()
    refused = await keep(client, answer)
    assert (refused.status_code, refused.json()["code"]) == (401, "second_factor_needed")
    assert await removal_at(client, answer)


@pytest.mark.usefixtures("site")
async def test_a_passkey_from_after_the_request_stays(client, bus, account, signed_in, app):
    unknown, own = Authenticator(), Authenticator()
    await added(client, signed_in, unknown.create(await offered(client, signed_in)))
    await reset(client, bus, account["email"], remove_factors=True)
    answer = (await logged_in(client, account["email"], NEW, code=code(app, 0))).json()
    await added(client, answer, own.create(await offered(client, answer, NEW)), "mine")
    await make_due(account)
    await jobs.remove_factors()
    assert (await signs_in(client, own.get(await asked(client)))).status_code == 200
    assert (await signs_in(client, unknown.get(await asked(client)))).status_code == 403


async def cancelled_while_it_is_removed(client, bus, account, app):
    """The person cancels after the job has read the account and before it writes."""
    await reset(client, bus, account["email"], remove_factors=True)
    await make_due(account)
    user = await store.find_person(account["user_id"])
    update = changes.users.update_and_get
    is_first = True

    async def cancel_first(where, change, **options):
        nonlocal is_first
        if is_first:
            is_first = False
            await store.keep_factors(user, "")
        return await update(where, change, **options)

    return cancel_first


async def test_a_cancelled_removal_does_not_happen(client, bus, account, app, monkeypatch):
    monkeypatch.setattr(changes.users, "update_and_get", await cancelled_while_it_is_removed(client, bus, account, app))
    await jobs.remove_factors()
    assert (await store.find_person(account["user_id"])).totp


async def test_without_the_guard_it_would_happen(client, bus, account, app, monkeypatch):
    cancel_first = await cancelled_while_it_is_removed(client, bus, account, app)

    async def unguarded(where, change, **options):
        return await cancel_first({"_id": where["_id"]}, change, **options)

    monkeypatch.setattr(changes.users, "update_and_get", unguarded)
    await jobs.remove_factors()
    assert (await store.find_person(account["user_id"])).totp is None


async def test_an_account_without_factors_has_nothing_to_remove(client, bus, account):
    await reset(client, bus, account["email"], remove_factors=True)
    answer = (await logged_in(client, account["email"], NEW)).json()
    assert await removal_at(client, answer) is None


async def test_many_jobs_at_once_remove_once(client, bus, account, app):
    await reset(client, bus, account["email"], remove_factors=True)
    await make_due(account)
    await asyncio.gather(*(jobs.remove_factors() for _ in range(5)))
    assert (await store.find_person(account["user_id"])).epoch == 2, "one for the reset, one for the removal"


async def test_due_removals_are_found_by_index(client):
    where = {"factor_removal.due_at": {"$lte": now(), "$type": "date"}}
    plan = await store.User.get_pymongo_collection().find(where).explain()
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
