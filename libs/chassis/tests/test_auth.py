"""Access tokens: which are accepted and which are rejected."""

import asyncio
import base64
import json
import time

import httpx
import jwt
import pytest
from chassis.http.problems import Forbidden
from chassis.security.auth import Caller, KeysUnavailable, Principal, TokenInvalid, Verifier, require_everywhere
from chassis.security.secrets import hash_secret, new_secret
from chassis.settings import ServiceSettings
from contracts.types import Holder
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm


async def test_a_valid_token_identifies_the_person(client, signer):
    assert (await client.get("/api/pings/me", headers=signer.headers("u7"))).json() == {"user_id": "u7"}


async def test_a_route_requires_its_permission(client, signer):
    granted = await client.get("/api/pings/secret", headers=signer.headers(permissions=["pings:read"]))
    assert granted.status_code == 200
    refused = await client.get("/api/pings/secret", headers=signer.headers(permissions=["pings:write"]))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    anonymous = await client.get("/api/pings/secret")
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")


async def test_permissions_apply_to_the_persons_theaters():
    """An empty list means all theaters; an object of no or an unknown theater is for people with all of them."""
    everywhere = Principal(user_id="u", permissions=["pings:read"], expires_at=0)
    bound = everywhere.model_copy(update={"theaters": ["t1", "t2"]})
    for who, theaters in ((everywhere, ["t1", "t3", None]), (bound, ["t1"])):
        assert [theater for theater in ("t1", "t3", None) if who.works_at(theater)] == theaters
        assert [
            theater for theater in ("t1", "t3", None) if Caller(principal=who).may("pings:read", theater)
        ] == theaters
        assert not Caller(principal=who).may("pings:write", "t1")
    assert not Caller().may("pings:read", "t1")
    check = require_everywhere("pings:read")
    assert await check(everywhere) is everywhere
    with pytest.raises(Forbidden):
        await check(bound)


async def test_a_person_with_an_unverified_address_has_the_rights_of_a_guest(client, signer):
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
async def test_an_invalid_token_is_refused_even_where_none_is_required(client, signer, case):
    headers = {"Authorization": f"Bearer {bad_tokens(signer)[case]}"}
    for path in ("/api/pings/me", "/api/pings/anyone"):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    "claims",
    [
        {"permissions": "pings:read"},
        {"permissions": [1]},
        {"roles": None},
        {"theaters": {"t1": True}},
        {"email_verified": "true"},
        {"email": 5},
        {"sub": 5},
        {"sub": None},
        {"sid": ["s1"]},
        {"epoch": "1"},
        {"epoch": 1.5},
        {"exp": str(2**31)},
        {"exp": []},
        {"exp": None},
        {"exp": 10**400},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": True},
        {"iat": "now"},
        {"iat": []},
        {"iat": float("inf")},
        {"nbf": {}},
        {"aud": 5},
        {"aud": [5]},
        {"iss": ["https://usher.example"]},
    ],
    ids=lambda claims: str(claims)[:40],
)
async def test_a_signed_token_with_odd_claims_is_refused(client, signer, claims):
    answer = await client.get("/api/pings/anyone", headers=signer.headers() | bearer(signed(signer, claims)))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def signed(signer, claims: dict) -> str:
    """A token whose payload PyJWT would refuse to encode."""
    _, payload, _ = signer.token().split(".")
    changed = json.loads(base64.urlsafe_b64decode(payload + "==")) | claims
    return jwt.api_jws.encode(json.dumps(changed).encode(), signer._key, "EdDSA", headers={"kid": "test-key"})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "header",
    [
        "[" * 20_000,
        '{"a":' * 5000,
        "[]",
        "5",
        "null",
        '{"alg": []}',
        '{"alg": "EdDSA", "kid": 5}',
        '{"alg": "EdDSA", "crit": 5}',
        "9" * 9999,
    ],
    ids=lambda text: text[:20],
)
async def test_a_token_with_an_odd_header_is_refused(client, header):
    encoded = (base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, "{}", "x"))
    answer = await client.get("/api/pings/anyone", headers=bearer(".".join(encoded)))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_unknown_claims_are_ignored(client, signer):
    headers = signer.headers(amr=["pwd"], more={"a": 1})
    assert (await client.get("/api/pings/me", headers=headers)).json() == {"user_id": "user-1"}


