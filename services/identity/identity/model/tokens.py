"""What the tokens consist of."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from identity.model.accounts import Account


def access_claims(
    account: Account, *, session_id: str, issuer: str, audience: str, now: datetime, lifetime: timedelta
) -> dict[str, Any]:
    """The claims of an access token (RFC 7519); `iat` and `exp` in Unix seconds."""
    person = account.model_dump(exclude={"user_id"})
    issued = int(now.timestamp())
    return person | {
        "iss": issuer,
        "aud": audience,
        "sub": account.user_id,
        "sid": session_id,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }


class RefreshToken(NamedTuple):
    """Two secrets: `family` stays through a session's life, `turn` is good for one use.

    Whoever shows a family with a turn that is not its present one has had a token of that session before: it was used
    twice, so somebody copied it (RFC 9700, 4.14.2).
    """

    family: str
    turn: str

    @classmethod
    def parse(cls, text: str) -> "RefreshToken":
        """The token from its text form `family.turn`, whatever the parts are."""
        family, _, turn = text.partition(".")
        return cls(family, turn)

    def __str__(self) -> str:
        return f"{self.family}.{self.turn}"
