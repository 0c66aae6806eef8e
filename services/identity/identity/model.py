"""Accounts as plain data: who may do what, what a password and a token consist of.

IdentityProblem (contracts.errors.Problem)
├── EmailTaken          409
├── WrongCredentials    401
├── SessionOver         401
└── UserGone            404
"""

import unicodedata
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from contracts.errors import Problem
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, computed_field, validate_email

Role = Literal["customer", "door_staff", "box_office", "theater_manager", "admin"]

_DOOR = frozenset({"tickets:check_in", "bookings:read"})
_BOX_OFFICE = frozenset({"bookings:read", "bookings:write", "seats:block"})
_MANAGER = _BOX_OFFICE | {"showtimes:write", "bookings:refund", "reports:read"}
_ADMIN = frozenset(
    {"catalog:write", "users:read", "users:write", "payments:read", "payments:refund", "notifications:read"}
)

PERMISSIONS: dict[Role, frozenset[str]] = {
    "customer": frozenset(),
    "door_staff": _DOOR,
    "box_office": _BOX_OFFICE,
    "theater_manager": _MANAGER,
    "admin": _DOOR | _MANAGER | _ADMIN,
}

MIN_PASSWORD, MAX_PASSWORD = 8, 128


class IdentityProblem(Problem):
    """Base of what identity tells its callers."""


class EmailTaken(IdentityProblem):
    code, status, title = "email_taken", 409, "There is an account with this e-mail address already."


class WrongCredentials(IdentityProblem):
    code, status, title = "wrong_credentials", 401, "The e-mail address or the password is wrong."


class SessionOver(IdentityProblem):
    code, status, title = "session_over", 401, "This session is over. Please sign in again."


class UserGone(IdentityProblem):
    code, status, title = "user_gone", 404, "This account does not exist any more."


def normal_email(address: str) -> str:
    """The one spelling under which an address is known. Raises ValueError for what is not an address."""
    return validate_email(address)[1].lower()


def normal_password(password: str) -> str:
    """NFKC, so that every keyboard types the same password (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def acceptable_password(password: str) -> str:
    """A new password, normalised. Raises ValueError when it is too short or too long."""
    normal = normal_password(password)
    if not MIN_PASSWORD <= len(normal) <= MAX_PASSWORD:
        raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return normal


def one_line(text: str) -> str:
    """The text itself. Raises ValueError when it holds control characters or breaks the line."""
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("control characters and line breaks are not allowed")
    return text


Email = Annotated[
    str,
    StringConstraints(max_length=254),
    AfterValidator(normal_email),
    Field(json_schema_extra={"format": "email"}, examples=["ada@usher.example"]),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(one_line)]


def permissions_of(roles: list[Role]) -> list[str]:
    """Everything that the roles allow together, in alphabetical order."""
    return sorted(frozenset().union(*(PERMISSIONS[role] for role in roles)))


class Account(BaseModel):
    """A person as they and the services see them."""

    user_id: str
    email: str
    name: str
    roles: list[Role]
    theaters: list[str] = Field(default=[], description="The theaters that a staff role is bound to; empty for all.")

    @computed_field
    @property
    def permissions(self) -> list[str]:
        """What the roles allow."""
        return permissions_of(self.roles)


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
