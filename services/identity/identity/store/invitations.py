"""Invited people who have not chosen a password yet. They are not users yet."""

from datetime import datetime
from typing import Any

from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import hash_secret
from contracts.envelope import Event
from pymongo import DESCENDING, IndexModel

from identity.model import EmailTaken, Grant, InvitationUnknown, LinkVoid
from identity.store import admins
from identity.store.audit import act
from identity.store.users import User, add_user, users


class Invitation(Aggregate):
    """An invitation for the owner of an address. Its id becomes the user's."""

    email: str
    name: str
    locale: str
    grant: Grant
    invited_by: str | None
    invited_at: datetime
    token_hash: str
    accepted_at: datetime | None = None
    withdrawn_at: datetime | None = None
    expires_at: datetime

    class Settings:
        name = "invitations"
        indexes = [IndexModel("token_hash", unique=True), IndexModel("expires_at", expireAfterSeconds=0)]


invitations = Collection(Invitation)


def _open(now: datetime) -> dict[str, Any]:
    return {"accepted_at": None, "withdrawn_at": None, "expires_at": {"$gt": now}}


async def add_invitation(invitation: Invitation, *mails: Event) -> None:
    """Store an invitation and request its mail; without a mail, the inviting person passes on the link."""
    recorded = act("invited", invitation.invited_by, invitation.id, after=invitation.grant)
    await invitations.insert(invitation, events=[*mails, recorded])


async def find_invitation(invitation_id: str, now: datetime) -> Invitation:
    """An open invitation. Raises InvitationUnknown."""
    if found := await invitations.find_one({"_id": invitation_id, **_open(now)}):
        return found
    raise InvitationUnknown


async def invited_with(token: str, now: datetime) -> Invitation:
    """The invitation with this link's secret. Raises LinkVoid."""
    where = {"token_hash": hash_secret(token), "withdrawn_at": None, "expires_at": {"$gt": now}}
    if found := await invitations.find_one(where):
        return found
    raise LinkVoid


async def renew_invitation(
    invitation: Invitation, token: str, expires_at: datetime, mail: Event, *, actor_id: str, now: datetime
) -> Invitation:
    """Replace the link and request its mail; the old one becomes void. Raises InvitationUnknown."""
    renewed = await invitations.update_and_get(
        {"_id": invitation.id, **_open(now)},
        {"$set": {"token_hash": hash_secret(token), "expires_at": expires_at}},
        events=[mail, act("invitation_renewed", actor_id, invitation.id)],
    )
    if renewed is None:
        raise InvitationUnknown
    return renewed


async def withdraw_invitation(invitation_id: str, actor_id: str, now: datetime) -> None:
    """Void an invitation. Raises InvitationUnknown."""
    if not await invitations.update(
        {"_id": invitation_id, **_open(now)},
        {"$set": {"withdrawn_at": now}},
        events=[act("invitation_withdrawn", actor_id, invitation_id)],
    ):
        raise InvitationUnknown


async def accept_invitation(token: str, password_hash: str, now: datetime) -> User:
    """Make the invited person a user. Raises LinkVoid and EmailTaken.

    The acceptance is stored first, so that no admin withdraws an invitation that has become an account. The account's
    unique id decides when the link is used twice; after a crash between the two writes it can be used again.
    """
    invitation = await invitations.update_and_get(
        {"token_hash": hash_secret(token), "withdrawn_at": None, "expires_at": {"$gt": now}},
        {"$set": {"accepted_at": now}},
    )
    if invitation is None:
        raise LinkVoid
    user = User(
        id=invitation.id,
        email=invitation.email,
        name=invitation.name,
        locale=invitation.locale,
        password_hash=password_hash,
        registered_at=now,
        **invitation.grant.model_dump(),
    )
    try:
        await add_user(user, act("invitation_accepted", user.id, user.id, after=user.grant()))
    except EmailTaken:
        if await users.exists({"_id": user.id}):
            raise LinkVoid from None
        raise
    if user.is_acting_admin:
        await admins.join(user)
    return user


async def invitations_page(now: datetime, after_id: str | None, limit: int) -> list[Invitation]:
    """Open invitations, the newest first, starting after `after_id`."""
    position = {"_id": {"$lt": after_id}} if after_id is not None else {}
    found = invitations.find(_open(now) | position, sort=[("_id", DESCENDING)], limit=limit)
    return [invitation async for invitation in found]
