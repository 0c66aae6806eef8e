"""Actions of admins: each is one write, and the last active admin stays."""

import asyncio
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.identity import (
    AccessRevoked,
    SecurityNoticed,
    UserDeactivated,
    UserReactivated,
    UserRolesChanged,
)
from identity import store
from identity.model import Grant, LastAdmin
from identity.store import admins

from .conftest import PASSWORD, bearer
from .staff import PEOPLE, Someone, audited, only_admins, someone


@pytest.fixture
async def admin(client) -> Someone:
    return await someone(client, "admin", name="Ada Admin")


async def role_of(person: Someone) -> list[str]:
    user = await store.find_person(person.user_id)
    return list(user.roles) if user.is_active else []


# ---------------------------------------------------------------- roles


async def test_new_roles_apply_from_the_next_token_on_and_the_old_one_is_void(client, bus, admin):
    grace = await someone(client)
    assert (await grace.ask("GET", PEOPLE)).status_code == 403
    told = await admin.act("PUT", f"{PEOPLE}/{grace.user_id}/roles", json={"roles": ["admin", "door_staff"]})
    assert told["roles"] == ["door_staff", "admin"]
    assert "users:write" in told["permissions"]

    async def void():
        return (await grace.ask("GET", "/api/users/me")).json().get("code") == "token_invalid"

    await until(void)
    again = await client.post("/api/auth/refresh", json={"refresh_token": grace.answer["refresh_token"]})
    assert (await client.get(PEOPLE, headers=bearer(again.json()))).status_code == 200
    said = await bus.wait_for(UserRolesChanged, lambda event: event.user_id == grace.user_id)
    assert said.roles == ["door_staff", "admin"]
    assert (await bus.wait_for(AccessRevoked, lambda event: event.user_id == grace.user_id)).epoch == 1
    assert (await bus.wait_for(SecurityNoticed, lambda event: event.user_id == grace.user_id)).what == "roles_changed"
    line = await audited("roles_changed", grace.user_id)
    assert (line.actor_id, line.before and line.before.roles) == (admin.user_id, ["customer"])
    assert line.after and line.after.roles == ["door_staff", "admin"]


async def test_the_token_has_the_theaters_that_a_manager_is_limited_to(client, admin):
    grace = await someone(client)
    grant = {"roles": ["theater_manager"], "theaters": ["rialto", "kino-international", "rialto"]}
    told = await admin.act("PUT", f"{PEOPLE}/{grace.user_id}/roles", json=grant)
    assert told["theaters"] == ["kino-international", "rialto"]
    await grace.signs_in()
    claims = jwt.decode(grace.answer["access_token"], options={"verify_signature": False})
    assert (claims["theaters"], claims["epoch"]) == (["kino-international", "rialto"], 1)
    assert "showtimes:write" in claims["permissions"]
    assert "users:read" not in claims["permissions"]


async def test_the_same_roles_again_change_nothing(client, bus, admin):
    grace = await someone(client)
    for _ in range(3):
        await admin.act("PUT", f"{PEOPLE}/{grace.user_id}/roles", json={"roles": ["box_office"]})
    assert (await store.find_person(grace.user_id)).epoch == 1
    await audited("roles_changed", grace.user_id)
    assert len(bus.events(UserRolesChanged, lambda event: event.user_id == grace.user_id)) == 1


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "roles"),
        ({"roles": []}, "roles"),
        ({"roles": ["king"]}, "roles"),
        ({"roles": ["customer"] * 11}, "roles"),
        ({"roles": "admin"}, "roles"),
        ({"roles": ["customer"], "permissions": ["users:write"]}, "permissions"),
        ({"roles": ["theater_manager"]}, "at least one theater"),
        ({"roles": ["admin"], "theaters": ["rialto"]}, "bound to no theater"),
        ({"roles": ["customer"], "theaters": ["rialto"]}, "bound to no theater"),
        ({"roles": ["box_office"], "theaters": ["a b"]}, "theaters"),
        ({"roles": ["box_office"], "theaters": [f"t{n}" for n in range(101)]}, "theaters"),
    ],
)
async def test_an_invalid_grant_is_refused(client, admin, body, place):
    grace = await someone(client)
    answer = await admin.ask("PUT", f"{PEOPLE}/{grace.user_id}/roles", json=body)
    assert answer.status_code == 422
    assert place in answer.json()["detail"]
    assert await role_of(grace) == ["customer"]


