"""Sessions and the refresh tokens that turn."""

from datetime import datetime, timedelta

import structlog
from beanie import Document
from chassis.ids import new_id
from chassis.secrets import hash_secret, new_secret
from pydantic import Field
from pymongo import IndexModel, ReturnDocument

from identity.model import RefreshToken, SessionOver

log = structlog.get_logger()


class Session(Document):
    """One log-in and the tokens that descend from it. Only the present refresh token's hash is kept."""

    id: str = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: str
    family_hash: str
    turn_hash: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    class Settings:
        name = "sessions"
        indexes = [
            IndexModel("family_hash", unique=True),
            IndexModel("user_id"),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


async def open_session(user_id: str, now: datetime, lifetime: timedelta) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token."""
    token = RefreshToken(new_secret(), new_secret())
    session = Session(
        user_id=user_id,
        family_hash=hash_secret(token.family),
        turn_hash=hash_secret(token.turn),
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
    )
    await session.insert()
    return session, token


async def turn_session(token: RefreshToken, now: datetime) -> tuple[Session, RefreshToken]:
    """Exchange a refresh token for its successor; of several who try with one token, one succeeds.

    Raises SessionOver for a token that is unknown, expired or used before; a used one ends its session.
    """
    successor = token._replace(turn=new_secret())
    turned = await Session.get_pymongo_collection().find_one_and_update(
        {
            "family_hash": hash_secret(token.family),
            "turn_hash": hash_secret(token.turn),
            "expires_at": {"$gt": now},
        },
        {"$set": {"turn_hash": hash_secret(successor.turn), "last_used_at": now}},
        return_document=ReturnDocument.AFTER,
    )
    if turned is None:
        log.warning("refresh_refused", ended_session_id=await end_session(token))
        raise SessionOver
    return Session.model_validate(turned), successor


async def end_session(token: RefreshToken) -> str | None:
    """End the session that the token, new or used, belongs to. Returns its id; None when there is none."""
    ended = await Session.get_pymongo_collection().find_one_and_delete({"family_hash": hash_secret(token.family)})
    return ended["_id"] if ended else None
