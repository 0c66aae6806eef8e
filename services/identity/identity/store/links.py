"""One-time links. Only a hash of the secret is stored; the secret travels encrypted to the mail."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import hash_secret, new_secret
from contracts.envelope import Event
from pymongo import IndexModel

from identity.model import LinkVoid

LinkKind = Literal["reset_password", "change_email"]


class Link(Aggregate):
    """A mailed link; for an address without an account, one that was not mailed.

    The write that uses it is guarded, so that it works once: `password_changed_at` is the account's value at the time
    when the link was created.
    """

    kind: LinkKind
    token_hash: str
    email: str
    user_id: str | None = None
    old_email: str | None = None
    password_changed_at: datetime | None = None
    expires_at: datetime

    class Settings:
        name = "links"
        indexes = [
            IndexModel("token_hash", unique=True),
            IndexModel("user_id", partialFilterExpression={"user_id": {"$type": "string"}}),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


links = Collection(Link)


def new_link(kind: LinkKind, email: str, now: datetime, lifetime: timedelta) -> tuple[Link, str]:
    """A new link that is not stored yet, and its secret."""
    token = new_secret()
    return Link(kind=kind, token_hash=hash_secret(token), email=email, expires_at=now + lifetime), token


async def keep_link(link: Link, events: Sequence[Event]) -> None:
    """Store a link; with an event it is mailed. Without an event it only takes the same time."""
    await links.insert(link, events=events)


async def find_link(token: str, now: datetime, *kinds: LinkKind) -> Link:
    """The link with the secret. Raises LinkVoid."""
    where = {"token_hash": hash_secret(token), "kind": {"$in": kinds}, "expires_at": {"$gt": now}}
    if link := await links.find_one(where):
        return link
    raise LinkVoid


async def drop_link(link: Link) -> None:
    """Delete a used link."""
    await links.delete({"_id": link.id})
