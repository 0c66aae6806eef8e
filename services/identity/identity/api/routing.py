"""Shared by identity's routers: request bodies, the caller and the client."""

from typing import Annotated, NamedTuple

from chassis.clock import now
from chassis.http.network import client_network
from chassis.http.problems import Unauthenticated
from chassis.security.auth import EmailUnverified, Principal, TokenInvalid, signed_in, verified
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from identity import passwords, settings, store
from identity.keys import SigningKeys
from identity.model import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    FreshSignInNeeded,
    SecondFactorNeeded,
    SessionOver,
    UserGone,
    device_of,
    is_fresh,
    is_strong,
    normal_password,
)
from identity.passwords import Passwords


def router(prefix: str, tag: str) -> APIRouter:
    """A router whose answers are not cached."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(_not_kept)])


def _not_kept(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


_New = Annotated[
    str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD), AfterValidator(passwords.acceptable)
]
_Given = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD), AfterValidator(normal_password)]
_SECRET = Field(repr=False, examples=["two tickets for the late show"])
NewPassword = Annotated[_New, _SECRET]
GivenPassword = Annotated[_Given, _SECRET]
MaybeNewPassword = Annotated[_New | None, _SECRET]
MaybePassword = Annotated[_Given | None, _SECRET]
Token = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$"),
    Field(repr=False, description="the text after `#token=` in the mailed link", examples=["A" * 43]),
]


class PasswordRequest(Body):
    """The password, for actions that a stolen session must not perform."""

    password: GivenPassword


class AcceptedResponse(BaseModel):
    """The same for every address, with or without an account."""

    detail: str = "If the address has an account, a mail is on its way."


class Client(NamedTuple):
    """The client of a request: a short name of the browser, and the address that limits count."""

    device: str
    network: str


def _client(request: Request) -> Client:
    return Client(device_of(request.headers.get("user-agent", "")), client_network(request))


FromClient = Annotated[Client, Depends(_client)]


def _passwords(request: Request) -> Passwords:
    return request.app.state.passwords


def _signing_keys(request: Request) -> SigningKeys:
    return request.app.state.signing_keys


Hashing = Annotated[Passwords, Depends(_passwords)]
Signing = Annotated[SigningKeys, Depends(_signing_keys)]


class Visit(NamedTuple):
    """A person with a verified address, and their session."""

    user: store.User
    session: store.Session


async def _visit(who: Annotated[Principal, Depends(verified)]) -> Visit:
    """Raises Unauthenticated, EmailUnverified, SessionOver and UserGone."""
    session = await open_session(who)
    user = await store.active_user(who.user_id)
    if user is None:
        raise UserGone
    ends_at = settings.get().session_limits(user.roles).end(session.created_at, session.last_used_at)
    if user.is_signed_out(session.id, session.created_at) or ends_at <= now():
        raise SessionOver
    return Visit(user, session)


async def open_session(who: Annotated[Principal, Depends(signed_in)]) -> store.Session:
    """Dependency: the caller's session, which may have ended before its access token. Raises SessionOver."""
    if session := await store.open_session_of(who.user_id, who.session_id, now()):
        return session
    raise SessionOver


CurrentSession = Annotated[store.Session, Depends(open_session)]
CurrentVisit = Annotated[Visit, Depends(_visit)]


async def _fresh_visit(visit: CurrentVisit) -> Visit:
    """Raises FreshSignInNeeded, and what `_visit` raises."""
    if not is_fresh(visit.session.created_at, now()):
        raise FreshSignInNeeded
    return visit


FreshVisit = Annotated[Visit, Depends(_fresh_visit)]


def check_may_change_factors(visit: Visit) -> None:
    """Raises SecondFactorNeeded for an admin who has a second factor and did not sign in with it.

    Otherwise the password alone would replace the factor, at once or through a new address of the account, and give all
    admin rights.
    """
    user = visit.user
    is_guarded = "admin" in user.roles and settings.get().admins_need_second_factor
    if is_guarded and (user.passkeys or user.totp) and not is_strong(visit.session.methods):
        raise SecondFactorNeeded


SESSION_PROBLEMS = (Unauthenticated, TokenInvalid, SessionOver)
VISIT_PROBLEMS = (*SESSION_PROBLEMS, EmailUnverified, UserGone)
