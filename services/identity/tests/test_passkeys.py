"""Passkeys: complete ceremonies with a software authenticator."""

import asyncio
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from identity import settings, store

from .authenticator import PRESENT, Authenticator, tampered
from .conftest import PASSWORD, bearer, logged_in, noticed, verified_account


@pytest.fixture(autouse=True)
def site(monkeypatch, identity_env):
    monkeypatch.setattr(settings.get(), "public_url", "http://127.0.0.1:8080")


async def offered(client, answer, password=PASSWORD):
    """Request the options for a new passkey."""
    begun = await client.post("/api/auth/passkeys/options", json={"password": password}, headers=bearer(answer))
    assert begun.status_code == 200, begun.text
    return begun.json()["public_key"]


async def added(client, answer, credential, name="Ada's phone"):
    body = {"credential": credential, "name": name}
    return await client.post("/api/auth/passkeys", json=body, headers=bearer(answer))


async def asked(client):
    """Request the options for a sign-in."""
    return (await client.post("/api/auth/passkeys/login/options")).json()["public_key"]


async def signs_in(client, credential, **fields):
    return await client.post("/api/auth/passkeys/login", json={"credential": credential} | fields)


def refusal(answer):
    return answer.status_code, answer.json()["code"]


REFUSED = (403, "passkey_refused")


@pytest.fixture
async def phone(client, signed_in):
    """A phone with a passkey of the signed-in person."""
    phone = Authenticator()
    answer = await added(client, signed_in, phone.create(await offered(client, signed_in)))
    assert answer.status_code == 201, answer.text
    return phone


async def test_a_passkey_signs_in_without_the_password(client, account, phone):
    answer = await signs_in(client, phone.get(await asked(client)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["user_id"] == account["user_id"]
    assert jwt.decode(answer.json()["access_token"], options={"verify_signature": False})["amr"] == ["pop"]
    assert (await client.get("/api/users/me", headers=bearer(answer.json()))).json()["passkeys"] == 1
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]})
    assert refreshed.status_code == 200


async def test_the_options_require_a_passkey_that_identifies_its_owner(client, account, signed_in, phone):
    options = await offered(client, signed_in)
    assert options["rp"] == {"id": "localhost", "name": "Usher"}
    assert options["user"]["name"] == account["email"]
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert len(options["excludeCredentials"]) == 1, "the existing one"
    request = await asked(client)
    assert request["userVerification"] == "required"
    assert not request.get("allowCredentials"), "it does not reveal who has passkeys"


async def test_they_are_listed_named_and_removed(client, bus, account, signed_in, phone):
    await noticed(bus, "passkey_added", account["email"])
    await signs_in(client, phone.get(await asked(client)))
    (kept,) = (await client.get("/api/auth/passkeys", headers=bearer(signed_in))).json()["items"]
    assert kept["name"] == "Ada's phone"
    assert kept["created_at"] < kept["last_used_at"]
    path = f"/api/auth/passkeys/{kept['passkey_id']}"
    assert (await client.delete(path, headers=bearer(signed_in))).status_code == 204
    assert refusal(await signs_in(client, phone.get(await asked(client)))) == REFUSED
    assert refusal(await client.delete(path, headers=bearer(signed_in))) == (404, "passkey_unknown")
    await noticed(bus, "passkey_removed", account["email"])


async def test_removing_one_requires_a_fresh_sign_in(client, account, signed_in, phone):
    (item,) = (await client.get("/api/auth/passkeys", headers=bearer(signed_in))).json()["items"]
    path = f"/api/auth/passkeys/{item['passkey_id']}"
    long_ago = {"$set": {"created_at": now() - timedelta(minutes=10)}}
    await store.Session.get_pymongo_collection().update_many({"user_id": account["user_id"]}, long_ago)
    assert refusal(await client.delete(path, headers=bearer(signed_in))) == (403, "fresh_sign_in_needed")
    fresh = await signs_in(client, phone.get(await asked(client)))
    assert (await client.delete(path, headers=bearer(fresh.json()))).status_code == 204


async def test_adding_one_requires_the_password(client, signed_in):
    wrong = await client.post(
        "/api/auth/passkeys/options", json={"password": "not the password"}, headers=bearer(signed_in)
    )
    assert refusal(wrong) == (403, "wrong_password")


