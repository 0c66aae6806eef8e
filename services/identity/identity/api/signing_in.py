"""The answer to every kind of sign-in."""

from typing import Annotated, Literal

from chassis.clock import now
from pydantic import BaseModel, Field

from identity import keys, settings, store
from identity.api.cookies import Jar, Mode
from identity.model import Account, Method, RefreshToken, access_claims, as_allowed

ModeField = Annotated[
    Mode,
    Field(
        description="`cookie` for browser pages: the refresh token is set as an HttpOnly cookie and is not in the"
        " answer; the request must come from a page of this site. `body` for apps.",
    ),
]


class TokenResponse(BaseModel):
    """A short-lived access token for every service, and a refresh token that works once."""

    access_token: str = Field(examples=["eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name, not a secret
    expires_in: int = Field(description="seconds until the access token expires", examples=[900])
    refresh_token: str | None = Field(
        description="null in cookie mode", examples=["A" * 43 + "." + "B" * 43], repr=False
    )
    second_factor_required: bool = Field(
        default=False, description="The admin has no admin rights until a second factor is set up and used."
    )
    user: Account


async def open_for(
    person: store.User | store.Registration,
    methods: list[Method],
    mode: Mode,
    device: str,
    jar: Jar,
) -> TokenResponse:
    """Open a session and answer with its tokens."""
    session, token = await store.open_session(
        person.id, now(), settings.get().session_lifetime, methods=methods, device=device
    )
    return await tokens_for(person.account(), session, token, mode, jar)


async def tokens_for(
    account: Account, session: store.Session, token: RefreshToken, mode: Mode, jar: Jar
) -> TokenResponse:
    """An access token for the session, and the refresh token in the form that the mode selects."""
    chosen = settings.get()
    allowed = as_allowed(account, session.methods, second_factor_for_admins=chosen.second_factor_for_admins)
    claims = access_claims(
        allowed,
        session_id=session.id,
        methods=session.methods,
        issuer=chosen.token_issuer,
        audience=chosen.token_audience,
        now=now(),
        lifetime=chosen.access_token_lifetime,
    )
    if mode == "cookie":
        jar.keep(str(token), session.expires_at)
    return TokenResponse(
        access_token=await keys.sign(claims),
        expires_in=chosen.access_token_seconds,
        refresh_token=None if mode == "cookie" else str(token),
        second_factor_required=allowed.roles != account.roles,
        user=allowed,
    )
