"""Passkeys and their challenges."""

from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from chassis.mongo.collection import Collection
from chassis.security.secrets import hash_secret
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from identity.model import PasskeyRefused, PasskeyUnknown, TooManyPasskeys
from identity.store.users import Passkey, User, users

MAX_PASSKEYS = 20


class Challenge(Document):
    """Random bytes for a passkey to sign, once: for a person's new passkey, or for a sign-in (no `user_id`)."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    user_id: str | None = None
    expires_at: datetime

    class Settings:
        name = "challenges"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]


_challenges = Collection(Challenge)


async def add_challenge(challenge: str, user_id: str | None, now: datetime, lifetime: timedelta) -> None:
    """Store the hash of a challenge until it is answered."""
    await _challenges.insert(Challenge(id=hash_secret(challenge), user_id=user_id, expires_at=now + lifetime))


async def take_challenge(challenge: str, user_id: str | None, now: datetime) -> None:
    """Use up a challenge. Raises PasskeyRefused when it is not open or belongs to another person."""
    where: dict[str, Any] = {"_id": hash_secret(challenge), "user_id": user_id, "expires_at": {"$gt": now}}
    if not await _challenges.delete(where):
        raise PasskeyRefused


async def add_passkey(user: User, passkey: Passkey, device: str) -> None:
    """Add a passkey. Raises TooManyPasskeys, and PasskeyRefused when an account has it already.

    The factors must still be those that the caller checked; otherwise PasskeyRefused.
    """
    try:
        changed = await users.update(
            {
                "_id": user.id,
                "passkeys.credential_id": {"$ne": passkey.credential_id},
                "passkeys": {"$size": len(user.passkeys)},
                "totp.added_at": user.totp.added_at if user.totp else None,
                f"passkeys.{MAX_PASSKEYS - 1}": {"$exists": False},
            },
            {"$push": {"passkeys": passkey.model_dump()}},
            events=[user.noticed("passkey_added", device)],
        )
    except DuplicateKeyError as error:
        raise PasskeyRefused from error
    if not changed:
        raise TooManyPasskeys if len(user.passkeys) >= MAX_PASSKEYS else PasskeyRefused


async def user_with_passkey(credential_id: str) -> User | None:
    """The open account that the passkey belongs to."""
    return await users.find_one({"passkeys.credential_id": credential_id, "is_active": True})


async def use_passkey(user: User, passkey: Passkey, sign_count: int, now: datetime) -> None:
    """Record a use. Raises PasskeyRefused when the counter went back: then two devices have the same key."""
    used = await users.update(
        {
            "_id": user.id,
            "passkeys": {"$elemMatch": {"passkey_id": passkey.passkey_id, "sign_count": passkey.sign_count}},
        },
        {"$set": {"passkeys.$.sign_count": sign_count, "passkeys.$.last_used_at": now}},
    )
    if not used:
        raise PasskeyRefused


async def drop_passkey(user: User, passkey_id: str, device: str) -> None:
    """Remove a passkey. Raises PasskeyUnknown."""
    changed = await users.update(
        {"_id": user.id, "passkeys.passkey_id": passkey_id},
        {"$pull": {"passkeys": {"passkey_id": passkey_id}}},
        events=[user.noticed("passkey_removed", device)],
    )
    if not changed:
        raise PasskeyUnknown
