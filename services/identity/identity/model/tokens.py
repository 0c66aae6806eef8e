"""Access and refresh tokens as plain data."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from identity.model.accounts import Account

Method = Literal["pwd", "otp", "pop"]
"""Authentication methods (RFC 8176): password, one-time code, possession of a passkey's key."""
_STRONG = frozenset({"otp", "pop"})


def is_strong(methods: Iterable[Method]) -> bool:
    """Whether a second factor was used. A passkey alone counts, because it verifies its owner by fingerprint or PIN."""
    return not _STRONG.isdisjoint(methods)


def as_allowed(account: Account, methods: Iterable[Method], *, needs_second_factor: bool) -> Account:
    """The account with the roles that a session may use: an admin without a second factor is a customer."""
    if needs_second_factor and "admin" in account.roles and not is_strong(methods):
        return account.model_copy(update={"roles": ["customer"], "theaters": []})
    return account


class SessionLimits(NamedTuple):
    """How long a session lasts: since the sign-in, and without a refresh."""

    lifetime: timedelta
    idle: timedelta

    def end(self, created_at: datetime, last_used_at: datetime) -> datetime:
        """When the session ends unless it is refreshed."""
        return min(created_at + self.lifetime, last_used_at + self.idle)


FRESH = timedelta(minutes=10)
"""How long ago somebody may have signed in for an action that a stolen session must not perform."""


def is_fresh(session_created_at: datetime, now: datetime) -> bool:
    """Whether the person has just signed in."""
    return now - session_created_at < FRESH


def access_claims(
    account: Account,
    *,
    session_id: str,
    methods: list[Method],
    issuer: str,
    audience: str,
    now: datetime,
    lifetime: timedelta,
) -> dict[str, Any]:
    """The claims of an access token (RFC 7519); `iat` and `exp` in Unix seconds."""
    person = account.model_dump(exclude={"user_id", "locale"})
    issued = int(now.timestamp())
    return person | {
        "iss": issuer,
        "aud": audience,
        "sub": account.user_id,
        "sid": session_id,
        "amr": methods,
        "epoch": account.epoch,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }


class RefreshToken(NamedTuple):
    """Two secrets: `family` is the same for the whole session, `turn` works once.

    A known family with a turn that is not the current one means that a token was used twice, so a copy exists
    (RFC 9700, 4.14.2).
    """

    family: str
    turn: str

    PATTERN = r"^[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$"

    @classmethod
    def parse(cls, text: str) -> "RefreshToken":
        """Parse the text form `family.turn`; the parts are not checked."""
        family, _, turn = text.partition(".")
        return cls(family, turn)

    def __str__(self) -> str:
        return f"{self.family}.{self.turn}"
