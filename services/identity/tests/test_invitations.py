"""Invitations to the staff."""

import asyncio
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from chassis.ids import new_id
from contracts.identity import InvitationRequested, UserRegistered
from identity import store
from identity.model import LinkVoid

from .conftest import PASSWORD, bearer, logged_in, mailed_token
from .staff import INVITATIONS, PEOPLE, Someone, audited, someone

MANAGER = {"roles": ["theater_manager"], "theaters": ["rialto"]}


@pytest.fixture
async def admin(client) -> Someone:
    return await someone(client, "admin", name="Ada Admin")


@pytest.fixture
async def invitation(admin, email):
    body = {"email": email, "name": "Grace Hopper", "locale": "de", "grant": MANAGER}
    return await admin.act("POST", INVITATIONS, json=body)


async def accept(client, token, password=PASSWORD, **fields):
    return await client.post("/api/auth/accept-invitation", json={"token": token, "password": password} | fields)


async def test_an_invited_person_chooses_a_password_and_gets_the_roles(client, bus, admin, invitation, email):
    mail = await bus.wait_for(InvitationRequested, lambda event: event.email == email)
    assert (mail.name, mail.locale, mail.user_id) == ("Grace Hopper", "de", invitation["invitation_id"])
    answer = await accept(client, await mailed_token(bus, InvitationRequested, email))
    assert answer.status_code == 201
    user = answer.json()["user"]
    assert (user["user_id"], user["email_verified"]) == (invitation["invitation_id"], True)
    assert (user["roles"], user["theaters"], user["locale"]) == (["theater_manager"], ["rialto"], "de")
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert "showtimes:write" in claims["permissions"]
    assert (await client.get("/api/users/me", headers=bearer(answer.json()))).status_code == 200
    assert (await logged_in(client, email)).status_code == 200
    await bus.wait_for(UserRegistered, lambda event: event.email == email)
    assert (await audited("invited", user["user_id"])).actor_id == admin.user_id
    line = await audited("invitation_accepted", user["user_id"])
    assert line.after and line.after.theaters == ["rialto"]
    shown = await admin.act("GET", INVITATIONS)
    assert user["user_id"] not in [each["invitation_id"] for each in shown["items"]]


async def test_an_invited_admin_counts_as_an_admin(client, bus, admin, email):
    body = {"email": email, "name": "Grace", "grant": {"roles": ["admin"]}}
    invitation = await admin.act("POST", INVITATIONS, json=body)
    await accept(client, await mailed_token(bus, InvitationRequested, email))
    (listed,) = await store.Admins.find().to_list()
    assert invitation["invitation_id"] in listed.active


