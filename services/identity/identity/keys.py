"""The Ed25519 keys that sign access tokens, and their public halves (RFC 8037, RFC 7517)."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jwt
from chassis.clock import now
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from identity import settings, store
from identity.store import SigningKey


async def sign(claims: dict[str, Any]) -> str:
    """An access token with the claims, signed with the current key."""
    moment = now()
    key = next(key for key in await _keys() if key.not_before <= moment)
    return jwt.encode(claims, _private(key.private_pem), algorithm="EdDSA", headers={"kid": key.id})


async def published() -> dict[str, Any]:
    """The JWKS document: the current key, keys of tokens that are still valid, and future keys."""
    return {"keys": [_public_jwk(_private(key.private_pem)) for key in await _keys()]}


async def _keys() -> list[SigningKey]:
    """The configured key, else the stored ones, newest first; the first one is created when there is none."""
    if pem := settings.get().signing_key_pem:
        return [_only_key(pem.get_secret_value())]
    if kept := await store.signing_keys():
        return kept
    await store.add_signing_key(_only_key(_new_pem()))
    return await store.signing_keys()


def _only_key(pem: str) -> SigningKey:
    """Create the first key, valid from 1970: a replica whose clock is behind has no other."""
    return _key(pem, 1, datetime.fromtimestamp(0, UTC))


def new_key(generation: int, not_before: datetime) -> SigningKey:
    """A new key that signs from the given time on."""
    return _key(_new_pem(), generation, not_before)


def _key(pem: str, generation: int, not_before: datetime) -> SigningKey:
    kid = _public_jwk(_private(pem))["kid"]
    return SigningKey(id=kid, generation=generation, private_pem=pem, not_before=not_before)


def _new_pem() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@lru_cache(maxsize=16)
def _private(pem: str) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("SIGNING_KEY_PEM: an Ed25519 key is needed")
    return key


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public key; `kid` is its RFC 7638 thumbprint."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    essence = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
    thumbprint = hashlib.sha256(json.dumps(essence, separators=(",", ":"), sort_keys=True).encode()).digest()
    return essence | {"kid": _base64url(thumbprint), "alg": "EdDSA", "use": "sig"}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