class Issuer:
    """Publishes its current keys, counts the requests, and can be unavailable."""

    def __init__(self):
        self.keys, self.asked, self.is_away = {}, 0, False

    def add(self, kid):
        self.keys[kid] = Ed25519PrivateKey.generate()
        return forged({}, self.keys[kid], "EdDSA", kid)

    async def published(self):
        self.asked += 1
        if self.is_away:
            raise httpx.ConnectError("away")
        public = {kid: json.loads(OKPAlgorithm.to_jwk(key.public_key())) for kid, key in self.keys.items()}
        return {"keys": [key | {"kid": kid, "alg": "EdDSA", "use": "sig"} for kid, key in public.items()]}


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def verifier(issuer, service_env):
    return Verifier(ServiceSettings(service="toys", token_issuer="https://usher.example"), issuer.published)


async def test_a_token_of_a_new_key_is_accepted_at_once(issuer, verifier):
    await verifier.verify(issuer.add("first"))
    newest = issuer.add("second")
    assert [who.user_id for who in await asyncio.gather(*(verifier.verify(newest) for _ in range(20)))] == ["u"] * 20
    assert issuer.asked == 2


async def test_tokens_with_invented_keys_neither_flood_the_issuer_nor_delay_others(issuer, verifier):
    good = issuer.add("first")
    await verifier.verify(good)
    crowd = [
        asyncio.create_task(verifier.verify(forged({}, Ed25519PrivateKey.generate(), "EdDSA", f"invented{n}")))
        for n in range(50)
    ]
    await asyncio.sleep(0)
    assert (await verifier.verify(good)).user_id == "u"
    assert not any(task.done() for task in crowd)
    answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert {type(answer) for answer in answers} == {TokenInvalid}
    assert issuer.asked == 2


async def test_a_withdrawn_key_is_accepted_for_at_most_a_minute(issuer, verifier, monkeypatch):
    leaked = issuer.add("leaked")
    await verifier.verify(leaked)
    issuer.keys.clear()
    issuer.add("next")
    assert verifier.MAX_KEY_AGE_S <= 60
    monkeypatch.setattr(verifier, "_fetched_at", time.monotonic() - verifier.MAX_KEY_AGE_S)
    monkeypatch.setattr(verifier, "_asked_at", verifier._fetched_at)
    with pytest.raises(TokenInvalid):
        await verifier.verify(leaked)


async def test_without_identity_known_keys_are_accepted_and_others_get_503(issuer, verifier, monkeypatch):
    good = issuer.add("first")
    await verifier.verify(good)
    issuer.is_away = True
    monkeypatch.setattr(verifier, "_fetched_at", float("-inf"))
    monkeypatch.setattr(verifier, "_asked_at", float("-inf"))
    for _ in range(5):
        assert (await verifier.verify(good)).user_id == "u"
    assert issuer.asked == 2, "one fetch for all five"
    newest = issuer.add("second")
    answers = await asyncio.gather(*(verifier.verify(newest) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {KeysUnavailable}
    assert issuer.asked == 3, "one fetch for all twenty"
    issuer.is_away = False
    assert (await verifier.verify(newest)).user_id == "u"


def test_a_guest_owns_a_hold_by_its_secret():
    secret = new_secret()
    holder = Holder(secret_hash=hash_secret(secret))
    assert Caller(secret=secret).owns(holder)
    assert not Caller(secret=new_secret()).owns(holder)
    assert not Caller().owns(holder)
    assert not Caller(secret=secret).owns(Holder(user_id="u1"))