async def test_the_link_works_once_even_for_concurrent_requests(client, bus, invitation, email):
    token = await mailed_token(bus, InvitationRequested, email)
    answers = await asyncio.gather(*(accept(client, token) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [410] * 4
    late = await accept(client, token)
    assert (late.status_code, late.json()["code"]) == (410, "link_void")
    assert len(bus.events(UserRegistered, lambda event: event.email == email)) == 1


async def test_a_link_expires_and_a_new_one_voids_it(client, bus, admin, invitation, email):
    first = await mailed_token(bus, InvitationRequested, email)
    path = f"{INVITATIONS}/{invitation['invitation_id']}"
    renewed = await admin.act("POST", f"{path}/renew")
    assert renewed["expires_at"] > invitation["expires_at"]
    while (second := await mailed_token(bus, InvitationRequested, email)) == first:
        await asyncio.sleep(0.02)
    assert (await accept(client, first)).status_code == 410
    await store.Invitation.get_pymongo_collection().update_one(
        {"_id": invitation["invitation_id"]}, {"$set": {"expires_at": now() - timedelta(seconds=1)}}
    )
    assert (await accept(client, second)).status_code == 410
    assert (await admin.ask("POST", f"{path}/renew")).json()["code"] == "invitation_unknown"
    assert (await admin.ask("DELETE", path)).status_code == 404


async def test_an_invitation_is_withdrawn(client, bus, admin, invitation, email):
    token = await mailed_token(bus, InvitationRequested, email)
    path = f"{INVITATIONS}/{invitation['invitation_id']}"
    assert (await admin.ask("DELETE", path)).status_code == 204
    gone = await admin.ask("DELETE", path)
    assert (gone.status_code, gone.json()["code"]) == (404, "invitation_unknown")
    assert (await accept(client, token)).status_code == 410
    assert (await logged_in(client, email)).status_code == 401
    await audited("invitation_withdrawn", invitation["invitation_id"])


async def test_withdrawing_and_accepting_at_once_ends_in_one_of_the_two(client, bus, admin, invitation, email):
    token = await mailed_token(bus, InvitationRequested, email)
    accepted, withdrawn = await asyncio.gather(
        accept(client, token), admin.ask("DELETE", f"{INVITATIONS}/{invitation['invitation_id']}")
    )
    assert (accepted.status_code, withdrawn.status_code) in {(201, 404), (410, 204)}


async def test_an_invitation_withdrawn_during_the_hashing_is_void(client, bus, admin, invitation, email):
    token, where = await mailed_token(bus, InvitationRequested, email), {"_id": invitation["invitation_id"]}
    for change in ({"withdrawn_at": now()}, {"withdrawn_at": None, "expires_at": now()}):
        await store.Invitation.get_pymongo_collection().update_one(where, {"$set": change})
        with pytest.raises(LinkVoid):
            await store.accept_invitation(token, "a hash", now())
    assert await store.user_with_email(email) is None


async def test_the_owner_of_an_account_is_not_invited(client, bus, admin, invitation, email):
    grace = await someone(client)
    refused = await admin.ask("POST", INVITATIONS, json={"email": grace.email, "name": "G", "grant": MANAGER})
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    await someone(client, email=email)
    late = await accept(client, await mailed_token(bus, InvitationRequested, email))
    assert (late.status_code, late.json()["code"]) == (409, "email_taken")


async def test_only_a_hash_of_the_link_is_stored(bus, invitation, email):
    token = await mailed_token(bus, InvitationRequested, email)
    kept = await store.Invitation.get_pymongo_collection().find_one({"_id": invitation["invitation_id"]}, {"outbox": 0})
    assert token not in str(kept)
    assert "token" not in invitation


async def test_open_invitations_are_listed_page_by_page(client, admin):
    made = [
        (await admin.act("POST", INVITATIONS, json={"email": f"{new_id()}@x.example", "name": "G", "grant": MANAGER}))
        for _ in range(3)
    ]
    first = await admin.act("GET", INVITATIONS, params={"limit": 2})
    rest = await admin.act("GET", INVITATIONS, params={"limit": 1, "cursor": first["next_cursor"]})
    assert first["items"] + rest["items"] == made[::-1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "x", "name": "G", "grant": MANAGER},
        {"email": "g@x.example", "name": "", "grant": MANAGER},
        {"email": "g@x.example", "name": "G" * 500, "grant": MANAGER},
        {"email": "g@x.example", "name": "G"},
        {"email": "g@x.example", "name": "G", "grant": {"roles": []}},
        {"email": "g@x.example", "name": "G", "grant": {"roles": ["theater_manager"]}},
        {"email": "g@x.example", "name": "G", "grant": MANAGER, "password": PASSWORD},
        {"email": "g@x.example", "name": "G", "grant": MANAGER, "locale": "x" * 50},
    ],
)
async def test_an_invalid_invitation_is_refused(admin, body):
    assert (await admin.ask("POST", INVITATIONS, json=body)).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"token": "A" * 43}, 422),
        ({"token": "A" * 42, "password": PASSWORD}, 422),
        ({"token": "A" * 43, "password": "short"}, 422),
        ({"token": "A" * 43, "password": "x" * 5000}, 422),
        ({"token": "A" * 43, "password": PASSWORD}, 410),
        ({"token": "A" * 43, "password": PASSWORD, "mode": "cookie"}, 403),
    ],
)
async def test_an_invalid_link_is_refused(client, body, status):
    assert (await client.post("/api/auth/accept-invitation", json=body)).status_code == status


async def test_the_password_must_not_be_the_name(client, bus, invitation, email):
    refused = await accept(client, await mailed_token(bus, InvitationRequested, email), "gracehopper1906")
    assert (refused.status_code, refused.json()["code"]) == (422, "password_refused")


async def test_the_mails_to_an_address_are_limited(admin, invitation):
    path = f"{INVITATIONS}/{invitation['invitation_id']}/renew"
    answers = [(await admin.ask("POST", path)).status_code for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2


async def test_the_person_is_in_the_list_of_people(client, bus, admin, invitation, email):
    await accept(client, await mailed_token(bus, InvitationRequested, email))
    (found,) = (await admin.act("GET", PEOPLE, params={"search": email}))["items"]
    assert found["user_id"] == invitation["invitation_id"]
