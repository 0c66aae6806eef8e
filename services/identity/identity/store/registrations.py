"""People who signed up and have not verified their address yet.

They are not users: any number of people can register one address, and signing up does not reveal whether it has
an account (docs/adr/0020-sign-up-tells-nobody.md).
"""

from datetime import datetime, timedelta

from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import hash_secret
from contracts.envelope import Event
from pymongo import IndexModel

from identity.model import Account, EmailTaken, LinkVoid
from identity.store.changes import signed_out
from identity.store.sessions import delete_ended_sessions
from identity.store.users import User, add_user, users

KEPT = timedelta(days=7)


class Registration(Aggregate):
    """A registration of an address. Its id becomes the user's, so that bookings made meanwhile stay theirs."""

    email: str
    name: str
    locale: str
    password_hash: str
    registered_at: datetime
    token_hash: str
    token_expires_at: datetime
    expires_at: datetime

    class Settings:
        name = "registrations"
        indexes = [IndexModel("token_hash", unique=True), IndexModel("expires_at", expireAfterSeconds=0)]

    def account(self) -> Account:
        """The unverified person."""
        return Account(
            user_id=self.id, email=self.email, email_verified=False, name=self.name, locale=self.locale, roles=[]
        )


registrations = Collection(Registration)


async def add_registration(registration: Registration, mail: Event) -> None:
    """Store a registration and request its mail."""
    await registrations.insert(registration, events=[mail])


async def registration(registration_id: str, now: datetime) -> Registration | None:
    """The registration, unless it has expired."""
    return await registrations.find_one({"_id": registration_id, "expires_at": {"$gt": now}})


async def renew_token(registration: Registration, token: str, expires_at: datetime, mail: Event) -> bool:
    """Replace the registration's link and request its mail; False when it was verified or has expired."""
    change = {"token_hash": hash_secret(token), "token_expires_at": expires_at}
    return await registrations.update({"_id": registration.id}, {"$set": change}, events=[mail])


async def registration_with(token: str, now: datetime) -> Registration | None:
    """The registration with this link."""
    return await registrations.find_one({"token_hash": hash_secret(token), "token_expires_at": {"$gt": now}})


async def verify(found: Registration, now: datetime, new_password_hash: str | None = None) -> User:
    """Turn a registration into an account. Raises LinkVoid and EmailTaken.

    With `new_password_hash`, somebody else may have registered the address: that person's password, sessions and access
    tokens are void from the first moment of the account. The account's unique id and address decide when the link is
    used twice, or two registrations of one address are verified.
    """
    user = User(
        id=found.id,
        email=found.email,
        name=found.name,
        locale=found.locale,
        password_hash=new_password_hash or found.password_hash,
        registered_at=found.registered_at,
    )
    events: list[Event] = []
    if new_password_hash:
        fields, revoked = signed_out(user, now)
        user = user.model_copy(update=fields)
        events.append(revoked)
    try:
        await add_user(user, *events)
    except EmailTaken:
        if await users.exists({"_id": found.id}):
            raise LinkVoid from None
        raise
    await registrations.delete({"_id": found.id})
    await delete_ended_sessions(user)
    return user
