"""People, and the writes that guarantee one account per address."""

from datetime import datetime, timedelta
from typing import Any

from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.envelope import Event
from contracts.identity import SecurityNoticed, UserRegistered
from pydantic import BaseModel, model_validator
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from identity.model import Account, EmailTaken, Grant, LinkVoid, Role, search_words
from identity.store.links import Link

OFFER_LIFETIME = timedelta(minutes=15)
"""How long an offered authenticator app can be confirmed. A secret of an abandoned setup must not become a factor."""


class Totp(BaseModel):
    """An authenticator app. `last_step` is the half minute of the last used code: no code works twice."""

    sealed_secret: str
    last_step: int = 0
    added_at: datetime | None = None


class Passkey(BaseModel):
    """A public key; a device or a password manager has the private key."""

    passkey_id: str
    credential_id: str
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


class FactorRemoval(BaseModel):
    """The second factors from before `requested_at` are removed at `due_at`."""

    requested_at: datetime
    due_at: datetime


class User(Aggregate):
    """A person whose address is verified.

    `email` is in its normal form, so the unique index guarantees one account per address. Links that were created for
    another value of `password_changed_at` are void. `epoch` counts how often the person's access tokens were revoked,
    the last time at `revoked_at`. The person was signed out everywhere at `signed_out_at`, except from
    `kept_session_id`. A deleted person's document contains nothing personal and is removed soon.
    """

    email: str
    name: str
    locale: str = "en"
    password_hash: str
    password_changed_at: datetime | None = None
    name_words: list[str] = []
    roles: list[Role] = ["customer"]
    theaters: list[str] = []
    is_active: bool = True
    epoch: int = 0
    revoked_at: datetime | None = None
    signed_out_at: datetime | None = None
    kept_session_id: str | None = None
    deleted_at: datetime | None = None
    registered_at: datetime
    totp: Totp | None = None
    totp_offer: str | None = None
    totp_offered_at: datetime | None = None
    recovery_hashes: list[str] = []
    factor_removal: FactorRemoval | None = None
    passkeys: list[Passkey] = []

    class Settings:
        name = "users"
        indexes = [
            IndexModel("email", unique=True),
            IndexModel("name_words"),
            IndexModel([("roles", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("theaters", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("is_active", ASCENDING), ("_id", DESCENDING)]),
            IndexModel("revoked_at", partialFilterExpression={"revoked_at": {"$type": "date"}}),
            IndexModel("deleted_at", partialFilterExpression={"deleted_at": {"$type": "date"}}),
            IndexModel("factor_removal.due_at", partialFilterExpression={"factor_removal.due_at": {"$type": "date"}}),
            IndexModel(
                "passkeys.credential_id",
                unique=True,
                partialFilterExpression={"passkeys.credential_id": {"$exists": True}},
            ),
        ]

    @model_validator(mode="after")
    def _can_be_found(self) -> "User":
        self.name_words = search_words(self.name)
        return self

    def account(self) -> Account:
        """The person without secrets."""
        return Account(
            user_id=self.id,
            email=self.email,
            name=self.name,
            locale=self.locale,
            roles=self.roles,
            theaters=self.theaters,
            epoch=self.epoch,
        )

    def has_open_offer(self, now: datetime) -> bool:
        """Whether the offered authenticator app can still be confirmed."""
        return self.totp_offered_at is not None and now < self.totp_offered_at + OFFER_LIFETIME

    def grant(self) -> Grant:
        """What the person may do, and where."""
        return Grant.model_construct(roles=self.roles, theaters=self.theaters)

    @property
    def is_acting_admin(self) -> bool:
        """Whether the person counts as an active admin."""
        return self.is_active and "admin" in self.roles

    def is_signed_out(self, session_id: str, created_at: datetime) -> bool:
        """Whether the session has ended since it was opened: the person was signed out, or the password was changed."""
        ended_at = max(filter(None, (self.password_changed_at, self.signed_out_at)), default=created_at)
        return created_at < ended_at and session_id != self.kept_session_id

    def noticed(self, what: str, device: str = "") -> SecurityNoticed:
        """The event for a mail about a security change, to the account's current address."""
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


users = Collection(User)


async def add_user(user: User, *events: Event) -> None:
    """Insert a new account and publish it, with further events. Raises EmailTaken."""
    registered = UserRegistered(user_id=user.id, email=user.email, name=user.name, roles=list(user.roles))
    if not await users.insert(user, events=[registered, *events]):
        raise EmailTaken


async def active_user(user_id: str) -> User | None:
    """The account, unless it is deleted or closed."""
    return await users.find_one({"_id": user_id, "is_active": True})


async def user_with_email(email: str) -> User | None:
    """The account with the address, even a closed one."""
    return await users.find_one({"email": email})


async def update_profile(user_id: str, fields: dict[str, Any]) -> User | None:
    """Set the fields; None when the account is deleted or closed."""
    if name := fields.get("name"):
        fields = fields | {"name_words": search_words(name)}
    return await users.update_and_get({"_id": user_id, "is_active": True}, {"$set": fields})


async def change_email(link: Link, user: User, device: str) -> None:
    """Change the account's address to the link's, and notify the old one. Raises LinkVoid and EmailTaken."""
    try:
        changed = await users.update(
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
    if not changed:
        raise LinkVoid