async def test_it_counts_as_the_second_factor(client, account, phone, monkeypatch):
    monkeypatch.setattr(settings.get(), "second_factor_for_admins", True)
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"roles": ["admin"]}})
    answer = (await signs_in(client, phone.get(await asked(client)))).json()
    assert (answer["second_factor_required"], answer["user"]["roles"]) == (False, ["admin"])
    assert (await logged_in(client, account["email"])).json()["second_factor_required"] is True


@pytest.mark.parametrize("counts", [True, False])
async def test_a_response_works_once_even_on_two_replicas_concurrently(client, replica, phone, counts):
    phone.counts = counts
    credential = phone.get(await asked(client))
    answers = await asyncio.gather(*(signs_in(each, credential) for each in (client, replica) * 3))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 5
    assert refusal(await signs_in(client, credential)) == REFUSED


async def test_a_new_passkey_is_added_once(client, signed_in):
    phone = Authenticator()
    credential = phone.create(await offered(client, signed_in))
    answers = await asyncio.gather(*(added(client, signed_in, credential) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 3


async def test_a_challenge_lasts_five_minutes(client, phone):
    options = await asked(client)
    await store.Challenge.get_pymongo_collection().update_many({}, {"$set": {"expires_at": now()}})
    assert refusal(await signs_in(client, phone.get(options))) == REFUSED
    await asked(client)
    (made,) = await store.Challenge.find({"expires_at": {"$gt": now()}}).to_list()
    assert timedelta(minutes=4) < made.expires_at - now() <= timedelta(minutes=5)
    indexes = await store.Challenge.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_an_invented_challenge_is_refused(client, signed_in, phone):
    options = await asked(client)
    assert refusal(await signs_in(client, phone.get(options | {"challenge": "A" * 86}))) == REFUSED
    creating = await offered(client, signed_in)
    assert refusal(await signs_in(client, phone.get(options | {"challenge": creating["challenge"]}))) == REFUSED
    mixed = Authenticator().create(creating | {"challenge": options["challenge"]})
    assert refusal(await added(client, signed_in, mixed)) == REFUSED


@pytest.fixture
async def stranger(client, bus, email):
    """Another signed-in person."""
    theirs = f"else-{email}"
    await verified_account(client, bus, theirs)
    return (await logged_in(client, theirs)).json()


async def test_a_challenge_for_another_person_is_refused(client, signed_in, stranger):
    theirs = await offered(client, signed_in)
    assert refusal(await added(client, stranger, Authenticator().create(theirs))) == REFUSED


async def test_one_passkey_belongs_to_one_account(client, stranger, phone):
    assert refusal(await added(client, stranger, phone.create(await offered(client, stranger)))) == REFUSED


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8081", "https://localhost:8080"])
async def test_a_page_of_another_site_is_refused(client, signed_in, phone, origin):
    phone.origin = origin
    assert refusal(await signs_in(client, phone.get(await asked(client)))) == REFUSED
    assert refusal(await added(client, signed_in, phone.create(await offered(client, signed_in)))) == REFUSED


async def test_a_passkey_for_another_site_is_refused(client, signed_in, phone):
    assert refusal(await signs_in(client, phone.get(await asked(client) | {"rpId": "evil.example"}))) == REFUSED
    options = await offered(client, signed_in)
    elsewhere = Authenticator().create(options | {"rp": {"id": "evil.example"}})
    assert refusal(await added(client, signed_in, elsewhere)) == REFUSED


async def test_a_passkey_that_did_not_verify_its_owner_is_refused(client, signed_in, phone):
    phone.flags = PRESENT
    assert refusal(await signs_in(client, phone.get(await asked(client)))) == REFUSED
    careless = Authenticator(flags=PRESENT)
    assert refusal(await added(client, signed_in, careless.create(await offered(client, signed_in)))) == REFUSED


async def test_a_counter_that_goes_back_reveals_a_copy(client, phone):
    for _ in range(2):
        assert (await signs_in(client, phone.get(await asked(client)))).status_code == 200
    phone.used = 0
    assert refusal(await signs_in(client, phone.get(await asked(client)))) == REFUSED


async def test_of_a_passkey_and_its_copy_one_signs_in(client, replica, phone):
    credentials = []
    for _ in range(6):
        phone.used = 4
        credentials.append(phone.get(await asked(client)))
    answers = await asyncio.gather(
        *(signs_in(each, credential) for each, credential in zip((client, replica) * 3, credentials, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 5


@pytest.mark.parametrize("field", ["signature", "authenticatorData"])
async def test_a_changed_credential_is_refused(client, phone, field):
    assert refusal(await signs_in(client, tampered(phone.get(await asked(client)), field))) == REFUSED


async def test_another_key_under_a_known_id_is_refused(client, phone):
    stranger = Authenticator()
    stranger.id = phone.id
    assert refusal(await signs_in(client, stranger.get(await asked(client)))) == REFUSED
    assert refusal(await signs_in(client, Authenticator().get(await asked(client)))) == REFUSED


RUBBISH = [
    {},
    {"id": "x"},
    {"id": "x", "response": None},
    {"id": "x", "response": {"clientDataJSON": 5}},
    {"id": "x", "response": {"clientDataJSON": "AAAA"}},
    {"id": "x", "response": {"clientDataJSON": "W10"}},
    {"id": {"$ne": 1}, "response": {"clientDataJSON": "e30"}},
    {"id": "x", "response": {"clientDataJSON": "e30"}},
]


@pytest.mark.parametrize("credential", RUBBISH, ids=range(len(RUBBISH)))
async def test_an_invalid_passkey_is_refused(client, signed_in, credential):
    assert refusal(await signs_in(client, credential)) == REFUSED
    assert refusal(await added(client, signed_in, credential)) == REFUSED


@pytest.mark.parametrize("part", ["rawId", "type", "response", "clientExtensionResults"])
async def test_a_credential_without_a_part_is_refused(client, signed_in, phone, part):
    missing = {name: value for name, value in phone.get(await asked(client)).items() if name != part}
    assert (await signs_in(client, missing)).status_code in {200, 403}
    created = Authenticator().create(await offered(client, signed_in))
    created.pop(part)
    assert (await added(client, signed_in, created)).status_code in {201, 403}


@pytest.mark.parametrize("value", ["", "AAAA", 7, None, {"a": 1}, "ü"])
@pytest.mark.parametrize("field", ["authenticatorData", "signature", "attestationObject"])
async def test_a_credential_with_a_broken_part_is_refused(client, signed_in, phone, field, value):
    if field == "attestationObject":
        broken = Authenticator().create(await offered(client, signed_in))
        broken["response"][field] = value
        assert refusal(await added(client, signed_in, broken)) == REFUSED
    else:
        broken = phone.get(await asked(client))
        broken["response"][field] = value
        assert refusal(await signs_in(client, broken)) == REFUSED


async def test_a_closed_account_cannot_be_signed_in_to(client, account, phone):
    await store.User.get_pymongo_collection().update_one({"_id": account["user_id"]}, {"$set": {"is_active": False}})
    assert refusal(await signs_in(client, phone.get(await asked(client)))) == REFUSED


async def test_an_account_has_at_most_twenty(client, account, signed_in, phone):
    begun = await offered(client, signed_in)
    (first,) = (await store.User.get_pymongo_collection().find_one({"_id": account["user_id"]}) or {})["passkeys"]
    others = [first | {"passkey_id": f"p{n}", "credential_id": f"{account['user_id']}-{n}"} for n in range(19)]
    await store.User.get_pymongo_collection().update_one(
        {"_id": account["user_id"]}, {"$push": {"passkeys": {"$each": others}}}
    )
    assert refusal(await added(client, signed_in, Authenticator().create(begun))) == (409, "too_many_passkeys")
    full = await client.post("/api/auth/passkeys/options", json={"password": PASSWORD}, headers=bearer(signed_in))
    assert refusal(full) == (409, "too_many_passkeys")


async def test_the_owner_of_a_passkey_is_found_by_index(client):
    plan = await store.User.get_pymongo_collection().find({"passkeys.credential_id": "x", "is_active": True}).explain()
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