async def test_the_roles_can_be_read(admin):
    shown = {each["role"]: each["permissions"] for each in (await admin.act("GET", "/api/admin/roles"))["items"]}
    assert list(shown) == ["customer", "door_staff", "box_office", "theater_manager", "admin"]
    assert shown["door_staff"] == ["bookings:read", "tickets:check_in"]


# ---------------------------------------------------------------- who may

ASKED = [
    ("GET", PEOPLE),
    ("GET", f"{PEOPLE}/someone"),
    ("GET", f"{PEOPLE}/someone/sessions"),
    ("DELETE", f"{PEOPLE}/someone/sessions"),
    ("PUT", f"{PEOPLE}/someone/roles"),
    ("POST", f"{PEOPLE}/someone/deactivate"),
    ("POST", f"{PEOPLE}/someone/reactivate"),
    ("POST", f"{PEOPLE}/someone/reset-second-factor"),
    ("DELETE", f"{PEOPLE}/someone"),
    ("GET", "/api/admin/roles"),
    ("GET", "/api/admin/audit"),
    ("GET", "/api/admin/invitations"),
    ("POST", "/api/admin/invitations"),
    ("POST", "/api/admin/invitations/someone/renew"),
    ("DELETE", "/api/admin/invitations/someone"),
]


async def test_only_admins_are_allowed(client):
    manager = await someone(client, "theater_manager", "box_office", "door_staff", theaters=["rialto"])
    for method, path in ASKED:
        assert (await client.request(method, path)).status_code == 401
        assert (await client.request(method, path, headers={"Authorization": "Bearer x.y.z"})).status_code == 401
        refused = await manager.ask(method, path)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), path


async def test_an_admin_who_has_signed_out_is_refused_despite_a_valid_token(client, admin):
    await client.post("/api/auth/logout", json={"refresh_token": admin.answer["refresh_token"]})
    refused = await admin.ask("GET", PEOPLE)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_over")


@pytest.mark.parametrize(("method", "path"), [each for each in ASKED if "users/someone" in each[1]])
async def test_an_unknown_person_is_404(admin, method, path):
    unknown = await admin.ask(
        method, path.replace("someone", new_id()), json={"roles": ["customer"]} if method == "PUT" else None
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "user_unknown")
    strange = await admin.ask(method, path.replace("someone", "a b"))
    assert strange.status_code == 422
    huge = await admin.ask(method, path.replace("someone", "a" * 4000))
    assert huge.status_code == 422


# ---------------------------------------------------------------- in and out


async def test_a_deactivated_person_is_signed_out_at_once_and_notified(client, bus, admin):
    grace = await someone(client)
    shown = await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")
    assert shown["is_active"] is False
    assert (await grace.ask("GET", "/api/users/me")).status_code == 401
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": grace.answer["refresh_token"]})
    assert (refreshed.status_code, refreshed.json()["code"]) == (401, "session_over")
    refused = await grace.signs_in()
    assert (refused.status_code, refused.json()["code"]) == (401, "wrong_credentials")
    await bus.wait_for(UserDeactivated, lambda event: event.user_id == grace.user_id)
    told = await bus.wait_for(SecurityNoticed, lambda event: event.user_id == grace.user_id)
    assert (told.what, told.email) == ("account_deactivated", grace.email)
    assert (await audited("deactivated", grace.user_id)).actor_id == admin.user_id
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")
    assert (await store.find_person(grace.user_id)).epoch == 1, "a second time changes nothing"


