"""People who signed up and have not yet shown that the address is theirs.

They are not among the users: any number of people can claim one address, and nobody who signs up learns whether it has
an account already (docs/adr/0020-sign-up-tells-nobody.md).
"""

from datetime import datetime, timedelta

from chassis.outbox import Aggregate
from chassis.secrets import hash_secret
from contracts.envelope import Event
from pymongo import IndexModel

from identity.model import Account, EmailTaken, LinkVoid
from identity.store.users import User, add_user

KEPT = timedelta(days=7)


class Registration(Aggregate):
    """A claim to an address. Its id becomes the user's, so that what was booked meanwhile stays theirs."""

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
        """The person as long as nobody knows whether the address is theirs."""
        return Account(
            user_id=self.id, email=self.email, email_verified=False, name=self.name, locale=self.locale, roles=[]
        )


async def add_registration(registration: Registration, mail: Event) -> None:
    """Keep a registration and have its mail sent."""
    await Registration.add(registration, events=[mail])


async def registration(registration_id: str, now: datetime) -> Registration | None:
    """The registration while it lasts."""
    return await Registration.find_one({"_id": registration_id, "expires_at": {"$gt": now}})


async def renew_token(registration: Registration, token: str, expires_at: datetime, mail: Event) -> bool:
    """Replace the registration's link and have it mailed; False when it is verified or forgotten by now."""
    change = {"token_hash": hash_secret(token), "token_expires_at": expires_at}
    return await Registration.commit({"_id": registration.id}, {"$set": change}, events=[mail]) is not None


async def verify(token: str, now: datetime) -> User | None:
    """Make the registration with this link's secret an account; None without one. Raises LinkVoid and EmailTaken.

    The account's unique id and address decide when the link is used twice at once, or two claims to one address are
    verified.
    """
    found = await Registration.find_one({"token_hash": hash_secret(token), "token_expires_at": {"$gt": now}})
    if found is None:
        return None
    user = User(
        id=found.id,
        email=found.email,
        name=found.name,
        locale=found.locale,
        password_hash=found.password_hash,
        registered_at=found.registered_at,
    )
    try:
        await add_user(user)
    except EmailTaken:
        if await User.find_one({"_id": found.id}):
            raise LinkVoid from None
        raise
    await found.delete()
    return user
