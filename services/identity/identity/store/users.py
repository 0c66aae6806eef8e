"""People and the writes that keep one address one account."""

from datetime import datetime

from chassis.outbox import Aggregate
from contracts.identity import UserRegistered
from pymongo import IndexModel

from identity.model import Account, EmailTaken, Role


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


async def add_user(user: User) -> None:
    """Enter a new account and say so. Raises EmailTaken."""
    registered = UserRegistered(user_id=user.id, email=user.email, name=user.name, roles=list(user.roles))
    if not await User.add(user, events=[registered]):
        raise EmailTaken


async def active_user(user_id: str) -> User | None:
    """The account unless it is gone or closed."""
    return await User.find_one({"_id": user_id, "is_active": True})
