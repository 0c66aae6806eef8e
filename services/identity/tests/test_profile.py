"""The signed-in person: profile, password, address."""

import asyncio

import pytest
from contracts.identity import EmailChangeRequested, RegistrationRepeated, SecurityNoticed, VerificationRequested

from .conftest import PASSWORD, bearer, logged_in, mailed_token, noticed

NEW = "a train to anywhere"


async def change_password(client, answer, **fields):
    body = {"old_password": PASSWORD, "password": NEW} | fields
    return await client.put("/api/users/me/password", json=body, headers=bearer(answer))


async def change_email(client, answer, email, **fields):
    body = {"email": email, "password": PASSWORD} | fields
    return await client.post("/api/users/me/email", json=body, headers=bearer(answer))


async def verified(client, token):
    return await client.post("/api/auth/verify-email", json={"token": token, "password": PASSWORD})


async def test_name_and_language_are_changed_and_other_fields_stay(client, account, signed_in):
    changed = await client.patch("/api/users/me", json={"name": "Ada King", "locale": "de"}, headers=bearer(signed_in))
    assert changed.json() == account | {"name": "Ada King", "locale": "de"}
    nothing = await client.patch("/api/users/me", json={}, headers=bearer(signed_in))
    assert nothing.json() == changed.json()
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert refreshed.json()["user"]["name"] == "Ada King"


async def test_me_links_to_the_bookings(client, account):
    assert account["bookings"] == "/api/bookings"
    assert not {"password_hash", "totp", "recovery_hashes"} & account.keys()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"locale": "x" * 50}, "locale"),
        ({"roles": ["admin"]}, "roles"),
        ({"email": "other@usher.example"}, "email"),
        ({"name": {"$set": 1}}, "name"),
    ],
)
async def test_an_invalid_change_is_refused_with_its_place(client, signed_in, body, where):
    answer = await client.patch("/api/users/me", json=body, headers=bearer(signed_in))
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", where])


async def test_changing_the_password_requires_the_old_one_and_ends_all_sessions(client, bus, account, signed_in):
    other = (await logged_in(client, account["email"])).json()
    changed = await change_password(client, signed_in)
    assert changed.status_code == 200
    for old in (signed_in, other):
        assert (await client.get("/api/users/me", headers=bearer(old))).status_code == 401
        refused = await client.post("/api/auth/refresh", json={"refresh_token": old["refresh_token"]})
        assert refused.status_code == 401
    left = (await client.get("/api/auth/sessions", headers=bearer(changed.json()))).json()["items"]
    assert [session["is_current"] for session in left] == [True]
    assert (await client.get("/api/users/me", headers=bearer(changed.json()))).json() == account
    assert (await logged_in(client, account["email"])).status_code == 401
    assert (await logged_in(client, account["email"], NEW)).status_code == 200
    await noticed(bus, "password_changed", account["email"])


async def test_a_wrong_old_password_changes_nothing(client, account, signed_in):
    wrong = await change_password(client, signed_in, old_password="not the password")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    missing = await client.put("/api/users/me/password", json={"password": NEW}, headers=bearer(signed_in))
    assert missing.status_code == 422
    personal = await change_password(client, signed_in, password=account["email"])
    assert (personal.status_code, personal.json()["code"]) == (422, "password_refused")
    nobody = await client.put("/api/users/me/password", json={"old_password": PASSWORD, "password": NEW})
    assert nobody.status_code == 401
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_guessing_the_password_with_a_stolen_token_is_throttled(client, signed_in):
    guesses = [await change_password(client, signed_in, old_password=f"guess {n}") for n in range(11)]
    assert {guess.status_code for guess in guesses[:9]} == {403}
    assert guesses[-1].status_code == 429
    assert (await change_password(client, signed_in)).status_code == 429, "the right one must wait as well"


