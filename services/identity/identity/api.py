"""HTTP in: accounts, sessions and the public keys."""

from typing import Annotated, Any, Literal

import structlog
from chassis.auth import Principal, signed_in
from chassis.clock import now
from chassis.problems import documented
from fastapi import APIRouter, Depends, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from identity import keys, passwords, settings, store
from identity.model import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    Account,
    Email,
    EmailTaken,
    Name,
    RefreshToken,
    SessionOver,
    UserGone,
    WrongCredentials,
    acceptable_password,
    access_claims,
    normal_password,
)

log = structlog.get_logger()


def _not_kept(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


auth = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(_not_kept)])
users = APIRouter(prefix="/api/users", tags=["users"], dependencies=[Depends(_not_kept)])
well_known = APIRouter(prefix="/.well-known", tags=["keys"])
ROUTERS = [auth, users, well_known]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Registration(_Body):
    """A person who wants an account."""

    email: Email
    password: Annotated[
        str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD), AfterValidator(acceptable_password)
    ] = Field(repr=False)
    name: Name


class Credentials(_Body):
    """A person who says who they are."""

    email: Email
    password: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_PASSWORD), AfterValidator(normal_password)
    ] = Field(repr=False)


class Refresh(_Body):
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


@auth.post("/register", status_code=status.HTTP_201_CREATED, responses=documented(EmailTaken))
async def register(body: Registration) -> Account:
    """Open a customer's account."""
    password_hash = await passwords.hash_password(body.password)
    user = store.User(email=body.email, name=body.name, password_hash=password_hash, registered_at=now())
    await store.add_user(user)
    log.info("user_registered", user_id=user.id)
    return user.account()


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


@users.get("/me", responses=documented(UserGone))
async def me(who: Annotated[Principal, Depends(signed_in)]) -> Account:
    """The signed-in person as of now, not as of the token."""
    user = await store.active_user(who.user_id)
    if user is None:
        raise UserGone
    return user.account()


@well_known.get("/jwks.json")
async def jwks(response: Response) -> dict[str, Any]:
    """The public keys that verify access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return await keys.published()


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
