"""Passwords, and what ends with them. Each change ends sessions and access tokens in the same write."""

from collections.abc import AsyncIterator
from datetime import datetime

from contracts.envelope import Event

from identity.model import LinkVoid, WrongPassword
from identity.store.audit import act
from identity.store.changes import Change, Decide, change_person, signed_out
from identity.store.links import Link
from identity.store.sessions import delete_ended_sessions
from identity.store.users import FactorRemoval, User, users


async def change_password(user: User, password_hash: str, moment: datetime, device: str) -> User:
    """Replace the password and sign the person out everywhere.

    Raises WrongPassword when the password has changed since `user` was read, UserUnknown and Unavailable.
    """

    def decide(current: User) -> Change:
        if not current.is_active or current.password_hash != user.password_hash:
            raise WrongPassword
        fields, revoked = signed_out(current, moment)
        fields |= {"password_hash": password_hash, "password_changed_at": moment}
        return Change(fields, [revoked, current.noticed("password_changed", device)])

    return await _changed(user.id, decide)


async def reset_password(
    link: Link, user: User, password_hash: str, moment: datetime, device: str, *, remove_factors_at: datetime | None
) -> User:
    """Replace the password by link, and sign the person out everywhere. All links become void.

    With `remove_factors_at`, the second factors that the account has now are removed then. Raises LinkVoid, UserUnknown
    and Unavailable.
    """

    def decide(current: User) -> Change:
        if not current.is_active or current.password_changed_at != link.password_changed_at:
            raise LinkVoid
        fields, revoked = signed_out(current, moment)
        fields |= {"password_hash": password_hash, "password_changed_at": moment, "factor_removal": None}
        events: list[Event] = [revoked, current.noticed("password_reset", device)]
        if remove_factors_at is not None and (current.totp or current.passkeys):
            fields["factor_removal"] = FactorRemoval(requested_at=moment, due_at=remove_factors_at).model_dump()
            events.append(current.noticed("factor_removal_requested", device))
        return Change(fields, events)

    return await _changed(user.id, decide)


async def rehash(user: User, password_hash: str) -> None:
    """Store the same password hashed with stronger parameters."""
    where = {"_id": user.id, "password_hash": user.password_hash}
    await users.update(where, {"$set": {"password_hash": password_hash}})


async def keep_factors(user: User, device: str) -> None:
    """Cancel the removal of the second factors, if it was requested."""

    def decide(current: User) -> Change | None:
        if current.factor_removal is None:
            return None
        return Change({"factor_removal": None}, [current.noticed("factor_removal_cancelled", device)])

    await change_person(user.id, decide)


async def due_factor_removals(moment: datetime) -> AsyncIterator[str]:
    """The ids of people whose second factors are to be removed now."""
    async for row in users.rows({"factor_removal.due_at": {"$lte": moment, "$type": "date"}}, ["_id"]):
        yield row["_id"]


async def remove_factors(user_id: str, moment: datetime) -> None:
    """Remove the second factors that the account had when their removal was requested, if that is due.

    Ends the sessions that they may have opened. Raises UserUnknown and Unavailable.
    """

    def decide(current: User) -> Change | None:
        removal = current.factor_removal
        if removal is None or removal.due_at > moment:
            return None
        fields, revoked = signed_out(current, moment)
        fields |= {
            "factor_removal": None,
            "passkeys": [key.model_dump() for key in current.passkeys if key.created_at > removal.requested_at],
        }
        if current.totp and (current.totp.added_at is None or current.totp.added_at <= removal.requested_at):
            fields |= {"totp": None, "recovery_hashes": []}
        recorded = act("second_factor_removed", user_id, user_id)
        return Change(fields, [revoked, recorded, current.noticed("second_factor_removed")])

    await _changed(user_id, decide)


async def _changed(user_id: str, decide: Decide) -> User:
    user = await change_person(user_id, decide)
    await delete_ended_sessions(user)
    return user
