"""Access tokens: what is accepted and what is not."""

import time

import jwt
import pytest
from chassis.auth import Caller
from chassis.secrets import hash_secret, new_secret
from contracts.types import Holder
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


async def test_a_good_token_names_the_person(client, signer):
    assert (await client.get("/api/pings/me", headers=signer.headers("u7"))).json() == {"user_id": "u7"}


async def test_permissions_decide(client, signer):
    granted = await client.get("/api/pings/secret", headers=signer.headers(permissions=["pings:read"]))
    assert granted.status_code == 200
    refused = await client.get("/api/pings/secret", headers=signer.headers(permissions=["pings:write"]))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    anonymous = await client.get("/api/pings/secret")
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")


async def test_an_unverified_address_may_what_a_guest_may(client, signer):
    assert (await client.get("/api/pings/verified", headers=signer.headers())).status_code == 200
    answer = await client.get("/api/pings/verified", headers=signer.headers(email_verified=False))
    assert (answer.status_code, answer.json()["code"]) == (403, "email_unverified")
    assert (await client.get("/api/pings/verified")).status_code == 401


def forged(claims: dict, key, algorithm: str, kid: str = "test-key") -> str:
    standard = {"iss": "https://usher.example", "aud": "usher", "sub": "u", "iat": time.time(), "exp": time.time() + 60}
    return jwt.encode(standard | claims, key, algorithm=algorithm, headers={"kid": kid})


def bad_tokens(signer) -> dict[str, str]:
    good = signer.token()
    head, payload, signature = good.split(".")
    return {
        "expired": signer.token(exp=int(time.time()) - 1),
        "other audience": signer.token(aud="someone-else"),
        "other issuer": signer.token(iss="https://evil.example"),
        "no algorithm": forged({}, None, "none"),
        "public key as HMAC secret": forged({}, "test-key-test-key-test-key-test-key", "HS256"),
        "another key": forged({}, Ed25519PrivateKey.generate(), "EdDSA"),
        "unknown kid": forged({}, Ed25519PrivateKey.generate(), "EdDSA", kid="nobody"),
        "tampered payload": f"{head}.{payload[:-2]}AA.{signature}",
        "not a token": "abc",
        "empty parts": "..",
    }


@pytest.mark.parametrize("case", [
    "expired", "other audience", "other issuer", "no algorithm", "public key as HMAC secret", "another key",
    "unknown kid", "tampered payload", "not a token", "empty parts",
])  # fmt: skip
async def test_a_bad_token_is_refused_even_where_none_is_needed(client, signer, case):
    headers = {"Authorization": f"Bearer {bad_tokens(signer)[case]}"}
    for path in ("/api/pings/me", "/api/pings/anyone"):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_guest_owns_what_its_secret_opens():
    secret = new_secret()
    holder = Holder(secret_hash=hash_secret(secret))
    assert Caller(secret=secret).owns(holder)
    assert not Caller(secret=new_secret()).owns(holder)
    assert not Caller().owns(holder)
    assert not Caller(secret=secret).owns(Holder(user_id="u1"))
