"""The rules: who may do what, what a password and a token consist of. Errors: the tree in `problems`."""

from identity.model.accounts import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    Account,
    Email,
    Name,
    acceptable_password,
    normal_email,
    normal_password,
    one_line,
)
from identity.model.problems import EmailTaken, IdentityProblem, SessionOver, UserGone, WrongCredentials
from identity.model.roles import PERMISSIONS, Role, permissions_of
from identity.model.tokens import RefreshToken, access_claims

__all__ = [
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "PERMISSIONS",
    "Account",
    "Email",
    "EmailTaken",
    "IdentityProblem",
    "Name",
    "RefreshToken",
    "Role",
    "SessionOver",
    "UserGone",
    "WrongCredentials",
    "acceptable_password",
    "access_claims",
    "normal_email",
    "normal_password",
    "one_line",
    "permissions_of",
]
