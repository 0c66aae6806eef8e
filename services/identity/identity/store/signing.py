"""The keys that sign access tokens."""

from datetime import datetime

from beanie import Document
from chassis.clock import now
from chassis.mongo.collection import Collection
from pydantic import Field
from pymongo import DESCENDING, IndexModel


class SigningKey(Document):
    """A key that signs from `not_before` until a later key does, and is published until it is deleted.

    `generation` counts the keys from 1. It is unique, so only one replica creates the next key. `sealed_pem` is
    encrypted. `private_pem` is the configured key, or one that the previous version has stored; the migrations replace
    it.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    generation: int
    sealed_pem: str | None = None
    private_pem: str | None = None
    not_before: datetime
    made_at: datetime = Field(default_factory=now)

    class Settings:
        name = "signing_keys"
        indexes = [IndexModel("generation", unique=True)]


_keys = Collection(SigningKey)


async def signing_keys() -> list[SigningKey]:
    """All keys, the newest first."""
    return [key async for key in _keys.find({}, sort=[("generation", DESCENDING)])]


async def add_signing_key(key: SigningKey) -> bool:
    """Insert a new key; False when another replica has created this generation."""
    return await _keys.insert(key)


async def delete_signing_key(key: SigningKey) -> None:
    """Delete a key; it no longer verifies tokens."""
    await _keys.delete({"_id": key.id})
