"""Accounts as plain data: what an address, a password and a person consist of."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, computed_field, validate_email

from identity.model.roles import Role, permissions_of

MIN_PASSWORD, MAX_PASSWORD = 8, 128


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
