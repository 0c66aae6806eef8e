"""Identity's documents and the writes that keep its rules true."""

from datetime import datetime, timedelta

import structlog
from beanie import Document
from chassis.ids import new_id
from chassis.outbox import Aggregate
from chassis.secrets import hash_secret, new_secret
from contracts.identity import UserRegistered
from pydantic import Field
from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from identity.model import Account, EmailTaken, RefreshToken, Role, SessionOver

log = structlog.get_logger()


class User(Aggregate):
    """A person. `email` is in its normal spelling, which makes the unique index the rule that one address is one."""

    email: str
    name: str
    password_hash: str
    roles: list[Role] = ["customer"]
    theaters: list[str] = []
    is_active: bool = True
    registered_at: datetime

    class Settings:
        name = "users"
        indexes = [IndexModel("email", unique=True)]

    def account(self) -> Account:
        """The person without what is secret."""
        return Account(user_id=self.id, email=self.email, name=self.name, roles=self.roles, theaters=self.theaters)


class Session(Document):
    """One log-in and the tokens that descend from it. Only the present refresh token's hash is kept."""

    id: str = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: str
    family_hash: str
    turn_hash: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    class Settings:
        name = "sessions"
        indexes = [
            IndexModel("family_hash", unique=True),
            IndexModel("user_id"),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


class SigningKey(Document):
    """A key that signs from `not_before` on until a later one does, and is published until it is deleted.

    `generation` counts the keys from 1; being unique it lets one replica alone make the next key.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    generation: int
    private_pem: str
    not_before: datetime

    class Settings:
        name = "signing_keys"
        indexes = [IndexModel("generation", unique=True)]


DOCUMENTS = [User, Session, SigningKey]


async def add_user(user: User) -> None:
    """Enter a new account and say so. Raises EmailTaken."""
    registered = UserRegistered(user_id=user.id, email=user.email, name=user.name, roles=list(user.roles))
    if not await User.add(user, events=[registered]):
        raise EmailTaken


async def active_user(user_id: str) -> User | None:
    """The account unless it is gone or closed."""
    return await User.find_one({"_id": user_id, "is_active": True})


async def open_session(user_id: str, now: datetime, lifetime: timedelta) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token."""
    token = RefreshToken(new_secret(), new_secret())
    session = Session(
        user_id=user_id,
        family_hash=hash_secret(token.family),
        turn_hash=hash_secret(token.turn),
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
    )
    await session.insert()
    return session, token


async def turn_session(token: RefreshToken, now: datetime) -> tuple[Session, RefreshToken]:
    """Exchange a refresh token for its successor; of several who try with one token, one succeeds.

    Raises SessionOver for a token that is unknown, expired or used before; a used one ends its session.
    """
    successor = token._replace(turn=new_secret())
    turned = await Session.get_pymongo_collection().find_one_and_update(
        {
            "family_hash": hash_secret(token.family),
            "turn_hash": hash_secret(token.turn),
            "expires_at": {"$gt": now},
        },
        {"$set": {"turn_hash": hash_secret(successor.turn), "last_used_at": now}},
        return_document=ReturnDocument.AFTER,
    )
    if turned is None:
        log.warning("refresh_refused", ended_session_id=await end_session(token))
        raise SessionOver
    return Session.model_validate(turned), successor


async def end_session(token: RefreshToken) -> str | None:
    """End the session that the token, new or used, belongs to. Returns its id; None when there is none."""
    ended = await Session.get_pymongo_collection().find_one_and_delete({"family_hash": hash_secret(token.family)})
    return ended["_id"] if ended else None


async def signing_keys() -> list[SigningKey]:
    """All keys, the newest first."""
    return await SigningKey.find_all(sort="-generation").to_list()


async def add_signing_key(key: SigningKey) -> bool:
    """Keep a new key; False when another replica was first with this generation."""
    try:
        await key.insert()
    except DuplicateKeyError:
        return False
    return True
