"""Tickets that a door can check without asking anyone: a compact JWS, signed with Ed25519.

The text of a ticket's QR code carries `tid` (ticket), `ref` (the booking's reference), `sid` (showtime), `seat`, `iat`
and `exp`. Its header names the key (`kid`), whose public half is in the key set at `/api/tickets/keys`.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import jwt
from chassis.clock import now
from contracts.booking import Ticket
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode

from booking import store
from booking.model import Booking, issue_tickets
from booking.settings import Settings
from booking.store import TicketKey


class TicketSigner:
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
    """A fresh private key."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def load_signer(settings: Settings) -> TicketSigner:
    """The signer with the key from the settings, or else with booking's own, which the first replica makes.

    Every key that was ever used stays in the database with its public half, so that old tickets stay readable.
    """
    if settings.ticket_signing_key:
        signer = TicketSigner(settings.ticket_signing_key)
        await store.keep_key(TicketKey(id=signer.kid, jwk=signer.jwk))
        return signer
    pem = new_pem()
    own = await store.keep_key(TicketKey(id="own", jwk=TicketSigner(pem).jwk, pem=pem))
    return TicketSigner(own.pem or pem)


_signers: list[TicketSigner] = []


@asynccontextmanager
async def ready(settings: Settings) -> AsyncIterator[None]:
    """Lifespan: the signer is there before the first sale."""
    _signers.append(await load_signer(settings))
    try:
        yield
    finally:
        _signers.pop()


def issue(booking: Booking) -> list[Ticket]:
    """The signed tickets of a sold booking."""
    return issue_tickets(booking, _signers[-1].sign, now())


async def public_keys() -> list[dict[str, str]]:
    """Every key that tickets were ever signed with, as JWKs."""
    return [key.jwk async for key in TicketKey.find_all()]
