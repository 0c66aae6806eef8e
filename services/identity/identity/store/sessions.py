"""Sessions and their rotating refresh tokens (docs/adr/0021-refresh-tokens-turn.md)."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import Cipher, hash_secret, new_secret
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from identity.model import Method, RefreshToken, SessionOver, SessionUnknown
from identity.store.users import users

log = structlog.get_logger()
GRACE = timedelta(seconds=10)
"""How long a replaced token still returns its successor: two tabs may refresh at once, an answer may be lost."""


class Replaced(BaseModel):
    """The previous turn, and the current one encrypted with it, so that only its owner can read it."""

    turn_hash: str
    until: datetime
    sealed_successor: str


class Session(Aggregate):
    """One log-in and its tokens, of which only hashes are stored.

    A session that a reused token ended stays, closed, until the warning about it is published.
    """

    user_id: str
    family_hash: str
    turn_hash: str
    replaced: Replaced | None = None
    methods: list[Method] = ["pwd"]
    device: str = ""
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_open: bool = True

    class Settings:
        name = "sessions"
        indexes = [
            IndexModel("family_hash", unique=True),
            IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


sessions = Collection(Session)


async def open_session(
    user_id: str, now: datetime, lifetime: timedelta, *, methods: list[Method], device: str = ""
) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token."""
    token = RefreshToken(new_secret(), new_secret())
    session = Session(
        user_id=user_id,
        family_hash=hash_secret(token.family),
        turn_hash=hash_secret(token.turn),
        methods=methods,
        device=device,
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
    )
    await sessions.insert(session)
    return session, token


async def turn_session(token: RefreshToken, now: datetime, device: str = "") -> tuple[Session, RefreshToken]:
    """Exchange a refresh token for its successor. Concurrent requests with one token all get the same successor.

    Raises SessionOver for a token that is unknown, expired, or was replaced longer ago than GRACE; the last of these
    ends its session and warns its owner.
    """
    successor, turn_hash = token._replace(turn=new_secret()), hash_secret(token.turn)
    is_present: dict[str, Any] = {"$eq": ["$turn_hash", turn_hash]}
    replaced = {
        "turn_hash": turn_hash,
        "until": now + GRACE,
        "sealed_successor": Cipher(token.turn).close(successor.turn),
    }
    session = await sessions.update_and_get(
        {
            "family_hash": hash_secret(token.family),
            "is_open": True,
            "expires_at": {"$gt": now},
            "$or": [{"turn_hash": turn_hash}, {"replaced.turn_hash": turn_hash, "replaced.until": {"$gt": now}}],
        },
        [
            {
                "$set": {
                    # All expressions of a pipeline stage see the document as it was before the stage.
                    "replaced": {"$cond": [is_present, replaced, "$replaced"]},
                    "turn_hash": {"$cond": [is_present, hash_secret(successor.turn), "$turn_hash"]},
                    "last_used_at": now,
                }
            }
        ],
    )
    if session is None:
        await _end_as_copied(token, device)
        raise SessionOver
    if session.replaced is None or session.replaced.turn_hash != turn_hash:
        raise SessionOver  # cannot happen: the write above guarantees it
    return session, token._replace(turn=Cipher(token.turn).open(session.replaced.sealed_successor))


async def _end_as_copied(token: RefreshToken, device: str) -> None:
    """End the session of a token that was used before, and warn its owner once."""
    session = await sessions.find_one({"family_hash": hash_secret(token.family), "is_open": True})
    if session is None:
        log.info("refresh_refused")
        return
    user = await users.get(session.user_id)
    warning = [user.noticed("refresh_token_reused", device)] if user else []
    if await sessions.update({"_id": session.id, "is_open": True}, {"$set": {"is_open": False}}, events=warning):
        log.warning("refresh_token_reused", user_id=session.user_id, session_id=session.id)


async def end_session(token: RefreshToken) -> None:
    """End the session of a current or used token."""
    await sessions.delete({"family_hash": hash_secret(token.family), "is_open": True})


async def open_session_of(user_id: str, session_id: str, now: datetime) -> Session | None:
    """The person's open session."""
    where = {"_id": session_id, "user_id": user_id, "is_open": True, "expires_at": {"$gt": now}}
    return await sessions.find_one(where)


async def sessions_of(user_id: str, now: datetime, after_id: str | None, limit: int) -> list[Session]:
    """A page of the person's sessions, the newest first, starting after `after_id`."""
    where: dict[str, Any] = {"user_id": user_id, "is_open": True, "expires_at": {"$gt": now}}
    if after_id is not None:
        where["_id"] = {"$lt": after_id}
    return [session async for session in sessions.find(where, sort=[("_id", DESCENDING)], limit=limit)]


async def end_session_of(user_id: str, session_id: str) -> None:
    """End one of the person's sessions. Raises SessionUnknown."""
    if not await sessions.delete({"_id": session_id, "user_id": user_id, "is_open": True}):
        raise SessionUnknown


async def end_sessions_of(user_id: str, *, but: str | None = None) -> None:
    """End all of the person's sessions, or all but one."""
    await sessions.delete_many({"user_id": user_id, "is_open": True, "_id": {"$ne": but}})


async def strengthen(session_id: str, method: Method) -> None:
    """Add an authentication method to the session."""
    await sessions.update({"_id": session_id}, {"$addToSet": {"methods": method}})