async def test_of_two_concurrent_changes_one_succeeds(client, bus, account, signed_in):
    answers = await asyncio.gather(
        *(change_password(client, signed_in, password=f"the password of try {n}") for n in range(4))
    )
    (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert (await logged_in(client, account["email"], f"the password of try {winner}")).status_code == 200
    assert len(bus.events(SecurityNoticed, lambda event: event.email == account["email"])) == 1


async def test_a_new_address_applies_once_verified_and_the_old_one_is_notified(client, bus, account, signed_in):
    new = f"new-{account['email']}"
    assert (await change_email(client, signed_in, new)).status_code == 202
    await noticed(bus, "email_change_requested", account["email"])
    assert (await client.get("/api/users/me", headers=bearer(signed_in))).json()["email"] == account["email"]
    assert (await logged_in(client, new)).status_code == 401

    token = await mailed_token(bus, EmailChangeRequested, new)
    assert (await verified(client, token)).json() == {"email": new}
    told = await noticed(bus, "email_changed", account["email"])
    assert told.user_id == account["user_id"]
    assert (await client.get("/api/users/me", headers=bearer(signed_in))).json()["email"] == new
    assert (await logged_in(client, new)).json()["user"]["user_id"] == account["user_id"]
    assert (await logged_in(client, account["email"])).status_code == 401
    assert (await verified(client, token)).json()["code"] == "link_void"


async def test_a_new_address_requires_the_password(client, bus, signed_in, email):
    wrong = await change_email(client, signed_in, f"new-{email}", password="not the password")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    assert not bus.events(EmailChangeRequested, lambda event: event.email == f"new-{email}")


async def test_a_taken_address_gets_the_same_response_and_its_owner_is_notified(client, bus, account, signed_in):
    await client.post(
        "/api/auth/register", json={"email": "taken@usher.example", "password": PASSWORD, "name": "Grace"}
    )
    await verified(client, await _verification(bus, "taken@usher.example"))
    taken = await change_email(client, signed_in, "taken@usher.example")
    free = await change_email(client, signed_in, f"free-{account['email']}")
    assert taken.status_code == free.status_code == 202
    assert taken.json() == free.json()
    told = await bus.wait_for(RegistrationRepeated, lambda event: event.email == "taken@usher.example")
    assert told.name == "Grace"
    assert not bus.events(EmailChangeRequested, lambda event: event.email == "taken@usher.example")


async def _verification(bus, email):
    return await mailed_token(bus, VerificationRequested, email)


async def test_an_address_that_was_taken_in_the_meantime_stays_with_its_owner(client, bus, account, signed_in):
    wanted = f"wanted-{account['email']}"
    await change_email(client, signed_in, wanted)
    token = await mailed_token(bus, EmailChangeRequested, wanted)
    await client.post("/api/auth/register", json={"email": wanted, "password": PASSWORD, "name": "Grace"})
    assert (await verified(client, await _verification(bus, wanted))).status_code == 200
    late = await verified(client, token)
    assert (late.status_code, late.json()["code"]) == (409, "email_taken")
    assert (await client.get("/api/users/me", headers=bearer(signed_in))).json()["email"] == account["email"]


async def test_of_two_new_addresses_the_first_verified_one_applies(client, bus, account, signed_in):
    first, second = (f"{name}-{account['email']}" for name in ("first", "second"))
    await change_email(client, signed_in, first)
    await change_email(client, signed_in, second)
    tokens = [await mailed_token(bus, EmailChangeRequested, address) for address in (first, second)]
    assert [(await verified(client, token)).status_code for token in tokens] == [200, 410]
    assert (await client.get("/api/users/me", headers=bearer(signed_in))).json()["email"] == first


async def test_the_link_to_a_new_address_sets_no_password(client, bus, account, signed_in):
    new = f"new-{account['email']}"
    await change_email(client, signed_in, new)
    token = await mailed_token(bus, EmailChangeRequested, new)
    misused = await client.post("/api/auth/reset-password", json={"token": token, "password": NEW})
    assert (misused.status_code, misused.json()["code"]) == (410, "link_void")
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_a_changed_password_voids_the_link_to_a_new_address(client, bus, account, signed_in):
    new = f"new-{account['email']}"
    await change_email(client, signed_in, new)
    token = await mailed_token(bus, EmailChangeRequested, new)
    assert (await change_password(client, signed_in)).status_code == 200
    late = await client.post("/api/auth/verify-email", json={"token": token, "password": NEW})
    assert late.status_code == 410
