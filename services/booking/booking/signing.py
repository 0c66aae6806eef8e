"""Signatures with booking's Ed25519 key, which anybody can verify with the public key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode


class Signer:
    """Signs with one private key. `jwk` is its public half; `kid` the head of its RFC 7638 thumbprint."""

    def __init__(self, pem: str) -> None:
        key = load_pem_private_key(pem.encode(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("TICKET_SIGNING_KEY must be an Ed25519 private key in PEM")
        self._key = key
        public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
        required = {name: public[name] for name in ("crv", "kty", "x")}
        thumbprint = sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
        self.kid = base64url_encode(thumbprint[:9]).decode()
        self.jwk: dict[str, str] = required | {"kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as a compact JWS."""
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.kid, "typ": None})


def new_pem() -> str:
    """Generate a private key."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


_signers: list[Signer] = []


@contextmanager
def signing_with(signer: Signer) -> Iterator[None]:
    """Make `sign` use this signer inside the context."""
    _signers.append(signer)
    try:
        yield
    finally:
        _signers.pop()


def sign(claims: dict[str, Any]) -> str:
    """The claims as a compact JWS."""
    return _signers[-1].sign(claims)
