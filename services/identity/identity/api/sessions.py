"""Log-in, refresh and log-out."""

from typing import Annotated, Literal

import structlog
from chassis.clock import now
from chassis.problems import documented
from fastapi import status
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from identity import keys, passwords, settings, store
from identity.api.routing import Body, router
from identity.model import (
    MAX_PASSWORD,
    Account,
    Email,
    RefreshToken,
    SessionOver,
    WrongCredentials,
    access_claims,
    normal_password,
)

log = structlog.get_logger()
auth = router("/api/auth", "auth")


class Credentials(Body):
    """A person who says who they are."""

    email: Email
    password: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_PASSWORD), AfterValidator(normal_password)
    ] = Field(repr=False)


class Refresh(Body):
    """A session that goes on, or ends."""

    refresh_token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$")] = Field(
        repr=False
    )


class SignedIn(BaseModel):
    """A short access token for every service and a refresh token, good for one use, for the next one."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name, not a secret
    expires_in: int = Field(description="seconds until the access token runs out")
    refresh_token: str
    user: Account


@auth.post("/login", responses=documented(WrongCredentials))
async def login(body: Credentials) -> SignedIn:
    """Sign in. An unknown address and a wrong password get the same answer after the same work."""
    user = await store.User.find_one({"email": body.email})
    fits = await passwords.is_password(body.password, user.password_hash if user else None)
    if user is None or not fits or not user.is_active:
        log.info("login_refused", user_id=user.id if user else None)
        raise WrongCredentials
    session, token = await store.open_session(user.id, now(), settings.get().session_lifetime)
    log.info("logged_in", user_id=user.id, session_id=session.id)
    return await _signed_in(user.account(), session.id, token)


@auth.post("/refresh", responses=documented(SessionOver))
async def refresh(body: Refresh) -> SignedIn:
    """Exchange a refresh token for new tokens. A token shown a second time ends its whole session."""
    session, successor = await store.turn_session(RefreshToken.parse(body.refresh_token), now())
    user = await store.active_user(session.user_id)
    if user is None:
        await store.end_session(successor)
        raise SessionOver
    return await _signed_in(user.account(), session.id, successor)


@auth.post("/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(body: Refresh) -> None:
    """End the session, also with a refresh token that was used before. Access tokens run out within minutes."""
    await store.end_session(RefreshToken.parse(body.refresh_token))


async def _signed_in(account: Account, session_id: str, token: RefreshToken) -> SignedIn:
    chosen = settings.get()
    claims = access_claims(
        account,
        session_id=session_id,
        issuer=chosen.token_issuer,
        audience=chosen.token_audience,
        now=now(),
        lifetime=chosen.access_token_lifetime,
    )
    return SignedIn(
        access_token=await keys.sign(claims),
        expires_in=chosen.access_token_seconds,
        refresh_token=str(token),
        user=account,
    )
