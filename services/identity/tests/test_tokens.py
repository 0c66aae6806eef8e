"""The chassis verifies tokens with identity's published keys, as every service does."""

import asyncio
import base64
import json
import time
from datetime import timedelta

import jwt
import pytest
from chassis.clock import now
from chassis.security.auth import TokenInvalid, Verifier, published_at
from chassis.security.secrets import CannotDecrypt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from identity import migrations, settings, store
from identity.keys import SigningKeys
from pydantic import SecretStr

from .conftest import bearer


@pytest.fixture
def keys(client):
    return SigningKeys(settings.get())


@pytest.fixture
def verifier(client):
    """The verifier of another service."""
    return Verifier(settings.get(), published_at("http://service/.well-known/jwks.json", client))


@pytest.fixture
def claims(signed_in):
    return jwt.decode(signed_in["access_token"], options={"verify_signature": False})


def unsigned(claims, header):
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


async def refused(client, verifier, token):
    answer = await client.get("/api/users/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)


async def test_a_valid_token_identifies_the_person(verifier, account, signed_in, claims):
    principal = await verifier.verify(signed_in["access_token"])
    assert (principal.user_id, principal.email, principal.name) == (account["user_id"], account["email"], "Ada")
    assert principal.session_id == claims["sid"]
    assert claims["exp"] - claims["iat"] == 900


async def test_only_the_public_half_is_published(client):
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")


async def test_an_unsigned_token_is_refused(client, verifier, signed_in, claims):
    kid = jwt.get_unverified_header(signed_in["access_token"])["kid"]
    await refused(client, verifier, unsigned(claims, {"alg": "none", "typ": "JWT", "kid": kid}))
    await refused(client, verifier, unsigned(claims, {"alg": "None", "typ": "JWT"}))


async def test_the_public_key_cannot_sign(client, verifier, signed_in, claims, keys):
    """Key confusion: HS256 with the published key as the secret."""
    (key,) = (await keys.published())["keys"]
    secret = base64.urlsafe_b64decode(key["x"] + "=")
    await refused(client, verifier, jwt.encode(claims, secret, algorithm="HS256", headers={"kid": key["kid"]}))


async def test_a_changed_token_is_refused(client, verifier, signed_in, claims):
    header, _, signature = signed_in["access_token"].split(".")
    forged = unsigned(claims | {"roles": ["admin"], "permissions": ["users:write"]}, {}).split(".")[1]
    await refused(client, verifier, f"{header}.{forged}.{signature}")
    await refused(client, verifier, signed_in["access_token"][:-10])


async def test_another_key_under_our_kid_is_refused(client, verifier, signed_in, claims):
    kid = jwt.get_unverified_header(signed_in["access_token"])["kid"]
    stranger = Ed25519PrivateKey.generate()
    await refused(client, verifier, jwt.encode(claims, stranger, algorithm="EdDSA", headers={"kid": kid}))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 1},
        {"aud": "somewhere-else"},
        {"iss": "https://somebody.example"},
        {"iat": int(time.time()) + 3600},
    ],
)
async def test_expired_and_misdirected_tokens_are_refused(client, verifier, claims, change, keys):
    await refused(client, verifier, await keys.sign(claims | change))


@pytest.mark.parametrize("claim", ["exp", "aud", "iss", "sub", "iat"])
async def test_a_token_that_lacks_a_claim_is_refused(client, verifier, claims, claim, keys):
    await refused(client, verifier, await keys.sign({name: claims[name] for name in claims if name != claim}))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é"])
async def test_an_invalid_text_is_refused(verifier, token):
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)


async def test_replicas_that_start_together_create_one_key(client, keys):
    before = await store.signing_keys()
    await store.SigningKey.delete_all()
    documents = await asyncio.gather(*(keys.published() for _ in range(12)))
    assert await store.SigningKey.count() == 1
    assert all(document == documents[0] for document in documents)
    await store.SigningKey.delete_all()
    await store.SigningKey.insert_many(before)


async def test_a_future_key_is_published_but_does_not_sign_yet(client, claims, keys):
    (current,) = await store.signing_keys()
    later = keys.new_key(2, current.not_before.replace(year=2999))
    assert await store.add_signing_key(later)
    assert not await store.add_signing_key(keys.new_key(1, current.not_before))
    try:
        assert [key["kid"] for key in (await keys.published())["keys"]] == [later.id, current.id]
        assert jwt.get_unverified_header(await keys.sign(claims))["kid"] == current.id
    finally:
        await later.delete()


async def test_a_configured_key_takes_precedence_and_is_not_stored(client, claims, monkeypatch, keys):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setattr(settings.get(), "signing_key_pem", SecretStr(pem))
    (published,) = (await keys.published())["keys"]
    token = await keys.sign(claims)
    assert jwt.decode(token, key.public_key(), algorithms=["EdDSA"], audience="usher")["sub"] == claims["sub"]
    assert jwt.get_unverified_header(token)["kid"] == published["kid"]
    assert published["kid"] not in [kept.id for kept in await store.signing_keys()]


async def test_rotation_publishes_first_signs_later_and_then_removes_the_old_key(client, claims, keys):
    (first,) = await store.signing_keys()
    second, kept = await keys.rotate(at_once=False)
    assert kept.id == first.id
    assert jwt.get_unverified_header(await keys.sign(claims))["kid"] == first.id, (
        "services may not have fetched the new one yet"
    )
    long_ago = now() - timedelta(days=1)
    await second.set({"not_before": long_ago})
    third, kept = await keys.rotate(at_once=False)
    assert (third.generation, kept.id) == (3, second.id), "the first key's last token has expired"
    assert jwt.get_unverified_header(await keys.sign(claims))["kid"] == second.id
    await third.delete()


