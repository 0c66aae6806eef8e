"""People and the writes that keep one address one account."""

from datetime import datetime
from typing import Any

from chassis.clock import now
from chassis.ids import new_id
from chassis.outbox import Aggregate
from contracts.identity import SecurityNoticed, UserRegistered
from pydantic import BaseModel
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from identity.model import Account, EmailTaken, LinkVoid, Role
from identity.store.links import Link


class Totp(BaseModel):
    """An authenticator app. `last_step` is the half minute whose code was taken last: no code counts twice."""

    sealed_secret: str
    last_step: int = 0


class Passkey(BaseModel):
    """A public key that a device or a password manager keeps the private half of."""

    passkey_id: str
    credential_id: str
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


class User(Aggregate):
    """A person whose address is verified.

    `email` is in its normal spelling, which makes the unique index the rule that one address is one account. Sessions
    from before `password_changed_at`, and links that were made for another value of it, are void.
    """

    email: str
    name: str
    locale: str = "en"
    password_hash: str
    password_changed_at: datetime | None = None
    roles: list[Role] = ["customer"]
    theaters: list[str] = []
    is_active: bool = True
    registered_at: datetime
    totp: Totp | None = None
    totp_offer: str | None = None
    recovery_hashes: list[str] = []
    passkeys: list[Passkey] = []

    class Settings:
        name = "users"
        indexes = [
            IndexModel("email", unique=True),
            IndexModel(
                "passkeys.credential_id",
                unique=True,
                partialFilterExpression={"passkeys.credential_id": {"$exists": True}},
            ),
        ]

    def account(self) -> Account:
        """The person without what is secret."""
        return Account(
            user_id=self.id,
            email=self.email,
            name=self.name,
            locale=self.locale,
            roles=self.roles,
            theaters=self.theaters,
        )

    def noticed(self, what: str, device: str = "") -> SecurityNoticed:
        """The event that tells the person what happened to their account, at the address that it has now."""
        return SecurityNoticed(
            notice_id=new_id(),
            user_id=self.id,
            what=what,
            email=self.email,
            name=self.name,
            locale=self.locale,
            noticed_at=now(),
            device=device,
        )


async def add_user(user: User) -> None:
    """Enter a new account and say so. Raises EmailTaken."""
    registered = UserRegistered(user_id=user.id, email=user.email, name=user.name, roles=list(user.roles))
    if not await User.add(user, events=[registered]):
        raise EmailTaken


async def active_user(user_id: str) -> User | None:
    """The account unless it is gone or closed."""
    return await User.find_one({"_id": user_id, "is_active": True})


async def user_with_email(email: str) -> User | None:
    """The account with the address, also a closed one."""
    return await User.find_one({"email": email})


async def update_profile(user_id: str, fields: dict[str, Any]) -> User | None:
    """Set the fields; None when the account is gone or closed."""
    return _parsed(await User.commit({"_id": user_id, "is_active": True}, {"$set": fields}))


async def change_password(user: User, password_hash: str, moment: datetime, device: str) -> User | None:
    """Replace the password that `user` was read with, which ends all sessions; None when it is another one by now."""
    return _parsed(
        await User.commit(
            {"_id": user.id, "is_active": True, "password_hash": user.password_hash},
            {"$set": {"password_hash": password_hash, "password_changed_at": moment}},
            events=[user.noticed("password_changed", device)],
        )
    )


async def reset_password(link: Link, user: User, password_hash: str, moment: datetime, device: str) -> None:
    """Replace the password, which ends all sessions and voids all links. Raises LinkVoid."""
    changed = await User.commit(
        {"_id": user.id, "is_active": True, "password_changed_at": link.password_changed_at},
        {"$set": {"password_hash": password_hash, "password_changed_at": moment}},
        events=[user.noticed("password_reset", device)],
    )
    if changed is None:
        raise LinkVoid


async def change_email(link: Link, user: User, device: str) -> None:
    """Move the account to the link's address and tell the old one. Raises LinkVoid and EmailTaken."""
    try:
        changed = await User.commit(
            {
                "_id": user.id,
                "is_active": True,
                "email": link.old_email,
                "password_changed_at": link.password_changed_at,
            },
            {"$set": {"email": link.email}},
            events=[user.noticed("email_changed", device)],
        )
    except DuplicateKeyError as error:
        raise EmailTaken from error
    if changed is None:
        raise LinkVoid


async def rehash(user: User, password_hash: str) -> None:
    """Keep the same password under stronger parameters."""
    await User.commit({"_id": user.id, "password_hash": user.password_hash}, {"$set": {"password_hash": password_hash}})


def _parsed(document: dict[str, Any] | None) -> User | None:
    return User.parse(document) if document else None
