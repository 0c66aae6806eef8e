"""Sessions and their rotating refresh tokens (docs/adr/0021-refresh-tokens-turn.md)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from chassis.security.secrets import Cipher, hash_secret, new_secret
from contracts.envelope import Event
from contracts.identity import SessionEnded
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from identity.model import Method, RefreshToken, SessionLimits, SessionOver, SessionUnknown
from identity.store.users import User, users

log = structlog.get_logger()
GRACE = timedelta(seconds=10)
"""How long a replaced token still returns its successor: two tabs may refresh at once, an answer may be lost."""


ENDED_KEPT = timedelta(days=1)


class Replaced(BaseModel):
    """The previous turn, and the current one encrypted with it, so that only its owner can read it."""

    turn_hash: str
    until: datetime
    sealed_successor: str


class Session(Aggregate):
    """One log-in and its tokens, of which only hashes are stored.

    A session that has ended stays for a day, closed and without its device, until every service knows about it.
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
    ended_at: datetime | None = None
    is_open: bool = True

    class Settings:
        name = "sessions"
        indexes = [
            IndexModel("family_hash", unique=True),
            IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel("expires_at", expireAfterSeconds=0),
            IndexModel("ended_at", partialFilterExpression={"ended_at": {"$type": "date"}}),
        ]


sessions = Collection(Session)


async def open_session(
    user_id: str, since: datetime, limits: SessionLimits, *, methods: list[Method], device: str = ""
) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token.

    `since` is a time before the account was read: a change of the password after that read also ends this session.
    """
    token = RefreshToken(new_secret(), new_secret())
    session = Session(
        user_id=user_id,
        family_hash=hash_secret(token.family),
        turn_hash=hash_secret(token.turn),
        methods=methods,
        device=device,
        created_at=since,
        last_used_at=since,
        expires_at=since + limits.lifetime,
    )
    await sessions.insert(session)
    return session, token


async def session_with(token: RefreshToken, now: datetime) -> Session:
    """The open session of a current or used token. Raises SessionOver."""
    where = {"family_hash": hash_secret(token.family), "is_open": True, "expires_at": {"$gt": now}}
    if session := await sessions.find_one(where):
        return session
    log.info("refresh_refused")
    raise SessionOver


async def turn_session(
    token: RefreshToken, now: datetime, limits: SessionLimits, device: str = ""
) -> tuple[Session, RefreshToken]:
    """Exchange a refresh token for its successor. Concurrent requests with one token all get the same successor.

    Raises SessionOver for a token that is unknown, for a session beyond its limits, and for a token that was replaced
    longer ago than GRACE, which ends its session and warns its owner.
    """
    successor, turn_hash = token._replace(turn=new_secret()), hash_secret(token.turn)
    is_present: dict[str, Any] = {"$eq": ["$turn_hash", turn_hash]}
    replaced = {
        "turn_hash": turn_hash,
        "until": now + GRACE,
        "sealed_successor": Cipher(token.turn).encrypt(successor.turn),
    }
    session = await sessions.update_and_get(
        {
            "family_hash": hash_secret(token.family),
            "is_open": True,
            "expires_at": {"$gt": now},
            "created_at": {"$gt": now - limits.lifetime},
            "last_used_at": {"$gt": now - limits.idle},
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
        await _end_refused(token, now, limits, device)
        raise SessionOver
    if session.replaced is None or session.replaced.turn_hash != turn_hash:
        raise SessionOver  # cannot happen: the write above guarantees it
    return session, token._replace(turn=Cipher(token.turn).decrypt(session.replaced.sealed_successor))


async def _end_refused(token: RefreshToken, now: datetime, limits: SessionLimits, device: str) -> None:
    """End the session of a refused token. If the token was used before, warn the owner once."""
    session = await sessions.find_one({"family_hash": hash_secret(token.family), "is_open": True})
    if session is None:
        log.info("refresh_refused")
        return
    if limits.end(session.created_at, session.last_used_at) <= now:
        await end_session(token, now)
        log.info("session_timed_out", user_id=session.user_id, session_id=session.id)
        return
    user = await users.get(session.user_id)
    warning = [user.noticed("refresh_token_reused", device)] if user else []
    if await _end(session, now, warning):
        log.warning("refresh_token_reused", user_id=session.user_id, session_id=session.id)


async def _end(session: Session, now: datetime, events: Sequence[Event] = ()) -> bool:
    """End an open session with its access tokens, in every service. Returns False when it has ended already."""
    ended = {"is_open": False, "ended_at": now, "expires_at": now + ENDED_KEPT, "device": ""}
    revoked = SessionEnded(session_id=session.id, user_id=session.user_id)
    return await sessions.update({"_id": session.id, "is_open": True}, {"$set": ended}, events=[revoked, *events])


async def end_session(token: RefreshToken, now: datetime) -> None:
    """End the session of a current or used token."""
    if session := await sessions.find_one({"family_hash": hash_secret(token.family), "is_open": True}):
        await _end(session, now)


async def ended_since(moment: datetime) -> dict[str, str]:
    """The sessions that have ended since then, with their users."""
    where = {"ended_at": {"$gt": moment, "$type": "date"}}
    return {row["_id"]: row["user_id"] async for row in sessions.rows(where, ["user_id"])}


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


async def end_session_of(user_id: str, session_id: str, now: datetime) -> None:
    """End one of the person's sessions. Raises SessionUnknown."""
    session = await sessions.find_one({"_id": session_id, "user_id": user_id, "is_open": True})
    if session is None or not await _end(session, now):
        raise SessionUnknown


async def delete_ended_sessions(user: User) -> None:
    """Delete the sessions that ended when the person was signed out."""
    if user.signed_out_at is not None:
        where = {"created_at": {"$lt": user.signed_out_at}, "_id": {"$ne": user.kept_session_id}}
        await sessions.delete_many({"user_id": user.id, "is_open": True, **where})


async def end_guest_sessions(registration_id: str, now: datetime, *, but: str | None = None) -> None:
    """End the sessions of somebody who has not verified the address, or all but one."""
    async for session in sessions.find({"user_id": registration_id, "is_open": True, "_id": {"$ne": but}}):
        await _end(session, now)


async def strengthen(session_id: str, method: Method) -> None:
    """Add an authentication method to the session."""
    await sessions.update({"_id": session_id}, {"$addToSet": {"methods": method}})