async def test_a_reactivated_person_signs_in_again_with_the_same_roles(client, bus, admin):
    grace = await someone(client, "box_office")
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")
    shown = await admin.act("POST", f"{PEOPLE}/{grace.user_id}/reactivate")
    assert (shown["is_active"], shown["roles"]) == (True, ["box_office"])
    assert (await grace.ask("GET", "/api/users/me")).status_code == 401, "the old token stays void"
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": grace.answer["refresh_token"]})
    assert refreshed.status_code == 401, "and so does the old session"
    assert (await grace.signs_in()).status_code == 200
    assert (await grace.act("GET", "/api/users/me"))["roles"] == ["box_office"]
    await bus.wait_for(UserReactivated, lambda event: event.user_id == grace.user_id)
    await audited("reactivated", grace.user_id)


async def test_a_session_that_a_crash_left_open_does_not_come_back(client, admin):
    grace = await someone(client)
    closed = {"$set": {"is_active": False}, "$inc": {"version": 1}}
    await store.User.get_pymongo_collection().update_one({"_id": grace.user_id}, closed)  # and there the process died
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/reactivate")
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": grace.answer["refresh_token"]})
    assert refreshed.status_code == 401


async def test_concurrent_actions_are_applied_one_after_the_other(client, admin):
    grace = await someone(client)
    grants = [Grant(roles=["box_office"], theaters=[f"t{number}"]) for number in range(5)]
    await asyncio.gather(*(store.change_grant(grace.user_id, grant, admin.user_id, now()) for grant in grants))
    assert (await store.find_person(grace.user_id)).epoch == len(grants), "each voided the tokens of the previous one"

    async def entered() -> list[store.AuditEntry]:
        lines = await store.AuditEntry.find({"user_id": grace.user_id, "action": "roles_changed"}).to_list()
        return lines if len(lines) == len(grants) else []

    lines = await until(entered)
    before = {tuple(line.before.theaters) for line in lines if line.before}
    after = {tuple(line.after.theaters) for line in lines if line.after}
    assert after - before == {tuple((await store.find_person(grace.user_id)).theaters)}, (
        "each builds on the previous one"
    )


async def test_a_deactivated_persons_access_ends_in_another_replica_too(client, replica, admin):
    grace = await someone(client)
    assert (await replica.get("/api/users/me", headers=grace.headers)).status_code == 200
    before = now()
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")

    async def refused():
        return (await replica.get("/api/users/me", headers=grace.headers)).json().get("code") == "token_invalid"

    await until(refused)
    assert now() - before < timedelta(minutes=1)


async def test_the_revocations_are_listed_for_as_long_as_a_token_can_last(client, admin):
    grace = await someone(client)
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")
    told = (await client.get("/.well-known/revocations.json")).json()
    assert told["revoked"][grace.user_id] == 1
    long_ago = now() - timedelta(hours=1, seconds=1)
    await store.User.get_pymongo_collection().update_one({"_id": grace.user_id}, {"$set": {"revoked_at": long_ago}})
    assert grace.user_id not in (await client.get("/.well-known/revocations.json")).json()["revoked"]


async def test_an_admin_sees_and_ends_a_persons_sessions(client, admin):
    grace = await someone(client)
    for _ in range(2):
        await grace.signs_in()
    first = await admin.act("GET", f"{PEOPLE}/{grace.user_id}/sessions", params={"limit": 2})
    rest = await admin.act("GET", f"{PEOPLE}/{grace.user_id}/sessions", params={"cursor": first["next_cursor"]})
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    assert not any(each["is_current"] for each in first["items"] + rest["items"])
    assert "hash" not in str(first)
    await admin.act("DELETE", f"{PEOPLE}/{grace.user_id}/sessions")
    assert (await admin.act("GET", f"{PEOPLE}/{grace.user_id}/sessions"))["items"] == []
    assert (await grace.ask("GET", "/api/users/me")).status_code == 401
    assert (await grace.signs_in()).status_code == 200
    await audited("signed_out", grace.user_id)
    await audited("sessions_viewed", grace.user_id)


