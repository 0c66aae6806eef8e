"""What identity stores about a person: its own part of an export."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_core import to_jsonable_python
from pymongo import DESCENDING

from identity.store.audit import entries
from identity.store.invitations import invitations
from identity.store.sessions import sessions
from identity.store.users import users

_NEWEST_FIRST = [("_id", DESCENDING)]
_ACCOUNT = {"id", "email", "name", "locale", "roles", "theaters", "registered_at", "password_changed_at"}
_PASSKEYS = {"passkeys": {"__all__": {"passkey_id", "name", "created_at", "last_used_at"}}}
_SESSION = {"id", "device", "methods", "created_at", "last_used_at", "expires_at"}
_INVITATION = {"id", "email", "name", "locale", "grant", "invited_at", "accepted_at"}


async def records_about(user_id: str) -> AsyncIterator[Any]:
    """The account, sessions and audit log of a person, without anything that grants access."""
    async for user in users.find({"_id": user_id}):
        account = user.model_dump(include=dict.fromkeys(_ACCOUNT, True) | _PASSKEYS)
        yield _item("account", account | {"second_factor": user.totp is not None})
    async for session in sessions.find({"user_id": user_id}, sort=_NEWEST_FIRST):
        yield _item("session", session.model_dump(include=_SESSION))
    async for invitation in invitations.find({"_id": user_id}):
        yield _item("invitation", invitation.model_dump(include=_INVITATION))
    async for entry in entries.find({"user_id": user_id}, sort=_NEWEST_FIRST):
        yield _item("act", entry.model_dump(exclude={"revision_id", "user_id"}))


def _item(kind: str, fields: dict[str, Any]) -> Any:
    return to_jsonable_python({"kind": kind} | fields)
