"""Keys that sign or have signed tickets and links. Every public key stays, so that old tickets are valid."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from chassis.security.secrets import Cipher

from booking.settings import Settings
from booking.signing import Signer, SigningKey, new_pem
from booking.store.documents import TicketKey, ticket_keys

log = structlog.get_logger()


@asynccontextmanager
async def signing(signer: Signer, settings: Settings) -> AsyncIterator[None]:
    """Lifespan: give the signer its key before the first request."""
    signer.key = await load_key(settings.ticket_signing_key, Cipher(settings.link_key.get_secret_value()))
    yield


async def load_key(pem: str, cipher: Cipher) -> SigningKey:
    """Return the key of this PEM; without one, the generated key, which the first replica stores encrypted.

    Raises CannotDecrypt when LINK_KEY lacks the key with which it was encrypted.
    """
    if pem:
        key = SigningKey(pem)
        await _store(TicketKey(id=key.kid, jwk=key.jwk))
        return key
    pem = new_pem()
    await _store(TicketKey(id="own", jwk=SigningKey(pem).jwk, sealed_pem=cipher.encrypt(pem)))
    if own := await ticket_keys.get("own"):
        pem = cipher.decrypt(own.sealed_pem) if own.sealed_pem else own.pem or pem
        # Encrypted again at each start: with the first of several keys, so that the others can be removed later.
        is_same = {"_id": "own", "sealed_pem": own.sealed_pem}
        await ticket_keys.update(is_same, {"$set": {"sealed_pem": cipher.encrypt(pem)}})
    return SigningKey(pem)


async def _store(key: TicketKey) -> None:
    if not await ticket_keys.insert(key):
        log.info("ticket_key_known", key_id=key.id)


async def public_keys() -> list[dict[str, str]]:
    """Every public key that booking has ever signed with, as JWKs."""
    return [key["jwk"] async for key in ticket_keys.rows({}, ["jwk"])]
