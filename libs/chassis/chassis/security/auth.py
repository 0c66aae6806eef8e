"""Authentication: EdDSA access tokens, verified with identity's published keys, and guests' secrets.

Unauthenticated (chassis.http.problems)
└── TokenInvalid    401
Forbidden (chassis.http.problems)
└── EmailUnverified 403
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import jwt
import structlog
from cachetools import LRUCache
from contracts.errors import Problem
from contracts.types import Holder
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ValidationError

from chassis.http.problems import Forbidden, Unauthenticated
from chassis.security.revocations import Revocations
from chassis.security.secrets import hash_secret
from chassis.settings import ServiceSettings

log = structlog.get_logger()
_CLAIMS = {"user_id": "sub", "session_id": "sid", "expires_at": "exp"}
"""The claims of the fields of `Principal` that have another name in the token."""
KeySource = Callable[[], Awaitable[dict[str, Any]]]


class TokenInvalid(Unauthenticated):
    code, title = "token_invalid", "The access token is no longer valid. Please sign in again."


class EmailUnverified(Forbidden):
    code, title = "email_unverified", "Please confirm your e-mail address first. We have sent you a link."


class KeysUnavailable(Problem):
    code, status, title = "keys_unavailable", 503, "Your sign-in cannot be verified right now. Please try again."


class Principal(BaseModel):
    """The signed-in person, as described by the access token.

    `theaters` are those that the permissions are limited to; empty for all. `expires_at` is Unix time; `epoch` is
    explained in chassis.security.revocations. A person without a verified e-mail address has the rights of a guest.
    """

    user_id: str
    email: str = ""
    email_verified: bool = False
    name: str = ""
    roles: list[str] = []
    permissions: list[str] = []
    theaters: list[str] = []
    session_id: str = ""
    epoch: int = 0
    expires_at: float

    def works_at(self, theater_id: str | None) -> bool:
        """Whether the permissions apply to this theater. None is an unknown theater, or an object of no theater: only
        for people who are not limited to theaters.
        """
        return not self.theaters or theater_id in self.theaters


class Caller(BaseModel):
    """The caller of a request: a signed-in person, a guest with a hold's secret, both or neither."""

    principal: Principal | None = None
    secret: str | None = None

    def owns(self, holder: Holder) -> bool:
        """Whether the caller is this holder."""
        if holder.user_id is not None:
            return self.principal is not None and self.principal.user_id == holder.user_id
        if self.secret is None or holder.secret_hash is None:
            return False
        return hmac.compare_digest(hash_secret(self.secret), holder.secret_hash)

    def may(self, permission: str, theater_id: str | None) -> bool:
        """Whether the caller has the named permission at this theater; None: see `Principal.works_at`."""
        who = self.principal
        return who is not None and permission in who.permissions and who.works_at(theater_id)


def published_at(url: str, client: httpx.AsyncClient) -> KeySource:
    """Return a function that reads a JSON document over HTTP."""

    async def fetch() -> dict[str, Any]:
        answer = await client.get(url)
        answer.raise_for_status()
        return answer.json()

    return fetch


