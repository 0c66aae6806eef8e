"""One-time links. Only a hash of the secret is kept; it travels sealed to the one mail that tells it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from chassis.outbox import Aggregate
from chassis.secrets import hash_secret, new_secret
from contracts.envelope import Event
from pymongo import IndexModel

from identity.model import LinkVoid

LinkKind = Literal["reset_password", "change_email"]


class Link(Aggregate):
    """A link that was mailed, or for an address without an account one that was not.

    What it does is guarded by the write that does it, so that it counts once: `password_changed_at` is that of the
    account when the link was made.
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


def new_link(kind: LinkKind, email: str, now: datetime, lifetime: timedelta) -> tuple[Link, str]:
    """A link that is not kept yet, and its secret."""
    token = new_secret()
    return Link(kind=kind, token_hash=hash_secret(token), email=email, expires_at=now + lifetime), token


async def keep_link(link: Link, events: Sequence[Event]) -> None:
    """Keep a link; with an event it is mailed. Without one it only costs the same time."""
    await Link.add(link, events=events)


async def find_link(token: str, now: datetime, *kinds: LinkKind) -> Link:
    """The link with the secret. Raises LinkVoid."""
    where = {"token_hash": hash_secret(token), "kind": {"$in": kinds}, "expires_at": {"$gt": now}}
    if link := await Link.find_one(where):
        return link
    raise LinkVoid


async def drop_link(link: Link) -> None:
    """Forget a link that has done what it was for."""
    await link.delete()