async def test_a_lost_second_factor_is_removed(client, bus, admin):
    grace = await someone(client)
    offer = await grace.act("POST", "/api/auth/mfa/totp", json={"password": PASSWORD})
    assert offer["secret"]
    await store.User.get_pymongo_collection().update_one(
        {"_id": grace.user_id}, {"$set": {"totp": {"sealed_secret": "x"}}}
    )
    assert (await admin.act("GET", f"{PEOPLE}/{grace.user_id}"))["second_factor"] is True
    shown = await admin.act("POST", f"{PEOPLE}/{grace.user_id}/reset-second-factor")
    assert shown["second_factor"] is False
    assert (await store.find_person(grace.user_id)).totp_offer is None
    assert (await grace.ask("GET", "/api/users/me")).status_code == 401
    assert (await grace.signs_in()).status_code == 200
    told = await bus.wait_for(SecurityNoticed, lambda event: event.user_id == grace.user_id)
    assert told.what == "second_factor_reset"
    await audited("second_factor_reset", grace.user_id)


# ---------------------------------------------------------------- the last admin


async def test_the_last_active_admin_stays(client, admin):
    other = await someone(client, "admin")
    await only_admins(admin)
    await store.User.get_pymongo_collection().update_one({"_id": other.user_id}, {"$set": {"is_active": False}})
    mine = f"{PEOPLE}/{admin.user_id}"
    for method, path, body in (
        ("PUT", f"{mine}/roles", {"roles": ["customer"]}),
        ("POST", f"{mine}/deactivate", None),
        ("DELETE", mine, None),
        ("POST", "/api/users/me/delete", {"password": PASSWORD}),
    ):
        refused = await admin.ask(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "last_admin"), path
    assert await role_of(admin) == ["admin"]
    await admin.act("PUT", f"{mine}/roles", json={"roles": ["box_office", "admin"]})
    await admin.signs_in()
    await admin.act("POST", f"{PEOPLE}/{other.user_id}/reactivate")
    await admin.act("PUT", f"{PEOPLE}/{other.user_id}/roles", json={"roles": ["admin", "door_staff"]})
    await admin.act("PUT", f"{mine}/roles", json={"roles": ["customer"]})
    assert await role_of(admin) == ["customer"]
    assert [each.active for each in await store.Admins.find().to_list()] == [[other.user_id]]


async def demote_each_other(one: Someone, two: Someone) -> list[Someone]:
    """Do both concurrently. Returns who is still an admin."""
    answers = await asyncio.gather(
        store.change_grant(two.user_id, Grant(roles=["customer"]), one.user_id, now()),
        store.change_grant(one.user_id, Grant(roles=["customer"]), two.user_id, now()),
        return_exceptions=True,
    )
    assert all(isinstance(answer, store.User | LastAdmin) for answer in answers), answers
    return [person for person in (one, two) if await role_of(person) == ["admin"]]


async def test_of_two_admins_who_demote_each_other_one_stays(client):
    for _ in range(10):
        one, two = await someone(client, "admin"), await someone(client, "admin")
        await only_admins(one, two)
        assert len(await demote_each_other(one, two)) == 1


async def test_without_the_guard_nobody_would_be_left(client, monkeypatch):
    one, two = await someone(client, "admin"), await someone(client, "admin")
    await only_admins(one, two)
    monkeypatch.setattr(admins, "somebody_else", lambda _: {})
    assert await demote_each_other(one, two) == []


async def test_of_many_admins_who_leave_concurrently_one_stays(client):
    people = [await someone(client, "admin") for _ in range(6)]
    await only_admins(*people)
    ways = (store.deactivate, store.delete_account)
    leaving = [ways[number % 2](person.user_id, person.user_id, now()) for number, person in enumerate(people)]
    answers = await asyncio.gather(*leaving, return_exceptions=True)
    assert sum(isinstance(answer, LastAdmin) for answer in answers) == 1
    left = [person for person in people if (user := await store.active_user(person.user_id)) and user.is_acting_admin]
    assert len(left) == 1


