import asyncio
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from chassis.testing import until
from contracts.identity import SecurityNoticed
from identity import settings, store
from identity.model import Grant, RefreshToken, SessionLimits, SessionOver
from identity.passwords import Passwords
from identity.store import people

from .conftest import PASSWORD, bearer, logged_in, noticed, registered
from .staff import someone

DAY, MONTH = (SessionLimits(timedelta(days=days), timedelta(days=days)) for days in (1, 30))


async def refreshed(client, token, **headers):
    return await client.post("/api/auth/refresh", json={"refresh_token": token}, headers=headers)


def session_id(answer):
    return jwt.decode(answer["access_token"], options={"verify_signature": False})["sid"]


async def let_grace_pass(answer):
    """Change the times, as if the last refresh was long ago."""
    changed = await store.Session.get_pymongo_collection().update_one(
        {"_id": session_id(answer)}, {"$set": {"replaced.until": now() - timedelta(milliseconds=1)}}
    )
    assert changed


async def test_a_refresh_token_is_exchanged_for_new_tokens(client, account, signed_in):
    answer = await refreshed(client, signed_in["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != signed_in["refresh_token"]
    assert answer.json()["user"] == signed_in["user"]
    assert session_id(answer.json()) == session_id(signed_in)
    assert answer.headers["cache-control"] == "no-store"


async def test_only_hashes_are_stored(account, client, signed_in):
    second = (await refreshed(client, signed_in["refresh_token"])).json()["refresh_token"]
    kept = str(await store.Session.get_pymongo_collection().find_one({"_id": session_id(signed_in)}))
    assert "family_hash" in kept
    for token in (signed_in["refresh_token"], second):
        assert not [part for part in RefreshToken.parse(token) if part in kept]


async def test_a_used_refresh_token_ends_the_whole_family_and_warns_its_owner_once(client, bus, account, signed_in):
    first = signed_in["refresh_token"]
    second = (await refreshed(client, first)).json()["refresh_token"]
    third = (await refreshed(client, second)).json()["refresh_token"]
    thief = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/130.0"}
    for _ in range(3):
        reused = await refreshed(client, first, **thief)
        assert (reused.status_code, reused.json()["code"]) == (401, "session_over")
    assert (await refreshed(client, third)).status_code == 401
    warning = await noticed(bus, "refresh_token_reused", account["email"])
    assert (warning.user_id, warning.device) == (account["user_id"], "Firefox on Windows")
    assert len(bus.events(SecurityNoticed, lambda event: event.notice_id != warning.notice_id
                          and event.email == account["email"])) == 0  # fmt: skip
    await until_void(client, signed_in)


async def test_reuse_does_not_end_the_persons_other_sessions(client, account, signed_in):
    other = await logged_in(client, account["email"])
    await refreshed(client, signed_in["refresh_token"])
    await let_grace_pass(signed_in)
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 401
    assert (await refreshed(client, other.json()["refresh_token"])).status_code == 200


async def test_two_tabs_that_refresh_concurrently_get_the_same_successor(client, replica, signed_in):
    tries = [refreshed(each, signed_in["refresh_token"]) for each in (client, replica) * 5]
    answers = await asyncio.gather(*tries)
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert successor != signed_in["refresh_token"]
    assert (await refreshed(replica, successor)).status_code == 200


async def test_a_token_reused_on_two_replicas_ends_the_family_with_one_warning(
    client, replica, bus, account, signed_in
):
    second = (await refreshed(replica, signed_in["refresh_token"])).json()["refresh_token"]
    await let_grace_pass(signed_in)
    answers = await asyncio.gather(*(refreshed(each, signed_in["refresh_token"]) for each in (client, replica) * 5))
    assert {answer.status_code for answer in answers} == {401}
    for each in (client, replica):
        assert (await refreshed(each, second)).status_code == 401
    await noticed(bus, "refresh_token_reused", account["email"])
    await logged_in(client, account["email"])
    assert len(bus.events(SecurityNoticed, lambda event: event.email == account["email"])) == 1


async def test_the_grace_period_covers_one_turn_only(client, signed_in):
    first = signed_in["refresh_token"]
    second = (await refreshed(client, first)).json()["refresh_token"]
    assert (await refreshed(client, first)).json()["refresh_token"] == second
    third = (await refreshed(client, second)).json()["refresh_token"]
    assert (await refreshed(client, second)).json()["refresh_token"] == third
    assert (await refreshed(client, first)).status_code == 401
    assert (await refreshed(client, third)).status_code == 401


async def test_the_grace_ends_after_ten_seconds(client, account):
    start = now()
    _, token = await store.open_session(account["user_id"], start, DAY, methods=["pwd"])
    _, successor = await store.turn_session(token, start, DAY)
    assert (await store.turn_session(token, start + store.GRACE - timedelta(milliseconds=1), DAY))[1] == successor
    with pytest.raises(SessionOver):
        await store.turn_session(token, start + store.GRACE, DAY)


async def test_logging_out_ends_the_session_and_can_be_repeated(client, signed_in):
    token = {"refresh_token": signed_in["refresh_token"]}
    assert (await client.post("/api/auth/logout", json=token)).status_code == 204
    assert (await client.post("/api/auth/logout", json=token)).status_code == 204
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 401
    await until_void(client, signed_in)


async def test_an_unknown_token_ends_nothing(client, signed_in):
    stranger = RefreshToken("a" * 43, RefreshToken.parse(signed_in["refresh_token"]).turn)
    assert (await refreshed(client, str(stranger))).status_code == 401
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 200


async def test_refreshes_do_not_extend_a_session_beyond_its_lifetime(client, account):
    start = now()
    _, token = await store.open_session(account["user_id"], start, MONTH, methods=["pwd"])
    session, token = await store.turn_session(token, start + timedelta(days=29), MONTH)
    assert session.last_used_at == start + timedelta(days=29)
    with pytest.raises(SessionOver):
        await store.turn_session(token, start + timedelta(days=30), MONTH)


async def test_mongodb_deletes_expired_sessions(client):
    indexes = await store.Session.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_sessions_are_listed_with_device_and_time_but_no_location(client, account, signed_in):
    phone = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"}
    credentials = {"email": account["email"], "password": PASSWORD}
    await client.post("/api/auth/login", json=credentials, headers=phone)
    answer = (await client.get("/api/auth/sessions", headers=bearer(signed_in))).json()
    newest, here, first = answer["items"]
    assert (newest["device"], newest["is_current"], newest["methods"]) == ("Safari on iPhone", False, ["pwd"])
    assert (here["session_id"], here["is_current"]) == (session_id(signed_in), True)
    assert first["created_at"] < here["created_at"] <= here["last_seen_at"]
    assert newest.keys() == {"session_id", "device", "methods", "created_at", "last_seen_at", "is_current"}
    assert answer["next_cursor"] is None


async def test_sessions_page_by_cursor(client, account, signed_in):
    for _ in range(3):
        await logged_in(client, account["email"])
    seen, cursor = [], None
    while True:
        page = await client.get(
            "/api/auth/sessions",
            headers=bearer(signed_in),
            params={"limit": 2} | ({"cursor": cursor} if cursor else {}),
        )
        seen += [session["session_id"] for session in page.json()["items"]]
        if (cursor := page.json()["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    for wrong in ("x", "bnVsbA", "WzFd"):
        answer = await client.get("/api/auth/sessions", headers=bearer(signed_in), params={"cursor": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


async def test_one_session_is_ended_from_another(client, account, signed_in):
    lost = (await logged_in(client, account["email"])).json()
    path = f"/api/auth/sessions/{session_id(lost)}"
    assert (await client.delete(path, headers=bearer(signed_in))).status_code == 204
    assert (await refreshed(client, lost["refresh_token"])).status_code == 401
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 200
    again = await client.delete(path, headers=bearer(signed_in))
    assert (again.status_code, again.json()["code"]) == (404, "session_unknown")
    await until_void(client, lost)
    assert (await client.get("/api/users/me", headers=bearer(signed_in))).status_code == 200
    told = (await client.get("/.well-known/revocations.json")).json()["ended"]
    assert (told[session_id(lost)], session_id(signed_in) in told) == (account["user_id"], False)


async def test_another_persons_session_cannot_be_ended(client, account, signed_in):
    stranger = await store.open_session("somebody else", now(), DAY, methods=["pwd"])
    answer = await client.delete(f"/api/auth/sessions/{stranger[0].id}", headers=bearer(signed_in))
    assert (answer.status_code, answer.json()["code"]) == (404, "session_unknown")
    assert await store.open_session_of("somebody else", stranger[0].id, now())


@pytest.mark.parametrize("keep_current", [False, True])
async def test_logging_out_everywhere(client, account, signed_in, keep_current):
    others = [(await logged_in(client, account["email"])).json() for _ in range(2)]
    answer = await client.delete("/api/auth/sessions", headers=bearer(signed_in), params={"keep_current": keep_current})
    assert answer.status_code == 204
    for other in others:
        assert (await refreshed(client, other["refresh_token"])).status_code == 401
    for each in (signed_in, *others):
        await until_void(client, each)
    renewed = await refreshed(client, signed_in["refresh_token"])
    assert renewed.is_success is keep_current
    if keep_current:
        assert (await client.get("/api/users/me", headers=bearer(renewed.json()))).status_code == 200
        assert len((await client.get("/api/auth/sessions", headers=bearer(renewed.json()))).json()["items"]) == 1


async def until_void(client, answer):
    """Wait until the access token is refused, as in every service."""

    async def refused():
        return (await client.get("/api/users/me", headers=bearer(answer))).json().get("code") == "token_invalid"

    await until(refused)


async def test_an_unverified_person_logs_out_everywhere(client, email):
    session = (await registered(client, email)).json()
    assert (await client.delete("/api/auth/sessions", headers=bearer(session))).status_code == 204
    assert (await refreshed(client, session["refresh_token"])).status_code == 401
    await until_void(client, session)


async def log_out_in_a_crash(client, answer, monkeypatch):
    """Log out everywhere; the process dies before it deletes the sessions."""

    async def crash(_):
        raise RuntimeError

    monkeypatch.setattr(people, "delete_ended_sessions", crash)
    assert (await client.delete("/api/auth/sessions", headers=bearer(answer))).status_code == 500


async def test_logging_out_everywhere_is_one_write(client, account, signed_in, monkeypatch):
    other = (await logged_in(client, account["email"])).json()
    await log_out_in_a_crash(client, signed_in, monkeypatch)
    for each in (signed_in, other):
        assert (await refreshed(client, each["refresh_token"])).status_code == 401


async def test_without_it_the_sessions_would_continue(client, account, signed_in, monkeypatch):
    await log_out_in_a_crash(client, signed_in, monkeypatch)
    monkeypatch.setattr(store.User, "is_signed_out", lambda *_: False)
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 200


async def log_in_while_the_password_is_changed(client, account, monkeypatch):
    """Somebody with the old password signs in; the owner changes it after that password was checked."""
    check = Passwords.check

    async def checked_too_early(passwords, password, password_hash):
        checked = await check(passwords, password, password_hash)
        user = await store.find_person(account["user_id"])
        await store.change_password(user, user.password_hash + " ", now(), "")
        return checked

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "check", checked_too_early)
        return (await logged_in(client, account["email"])).json()


async def test_a_session_counts_from_before_its_password_was_read(client, account, monkeypatch):
    stolen = await log_in_while_the_password_is_changed(client, account, monkeypatch)
    assert (await refreshed(client, stolen["refresh_token"])).status_code == 401
    await until_void(client, stolen)


async def test_counted_from_its_start_it_would_survive_the_change(client, account, monkeypatch):
    opened = store.open_session

    async def opened_now(user_id, since, limits, **fields):
        return await opened(user_id, now(), limits, **fields)

    monkeypatch.setattr(store, "open_session", opened_now)
    stolen = await log_in_while_the_password_is_changed(client, account, monkeypatch)
    assert (await refreshed(client, stolen["refresh_token"])).status_code == 200


async def made_older(answer, **fields):
    """Change the times, as if the session was opened or refreshed earlier."""
    earlier = {name: {"$subtract": [f"${name}", int(by.total_seconds() * 1000)]} for name, by in fields.items()}
    where = {"_id": session_id(answer)}
    assert (await store.Session.get_pymongo_collection().update_one(where, [{"$set": earlier}])).modified_count


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("roles", [["door_staff"], ["customer", "box_office"], ["admin"]])
@pytest.mark.parametrize(
    ("ages", "status"),
    [
        ({"last_used_at": HOUR - MINUTE}, 200),
        ({"last_used_at": HOUR}, 401),
        ({"created_at": 12 * HOUR - MINUTE}, 200),
        ({"created_at": 12 * HOUR}, 401),
    ],
)
async def test_a_session_of_staff_ends_after_a_shift_and_when_it_is_idle(client, bus, roles, ages, status):
    person = await someone(client, *roles)
    await made_older(person.answer, **ages)
    assert (await refreshed(client, person.answer["refresh_token"])).status_code == status
    assert not bus.events(SecurityNoticed, lambda event: event.user_id == person.user_id), (
        "no copy was used, so there is no warning"
    )


async def test_a_customers_session_is_not_idle_for_thirty_days(client):
    person = await someone(client, "customer")
    await made_older(person.answer, last_used_at=29 * timedelta(days=1), created_at=29 * timedelta(days=1))
    assert (await refreshed(client, person.answer["refresh_token"])).status_code == 200


async def test_a_customer_who_becomes_staff_gets_the_session_limits_of_staff(client):
    person = await someone(client, "customer")
    await made_older(person.answer, created_at=13 * HOUR)
    await store.change_grant(person.user_id, Grant(roles=["box_office"]), None, now())
    assert (await refreshed(client, person.answer["refresh_token"])).status_code == 401


async def test_an_access_token_does_not_outlive_its_session(client):
    person = await someone(client, "box_office")
    await made_older(person.answer, created_at=12 * HOUR - 5 * MINUTE, expires_at=12 * HOUR - 5 * MINUTE)
    answer = (await refreshed(client, person.answer["refresh_token"])).json()
    assert 290 < answer["expires_in"] <= 300
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == answer["expires_in"]


async def test_sessions_are_found_by_index(client):
    await store.sessions_of("u1", now(), None, 20)
    for where in ({"user_id": "u1", "is_open": True}, {"family_hash": "x", "is_open": True}):
        plan = await store.Session.get_pymongo_collection().find(where).sort("_id", -1).explain()
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
    ended = {"ended_at": {"$gt": now(), "$type": "date"}}
    plan = await store.Session.get_pymongo_collection().find(ended).explain()
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])


def test_the_grace_period_is_much_shorter_than_a_tokens_lifetime(identity_env):
    assert settings.get().access_token_lifetime > store.GRACE * 5