@pytest.fixture
async def present(client, keys):
    """Return the current key, which is the only one."""
    await store.SigningKey.delete_all()
    await keys.published()
    (present,) = await store.signing_keys()
    return present


async def test_one_replica_creates_the_next_key_when_the_newest_is_old_enough(present, monkeypatch, keys):
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 1
    await present.set({"made_at": now() - settings.get().key_rotation})
    await asyncio.gather(*(keys.rotate_when_due() for _ in range(8)))
    second, first = await store.signing_keys()
    assert (second.generation, first.id) == (2, present.id)
    assert second.not_before > now() + timedelta(minutes=9), "services may not have fetched it yet"
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 2
    monkeypatch.setattr(settings.get(), "signing_key_pem", SecretStr("a site with its own key"))
    await second.set({"made_at": now() - settings.get().key_rotation})
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 2


async def test_issued_tokens_survive_a_rotation(present, client, verifier, signed_in, keys):
    old = signed_in["access_token"]
    await present.set({"made_at": now() - settings.get().key_rotation})
    await keys.rotate_when_due()
    second, _ = await store.signing_keys()
    await second.set({"not_before": now()})
    new = (await client.post("/api/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})).json()
    assert jwt.get_unverified_header(new["access_token"])["kid"] == second.id
    for token in (old, new["access_token"]):
        assert (await verifier.verify(token)).user_id == signed_in["user"]["user_id"]
        assert (await client.get("/api/users/me", headers=bearer({"access_token": token}))).status_code == 200
    await second.set({"not_before": now() - settings.get().access_token_lifetime + timedelta(seconds=10)})
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 2, "a token may still be valid for ten seconds"
    await second.set({"not_before": now() - settings.get().access_token_lifetime - timedelta(seconds=1)})
    await keys.rotate_when_due()
    assert [key.id for key in await store.signing_keys()] == [second.id]


async def test_a_leaked_key_is_removed_at_once_and_nobody_must_sign_in_again(client, verifier, signed_in, claims, keys):
    answer = signed_in
    for _ in range(2):
        leaked = await keys.sign(claims)
        (only,) = await keys.rotate(at_once=True)
        answer = (await client.post("/api/auth/refresh", json={"refresh_token": answer["refresh_token"]})).json()
        assert jwt.get_unverified_header(answer["access_token"])["kid"] == only.id
        assert (await verifier.verify(answer["access_token"])).user_id == claims["sub"]
        assert (await client.get("/api/users/me", headers=bearer(answer))).status_code == 200
        await refused(client, verifier, leaked)


async def test_a_stored_key_is_encrypted(present):
    document = await store.SigningKey.get_pymongo_collection().find_one({"_id": present.id}) or {}
    assert "PRIVATE KEY" not in str(document)
    assert document["private_pem"] is None


async def test_another_identity_key_cannot_read_the_stored_keys(present, monkeypatch):
    monkeypatch.setattr(settings.get(), "identity_key", SecretStr("a key that somebody has guessed"))
    with pytest.raises(CannotDecrypt):
        await SigningKeys(settings.get()).published()
    both = SecretStr("the next key of identity,a key for the tests' keys")
    monkeypatch.setattr(settings.get(), "identity_key", both)
    assert await SigningKeys(settings.get()).published()


async def test_a_key_in_the_clear_is_encrypted_and_then_removed_by_the_migrations(present, keys, claims):
    """The previous version reads the clear text until it is gone, and may have added such a key."""
    collection = store.SigningKey.get_pymongo_collection()
    pem = SigningKeys(settings.get())._cipher.decrypt(present.sealed_pem)
    await collection.update_one({"_id": present.id}, {"$set": {"private_pem": pem}, "$unset": {"sealed_pem": ""}})
    assert jwt.get_unverified_header(await keys.sign(claims))["kid"] == present.id
    assert await migrations.encrypt_signing_keys(collection.database) == 1
    during = await collection.find_one({"_id": present.id}) or {}
    assert (during["private_pem"], "PRIVATE KEY" in during["sealed_pem"]) == (pem, False)
    await collection.update_one({"_id": present.id}, {"$set": {"made_at": now() - settings.get().key_rotation}})
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 1, "the previous version could not read the next key"
    assert await migrations.remove_clear_signing_keys(collection.database) == 1
    after = await collection.find_one({"_id": present.id}) or {}
    assert "private_pem" not in after
    assert jwt.get_unverified_header(await SigningKeys(settings.get()).sign(claims))["kid"] == present.id
    await keys.rotate_when_due()
    assert await store.SigningKey.count() == 2


async def test_the_contract_phase_encrypts_a_key_that_was_added_in_the_clear_meanwhile(present, keys):
    collection = store.SigningKey.get_pymongo_collection()
    pem = SigningKeys(settings.get())._cipher.decrypt(present.sealed_pem)
    await collection.update_one({"_id": present.id}, {"$set": {"private_pem": pem}, "$unset": {"sealed_pem": ""}})
    assert await migrations.remove_clear_signing_keys(collection.database) == 1
    assert "PRIVATE KEY" not in str(await collection.find_one({"_id": present.id}))
    assert await SigningKeys(settings.get()).published()
