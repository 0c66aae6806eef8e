"""Log-in, refresh, log-out, and a person's sessions."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Unavailable, documented
from chassis.http.problems import response as problem_response
from contracts.types import Id, KnownEmail
from fastapi import Path, Query, status
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from identity import settings, store, totp
from identity.api.attempts import Limits
from identity.api.cookies import Cookies, Mode
from identity.api.routing import SESSION_PROBLEMS, Body, CurrentSession, FromClient, GivenPassword, Hashing, router
from identity.api.signing_in import ModeField, SigningIn, TokenResponse
from identity.model import (
    Account,
    Busy,
    CrossSite,
    Method,
    RefreshToken,
    SecondFactorNeeded,
    SessionOver,
    SessionUnknown,
    TooManyAttempts,
    WrongCode,
    WrongCredentials,
)

log = structlog.get_logger()
auth = router("/api/auth", "sessions")

Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=6, max_length=40),
    AfterValidator(lambda typed: typed.replace(" ", "")),
    Field(description="six digits of the authenticator app, or a recovery code", examples=["492039"]),
]


class LoginRequest(Body):
    """Credentials; with `code` when the person has a second factor."""

    email: KnownEmail
    password: GivenPassword
    code: Code | None = Field(default=None, repr=False)
    mode: ModeField = "body"


class RefreshRequest(Body):
    """The session to refresh or end. Without a token in the body, the cookie is used."""

    refresh_token: Annotated[str, StringConstraints(pattern=RefreshToken.PATTERN)] | None = Field(
        default=None, repr=False, examples=["A" * 43 + "." + "B" * 43]
    )


class SessionResponse(BaseModel):
    """One log-in. Its location is not stored."""

    session_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    device: str = Field(examples=["Firefox on Linux"])
    methods: list[Method] = Field(description="how they signed in: password, one-time code, passkey")
    created_at: datetime
    last_seen_at: datetime = Field(description="when it was last refreshed")
    is_current: bool


@auth.post(
    "/login",
    responses=documented(WrongCredentials, SecondFactorNeeded, WrongCode, CrossSite, TooManyAttempts, Busy),
)
async def login(
    body: LoginRequest, client: FromClient, limits: Limits, passwords: Hashing, sign_in: SigningIn
) -> TokenResponse:
    """Sign in. An unknown address and a wrong password get the same answer after the same work.

    A browser in which the person has signed in before gets a cookie that gives it a limit of its own for wrong
    passwords: other people's guesses do not slow it down.
    """
    sign_in.allow(body.mode)
    moment = now()
    async with limits.sign_in(body.email):
        user = await store.user_with_email(body.email)
        checked = await passwords.check(body.password, user.password_hash if user else None)
        if user is None or not checked.fits or not user.is_active:
            log.info("login_refused", user_id=user.id if user else None)
            raise WrongCredentials
        methods = await _methods(user, body.code, client.device)
    if checked.rehashed:
        await store.rehash(user, checked.rehashed)
    log.info("logged_in", user_id=user.id, methods=methods)
    return await sign_in.open(user, methods, body.mode, moment)


async def _methods(user: store.User, code: str | None, device: str) -> list[Method]:
    """The authentication methods of the sign-in. Raises SecondFactorNeeded and WrongCode."""
    if user.totp is None:
        return ["pwd"]
    if code is None:
        raise SecondFactorNeeded
    await use_code(user, user.totp, code, device)
    return ["pwd", "otp"]


async def use_code(user: store.User, app: store.Totp, code: str, device: str) -> None:
    """Use a code of the app or a recovery code, once. Raises WrongCode."""
    if not (code.isascii() and code.isdigit()):
        await store.use_recovery_code(user, totp.normal_recovery_code(code), device)
        return
    step = totp.step_of(app.sealed_secret, code, now())
    if step is None:
        raise WrongCode
    await store.use_code(user, step)


@auth.post("/refresh", responses=documented(SessionOver, CrossSite))
async def refresh(body: RefreshRequest, client: FromClient, sign_in: SigningIn, jar: Cookies) -> TokenResponse:
    """Exchange a refresh token for new tokens. For ten seconds the old one returns the same new one.

    A used token that comes later ends the session for everybody who has a copy, and its owner gets a warning by mail.
    Sessions of staff end after 12 hours and after 60 minutes without a refresh (settings).
    """
    mode: Mode = "body" if body.refresh_token else "cookie"
    text = body.refresh_token or jar.read()
    try:
        if text is None:
            raise SessionOver
        token = RefreshToken.parse(text)
        account = await _account_in(await store.session_with(token, now()))
        if account is None:
            await store.end_session(token, now())
            raise SessionOver
        limits = settings.get().session_limits(account.roles)
        session, successor = await store.turn_session(token, now(), limits, client.device)
    except SessionOver as problem:
        if mode == "body":
            raise
        refused = problem_response(problem)
        jar.forget(refused)
        return refused  # pyright: ignore[reportReturnType] - FastAPI sends a response as it is
    return await sign_in.tokens(account, session, successor, mode)


async def _account_in(session: store.Session) -> Account | None:
    """The owner of the session, unless the account is closed or the person was signed out."""
    if user := await store.active_user(session.user_id):
        return None if user.is_signed_out(session.id, session.created_at) else user.account()
    pending = await store.registration(session.user_id, now())
    return pending.account() if pending else None


@auth.post("/logout", status_code=status.HTTP_204_NO_CONTENT, responses=documented(CrossSite))
async def logout(body: RefreshRequest, jar: Cookies) -> None:
    """End the session, even with a used refresh token, and its access tokens, in every service."""
    text = body.refresh_token or jar.read()
    if text is not None:
        await store.end_session(RefreshToken.parse(text), now())
    if body.refresh_token is None:
        jar.forget()


@auth.get("/sessions", responses=documented(*SESSION_PROBLEMS, CursorInvalid))
async def sessions(
    current: CurrentSession,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[SessionResponse]:
    """The caller's sessions, the newest first."""
    position = decode_cursor(cursor, str)
    found = await store.sessions_of(current.user_id, now(), position[0] if position else None, limit + 1)
    page = found[:limit]
    return Page(
        items=[shown(session, current.id) for session in page],
        next_cursor=encode_cursor(page[-1].id) if len(found) > limit else None,
    )


def shown(session: store.Session, current_id: str) -> SessionResponse:
    """A session, for its owner and admins."""
    return SessionResponse(
        session_id=session.id,
        device=session.device,
        methods=session.methods,
        created_at=session.created_at,
        last_seen_at=session.last_used_at,
        is_current=session.id == current_id,
    )


@auth.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*SESSION_PROBLEMS, SessionUnknown),
)
async def end_session(session_id: Annotated[Id, Path()], current: CurrentSession) -> None:
    """End one of the caller's sessions and its tokens, in every service."""
    await store.end_session_of(current.user_id, session_id, now())
    log.info("session_ended", user_id=current.user_id, session_id=session_id)


@auth.delete("/sessions", status_code=status.HTTP_204_NO_CONTENT, responses=documented(*SESSION_PROBLEMS, Unavailable))
async def end_sessions(
    current: CurrentSession,
    keep_current: Annotated[
        bool, Query(description="keep the current session; refresh it for a new access token")
    ] = False,
) -> None:
    """Log out everywhere. All access tokens end at once, in every service."""
    but = current.id if keep_current else None
    if await store.active_user(current.user_id):
        await store.sign_out(current.user_id, now(), but=but)
    else:
        await store.end_guest_sessions(current.user_id, now(), but=but)
    log.info("sessions_ended", user_id=current.user_id, kept_current=keep_current)
