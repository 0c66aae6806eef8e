"""Changes of people: each is one write to the person, with its events and its line of the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from contracts.identity import (
    UserDeactivated,
    UserDeleted,
    UserReactivated,
    UserRolesChanged,
)
from pymongo import DESCENDING

from identity.model import Grant, WrongPassword, search_words
from identity.store import admins
from identity.store.audit import act
from identity.store.changes import Change, change_person, revoked, signed_out
from identity.store.deletions import forget_traces
from identity.store.sessions import delete_ended_sessions
from identity.store.users import User, add_user, users

Standing = Literal["active", "deactivated"]


async def change_grant(user_id: str, grant: Grant, actor_id: str | None, moment: datetime) -> User:
    """Replace a person's roles and theaters; tokens with the old ones become void.

    Raises UserUnknown, LastAdmin and Unavailable.
    """

    def decide(user: User) -> Change | None:
        if user.grant() == grant:
            return None
        fields, event = revoked(user, moment)
        recorded = act("roles_changed", actor_id, user.id, before=user.grant(), after=grant)
        changed = UserRolesChanged(user_id=user.id, roles=list(grant.roles))
        return Change(fields | grant.model_dump(), [changed, event, recorded, user.noticed("roles_changed")])

    return await change_person(user_id, decide)


async def deactivate(user_id: str, actor_id: str, moment: datetime) -> User:
    """Deactivate a person. Raises UserUnknown, LastAdmin and Unavailable."""

    def decide(user: User) -> Change | None:
        if not user.is_active:
            return None
        fields, revoked = signed_out(user, moment)
        recorded = act("deactivated", actor_id, user.id)
        events = [UserDeactivated(user_id=user.id), revoked, recorded, user.noticed("account_deactivated")]
        return Change(fields | {"is_active": False}, events)

    user = await change_person(user_id, decide)
    await delete_ended_sessions(user)
    return user


async def reactivate(user_id: str, actor_id: str, moment: datetime) -> User:
    """Reactivate a person with their previous roles; they must sign in again. Raises UserUnknown and Unavailable."""

    def decide(user: User) -> Change | None:
        if user.is_active:
            return None
        fields, revoked = signed_out(user, moment)
        events = [UserReactivated(user_id=user.id), revoked, act("reactivated", actor_id, user.id)]
        return Change(fields | {"is_active": True}, [*events, user.noticed("account_reactivated")])

    return await change_person(user_id, decide)


async def sign_out(user_id: str, moment: datetime, *, by: str | None = None, but: str | None = None) -> None:
    """End all sessions of a person, or all but one, and void all access tokens.

    `by` is the admin who does it. Raises UserUnknown and Unavailable.
    """

    def decide(user: User) -> Change:
        fields, revoked = signed_out(user, moment, but=but)
        return Change(fields, [revoked, act("signed_out", by, user.id)] if by else [revoked])

    await delete_ended_sessions(await change_person(user_id, decide))


async def reset_second_factor(user_id: str, actor_id: str | None, moment: datetime) -> User:
    """Remove a person's second factors, and end the sessions that these may have opened.

    Raises UserUnknown and Unavailable.
    """

    def decide(user: User) -> Change:
        fields, revoked = signed_out(user, moment)
        nothing = {
            "totp": None,
            "totp_offer": None,
            "totp_offered_at": None,
            "recovery_hashes": [],
            "passkeys": [],
            "factor_removal": None,
        }
        recorded = act("second_factor_reset", actor_id, user.id)
        return Change(fields | nothing, [revoked, recorded, user.noticed("second_factor_reset")])

    user = await change_person(user_id, decide)
    await delete_ended_sessions(user)
    return user


async def delete_account(user_id: str, actor_id: str, moment: datetime, password_hash: str | None = None) -> None:
    """Remove everything personal from an account; with `password_hash`, only if the account still has that hash.

    What remains is an id that the other services and the relay still need; `deletions` removes the rest. Raises
    UserUnknown, LastAdmin and Unavailable, and WrongPassword when the password was changed meanwhile.
    """

    def decide(user: User) -> Change:
        if password_hash not in {None, user.password_hash}:
            raise WrongPassword
        fields, revoked = signed_out(user, moment)
        events = [
            UserDeleted(user_id=user.id),
            revoked,
            act("account_deleted", actor_id, user.id, before=user.grant()),
            user.noticed("account_deleted"),
        ]
        return Change(fields | _nobody(user.id, moment), events)

    await change_person(user_id, decide)
    await forget_traces(user_id)


def _nobody(user_id: str, moment: datetime) -> dict[str, Any]:
    return {
        "is_active": False,
        "deleted_at": moment,
        "email": f"{user_id}@deleted.invalid",
        "name": "",
        "name_words": [],
        "locale": "en",
        "password_hash": "",
        "password_changed_at": moment,
        "roles": [],
        "theaters": [],
        "totp": None,
        "totp_offer": None,
        "totp_offered_at": None,
        "recovery_hashes": [],
        "passkeys": [],
        "factor_removal": None,
    }


async def add_admin(user: User) -> None:
    """Insert an admin who was created on the command line. Raises EmailTaken."""
    await add_user(user, act("admin_created", None, user.id, after=user.grant()))
    await admins.join(user)


@dataclass(frozen=True)
class Wanted:
    """A search of people: prefixes of words of the name or of the address, and filters."""

    words: Sequence[str] = ()
    role: str | None = None
    theater: str | None = None
    standing: Standing | None = None


async def people_page(wanted: Wanted, after_id: str | None, limit: int) -> list[User]:
    """People, the newest first, starting after `after_id`."""
    found = users.find(people_filter(wanted, after_id), sort=[("_id", DESCENDING)], limit=limit)
    return [user async for user in found]


def people_filter(wanted: Wanted, after_id: str | None) -> dict[str, Any]:
    """The MongoDB filter of a search."""
    where: dict[str, Any] = {"deleted_at": None}
    if wanted.words:
        where["$and"] = [_begins(word) for word in wanted.words]
    if wanted.role:
        where["roles"] = wanted.role
    if wanted.theater:
        where["theaters"] = wanted.theater
    if wanted.standing:
        where["is_active"] = wanted.standing == "active"
    if after_id is not None:
        where["_id"] = {"$lt": after_id}
    return where


def _begins(word: str) -> dict[str, Any]:
    names = [{"name_words": {"$elemMatch": _from(each)}} for each in search_words(word)]
    return {"$or": [{"email": _from(word.lower())}, *names]}


def _from(beginning: str) -> dict[str, str]:
    """A prefix as a range of the index."""
    return {"$gte": beginning, "$lt": f"{beginning}\U0010ffff"}


async def names_of(user_ids: set[str]) -> dict[str, str]:
    """The names of these people, without deleted ones."""
    found = users.rows({"_id": {"$in": list(user_ids)}, "deleted_at": None}, ["name"])
    return {row["_id"]: row["name"] async for row in found}
