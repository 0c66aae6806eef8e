"""The keys that sign access tokens."""

from datetime import datetime

from beanie import Document
from chassis.clock import now
from pydantic import Field
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError


class SigningKey(Document):
    """A key that signs from `not_before` until a later key does, and is published until it is deleted.

    `generation` counts the keys from 1. It is unique, so only one replica creates the next key.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    generation: int
    private_pem: str
    not_before: datetime
    made_at: datetime = Field(default_factory=now)

    class Settings:
        name = "signing_keys"
        indexes = [IndexModel("generation", unique=True)]


async def signing_keys() -> list[SigningKey]:
    """All keys, the newest first."""
    return await SigningKey.find_all(sort="-generation").to_list()


async def add_signing_key(key: SigningKey) -> bool:
    """Insert a new key; False when another replica has created this generation."""
    try:
        await key.insert()
    except DuplicateKeyError:
        return False
    return True
