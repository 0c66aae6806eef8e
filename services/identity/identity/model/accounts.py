"""Accounts as plain data: addresses, passwords, people."""

import unicodedata
from typing import Annotated

from contracts import types
from contracts.types import LanguageTag
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError, computed_field

from identity.model.roles import Role, permissions_of

MIN_PASSWORD, MAX_PASSWORD = 8, 128


def normal_password(password: str) -> str:
    """The password in NFKC, so that all keyboards produce the same text (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def acceptable_password(password: str, least: int, commonest: frozenset[str]) -> str:
    """A new password, normalised. Raises ValueError when it is too short, too long or one of the commonest.

    `commonest` are in lower case. No rule asks for digits or signs: they make people choose worse ones (NIST SP
    800-63B, 3.1.1.2).
    """
    normal = normal_password(password)
    if not least <= len(normal) <= MAX_PASSWORD:
        raise ValueError(f"a password has {least} to {MAX_PASSWORD} characters")
    if normal.lower() in commonest or len(set(normal)) < 3:
        raise ValueError("too many people use this password, so attackers try it first")
    return normal


def is_personal(password: str, email: str, name: str) -> bool:
    """Whether the password is just the person's address or name, or the site's name."""
    told = {email, email.partition("@")[0], name, name.replace(" ", ""), *name.split(), "usher"}
    stem = password.lower().strip("0123456789!?.-_ ")
    return stem in {each.lower() for each in told}


Name = Annotated[
    types.Name,
    StringConstraints(max_length=100),
    Field(examples=["Ada Lovelace"]),
]
Locale = Annotated[LanguageTag, Field(description="the language of mails, a BCP 47 tag")]
_locale = TypeAdapter(Locale)


def language_of(accept_language: str) -> str:
    """The first language of an Accept-Language header, else English."""
    first = accept_language.partition(",")[0].partition(";")[0].strip()
    try:
        return _locale.validate_python(first)
    except ValidationError:
        return "en"


class Account(BaseModel):
    """A person without secrets. `epoch` is for access tokens only (ADR 8)."""

    user_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    email: str = Field(examples=["ada@usher.example"])
    email_verified: bool = Field(default=True, description="An unverified person has a guest's rights.")
    name: str = Field(examples=["Ada Lovelace"])
    locale: str = Field(default="en", examples=["de-AT"])
    roles: list[Role]
    theaters: list[str] = Field(default=[], description="The theaters that a staff role is bound to; empty for all.")
    epoch: int = Field(default=0, exclude=True)

    @computed_field(examples=[["bookings:read", "tickets:check_in"]])
    @property
    def permissions(self) -> list[str]:
        """The permissions of the roles."""
        return permissions_of(self.roles)
