"""The Ed25519 keys that sign access tokens: signing, publishing and rotation (RFC 8037, RFC 7517)."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt
import structlog
from cachetools import LRUCache
from chassis.clock import now
from chassis.security.secrets import Cipher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from identity import store
from identity.settings import Settings
from identity.store import SigningKey

log = structlog.get_logger()
NOTICE = timedelta(minutes=10)
"""Twice as long as the published keys may be cached (api.well_known); the services cache them for a minute."""


class KeyPair(NamedTuple):
    """A private key, and the public one as a JWK whose `kid` is the RFC 7638 thumbprint."""

    private: Ed25519PrivateKey
    public: dict[str, str]


class SigningKeys:
    """The signing keys of this platform. `SIGNING_KEY_PEM` takes precedence over the keys in the database.

    The private halves in the database are encrypted with `IDENTITY_KEY`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cipher = Cipher(settings.identity_key.get_secret_value())
        self._pairs: LRUCache[str, KeyPair] = LRUCache(16)

    async def sign(self, claims: dict[str, Any]) -> str:
        """Return an access token with the claims, signed with the current key."""
        moment = now()
        key = next(key for key in await self._all() if key.not_before <= moment)
        return jwt.encode(claims, self._pair(key).private, algorithm="EdDSA", headers={"kid": key.id})

    async def published(self) -> dict[str, Any]:
        """Return the JWKS document: the current key, keys of tokens that are still valid, and future keys."""
        return {"keys": [self._pair(key).public for key in await self._all()]}

    async def rotate(self, *, at_once: bool) -> list[SigningKey]:
        """Add the next key and remove those that are not needed; return the remaining ones, the newest first.

        The new key signs after NOTICE. With `at_once` it signs immediately and all others are removed. Raises
        RuntimeError when another process creates the same generation.
        """
        moment = now()
        stored = await store.signing_keys()
        if not await self._add_next(stored, moment if at_once else moment + NOTICE):
            raise RuntimeError("another process is rotating the keys; check them before you try again")
        if at_once:
            for leaked in stored:
                await store.delete_signing_key(leaked)
        return await self._without_ended(moment)

    async def rotate_when_due(self) -> None:
        """Rotate on schedule: add a key when the newest is old enough, and remove keys whose last token has expired.

        When two replicas do it at the same time, the unique index on the generation lets one of them create the key.
        While a key is stored in the clear, replicas of the previous version may be running, which cannot decrypt a new
        one.
        """
        moment = now()
        stored = await store.signing_keys()
        is_due = stored and stored[0].made_at + self._settings.key_rotation <= moment
        is_upgraded = all(key.private_pem is None for key in stored)
        may_add = is_due and is_upgraded and self._settings.signing_key_pem is None
        if may_add and await self._add_next(stored, moment + NOTICE):
            log.info("signing_key_added", generation=stored[0].generation + 1)
        await self._without_ended(moment)

    async def _all(self) -> list[SigningKey]:
        """The configured key, else the stored ones, newest first; the first one is created when there is none."""
        if self._settings.signing_key_pem:
            pem = self._settings.signing_key_pem.get_secret_value()
            return [SigningKey(id=_parse(pem).public["kid"], generation=1, private_pem=pem, not_before=_EPOCH)]
        if stored := await store.signing_keys():
            return stored
        await store.add_signing_key(self.new_key(1, _EPOCH))
        return await store.signing_keys()

    def new_key(self, generation: int, not_before: datetime) -> SigningKey:
        """Generate a key that signs from the given time on."""
        key = OKPKey.generate_key("Ed25519")
        pem = self._cipher.encrypt(key.as_pem(private=True).decode())
        return SigningKey(id=key.thumbprint(), generation=generation, sealed_pem=pem, not_before=not_before)

    def _pair(self, key: SigningKey) -> KeyPair:
        if key.id not in self._pairs:
            self._pairs[key.id] = _parse(key.private_pem or self._cipher.decrypt(key.sealed_pem or ""))
        return self._pairs[key.id]

    async def _add_next(self, stored: list[SigningKey], not_before: datetime) -> bool:
        return await store.add_signing_key(self.new_key(stored[0].generation + 1 if stored else 1, not_before))

    async def _without_ended(self, moment: datetime) -> list[SigningKey]:
        """The keys, newest first, without those whose successor has signed for longer than a token's lifetime."""
        stored = await store.signing_keys()
        for old, successor in zip(stored[1:], stored, strict=False):
            if successor.not_before + self._settings.access_token_lifetime < moment:
                await store.delete_signing_key(old)
                log.info("signing_key_dropped", generation=old.generation)
        return await store.signing_keys()


_EPOCH = datetime.fromtimestamp(0, UTC)
"""The first key is valid from 1970: a replica whose clock is behind has no other."""


def _parse(pem: str) -> KeyPair:
    key = OKPKey.import_key(pem)
    if not isinstance(key.private_key, Ed25519PrivateKey):
        raise TypeError("SIGNING_KEY_PEM: an Ed25519 key is needed")
    public = key.as_dict(private=False, kid=key.thumbprint(), alg="EdDSA", use="sig")
    return KeyPair(key.private_key, {name: str(value) for name, value in public.items()})