async def test_a_demotion_interrupted_by_a_crash_is_repaired(client, monkeypatch):
    one, two = await someone(client, "admin"), await someone(client, "admin")
    await only_admins(one, two)
    user = await store.find_person(one.user_id)
    await admins.leave(user)  # and here the process dies
    with pytest.raises(LastAdmin):
        await store.deactivate(two.user_id, one.user_id, now())
    await store.enter_missing()
    await store.deactivate(two.user_id, one.user_id, now())
    assert await role_of(one) == ["admin"]


async def test_an_addition_that_a_removal_overtook_has_no_effect(client):
    one, two = await someone(client, "admin"), await someone(client, "admin")
    await only_admins(one, two)
    as_admin = await store.find_person(one.user_id)
    await store.change_grant(one.user_id, Grant(roles=["customer"]), two.user_id, now())
    await admins.join(as_admin)
    with pytest.raises(LastAdmin):
        await store.deactivate(two.user_id, one.user_id, now())


# ---------------------------------------------------------------- finding people


async def test_people_are_found_by_prefixes_of_names_and_addresses(client, admin):
    mark = new_id()[-6:]
    emmy = await someone(client, name=f"Emmy Noëther{mark}", email=f"emmy.{new_id()}@usher.example")
    await someone(client, name=f"Emmy Bond{mark}")

    async def found(**params) -> list[str]:
        page = await admin.act("GET", PEOPLE, params=params)
        return [each["user_id"] for each in page["items"]]

    for search in (f"noether{mark}", f"NOËTHER{mark}", f"emm noether{mark}", f"noether{mark[:3]} em", emmy.email[:30]):
        assert await found(search=search) == [emmy.user_id], search
    assert await found(search="oether") == []
    assert await found(search=f"noether{mark} bond") == []
    for harmless in (".*", "^", "(", "\\", "$where", "\x00", "é" * 100):
        assert await found(search=harmless) == []


async def test_people_are_filtered_by_role_theater_and_state_and_paged(client, admin):
    theater = f"t-{new_id()}"
    staff = [await someone(client, "box_office", theaters=[theater]) for _ in range(5)]
    await someone(client, "theater_manager", theaters=[theater])
    await admin.act("POST", f"{PEOPLE}/{staff[0].user_id}/deactivate")
    wanted = {"role": "box_office", "theater": theater, "standing": "active", "limit": 2}
    seen, cursor = [], None
    while True:
        page = await admin.act("GET", PEOPLE, params=wanted | ({"cursor": cursor} if cursor else {}))
        seen += [each["user_id"] for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [person.user_id for person in reversed(staff[1:])]
    out = await admin.act("GET", PEOPLE, params={"theater": theater, "standing": "deactivated"})
    assert [each["user_id"] for each in out["items"]] == [staff[0].user_id]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "x" * 201},
        {"role": "king"},
        {"standing": "dead"},
        {"theater": "a b"},
        {"search": "x" * 101},
        {"unknown": "1"},
    ],
)
async def test_an_invalid_list_request_is_refused(admin, params):
    for path in (PEOPLE,):
        assert (await admin.ask("GET", path, params=params)).status_code == 422


async def test_details_contain_no_secret(client, admin):
    grace = await someone(client, "door_staff")
    shown = await admin.act("GET", f"{PEOPLE}/{grace.user_id}")
    assert shown.items() >= {"email": grace.email, "roles": ["door_staff"], "is_active": True, "passkeys": 0}.items()
    assert "hash" not in str(shown)
    assert (await audited("person_viewed", grace.user_id)).actor_id == admin.user_id


@pytest.mark.parametrize(
    "wanted",
    [
        store.Wanted(),
        store.Wanted(words=["ada"]),
        store.Wanted(words=["ada", "lovelace"]),
        store.Wanted(role="admin"),
        store.Wanted(theater="rialto"),
        store.Wanted(standing="deactivated", role="box_office"),
    ],
)
async def test_every_list_is_read_by_an_index(client, wanted):
    found = store.User.get_pymongo_collection().find(store.people_filter(wanted, None)).sort("_id", -1).limit(20)
    plan = await found.explain()
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