class Verifier:
    """Verifies access tokens. It caches keys and verified tokens; an unknown `kid` makes it fetch the keys again.

    Without `revocations`, a token is valid until it expires.
    """

    MAX_KEY_AGE_S = 60.0
    MIN_REFRESH_S = 1.0
    MAX_TOKENS = 4096

    def __init__(self, settings: ServiceSettings, keys: KeySource, revocations: Revocations | None = None) -> None:
        self._issuer, self._audience, self._fetch = settings.token_issuer, settings.token_audience, keys
        self._revocations = revocations
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = self._fetched_at = float("-inf")
        self._is_away = False
        self._lock = asyncio.Lock()
        self._checked: LRUCache[str, Principal] = LRUCache(self.MAX_TOKENS)

    async def verify(self, token: str) -> Principal:
        """Return the token's principal. Raises TokenInvalid, or KeysUnavailable when identity cannot be reached."""
        principal = await self._signed(token)
        if self._revocations is not None:
            try:
                is_void = await self._revocations.is_void(principal.user_id, principal.epoch, principal.session_id)
            except httpx.HTTPError as error:
                raise KeysUnavailable(retry_after=2) from error
            if is_void:
                raise TokenInvalid
        return principal

    async def _signed(self, token: str) -> Principal:
        known = self._checked.get(token)
        if known and known.expires_at > time.time() and time.monotonic() - self._fetched_at < self.MAX_KEY_AGE_S:
            return known
        self._checked.pop(token, None)
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            named = {name: _CLAIMS.get(name, name) for name in Principal.model_fields}
            fields = {name: claims[claim] for name, claim in named.items() if claim in claims}
            principal = Principal.model_validate(fields, strict=True)
        except (jwt.InvalidTokenError, ValidationError) as error:
            raise TokenInvalid from error
        self._checked[token] = principal
        return principal

    async def _key(self, kid: str) -> jwt.PyJWK:
        came_at = time.monotonic()
        is_old = came_at - self._fetched_at > self.MAX_KEY_AGE_S and came_at - self._asked_at > self.MIN_REFRESH_S
        if is_old or kid not in self._keys:
            await self._renew(came_at)
        if kid not in self._keys:
            raise KeysUnavailable(retry_after=2) if self._is_away else TokenInvalid
        return self._keys[kid]

    async def _renew(self, came_at: float) -> None:
        """Fetch the keys, unless another task has since `came_at`. If identity cannot be reached, keep the known keys.

        The keys are fetched at most every MIN_REFRESH_S, also when many requests use invented keys. A request with an
        unknown key waits for the fetch: the key may be the newest one, and a 401 would sign the person out.
        """
        async with self._lock:
            if self._asked_at > came_at:
                return
            if (pause := self._asked_at + self.MIN_REFRESH_S - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            self._asked_at = time.monotonic()
            try:
                document = await self._fetch()
            except httpx.HTTPError as error:
                log.warning("keys_not_renewed", reason=repr(error))
                self._is_away = True
                return
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
            self._checked.clear()
            self._fetched_at, self._is_away = self._asked_at, False


_bearer = HTTPBearer(auto_error=False, description="Access token from /api/auth/login")
_guest = APIKeyHeader(name="X-Hold-Secret", auto_error=False, description="A guest's secret, returned with the hold")


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    secret: Annotated[str | None, Security(_guest)],
) -> Caller:
    """Dependency: the caller, signed in or not. Raises TokenInvalid when the request has an invalid token."""
    principal = await request.app.state.verifier.verify(bearer.credentials) if bearer else None
    return Caller(principal=principal, secret=secret[:128] if secret else None)


async def signed_in(who: Annotated[Caller, Depends(caller)]) -> Principal:
    """Dependency: the signed-in person. Raises Unauthenticated."""
    if who.principal is None:
        raise Unauthenticated
    return who.principal


async def verified(who: Annotated[Principal, Depends(signed_in)]) -> Principal:
    """Dependency: a signed-in person with a verified address. Raises Unauthenticated or EmailUnverified."""
    if not who.email_verified:
        raise EmailUnverified
    return who


def require(permission: str) -> Callable[..., Awaitable[Principal]]:
    """Dependency: a signed-in person with the permission. Raises Unauthenticated or Forbidden.

    The route checks the theater (`Principal.works_at`).
    """

    async def check(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
        if permission not in principal.permissions:
            raise Forbidden(f"This requires the permission {permission}.")
        return principal

    return check


def require_everywhere(permission: str) -> Callable[..., Awaitable[Principal]]:
    """Dependency: a signed-in person with the permission at all theaters. Raises Unauthenticated or Forbidden."""

    async def check(principal: Annotated[Principal, Depends(require(permission))]) -> Principal:
        if not principal.works_at(None):
            raise Forbidden(f"This requires the permission {permission} for all theaters.")
        return principal

    return check
