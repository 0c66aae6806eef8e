"""The answer to every kind of sign-in."""

from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from fastapi import Depends
from pydantic import BaseModel, Field

from identity import settings, store
from identity.api.cookies import Cookies, Mode
from identity.api.routing import FromClient, Signing
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


class SignIn:
    """Dependency: opens sessions for the client of this request, and answers with tokens."""

    def __init__(self, client: FromClient, jar: Cookies, keys: Signing) -> None:
        self.client, self._jar, self._keys = client, jar, keys
        self.allow = jar.allow

    async def open(
        self, person: store.User | store.Registration, methods: list[Method], mode: Mode, since: datetime
    ) -> TokenResponse:
        """Open a session. `since` is a time before the person's secrets were read. In a browser it replaces another."""
        account = person.account()
        if mode == "cookie" and (replaced := self._jar.read()):
            await store.end_session(RefreshToken.parse(replaced), now())
        session, token = await store.open_session(
            person.id,
            since,
            settings.get().session_limits(account.roles),
            methods=methods,
            device=self.client.device,
        )
        return await self.tokens(account, session, token, mode)

    async def tokens(self, account: Account, session: store.Session, token: RefreshToken, mode: Mode) -> TokenResponse:
        """An access token for the session, and the refresh token in the form that the mode selects."""
        chosen, moment = settings.get(), now()
        allowed = as_allowed(account, session.methods, needs_second_factor=chosen.admins_need_second_factor)
        limits = chosen.session_limits(account.roles)
        ends_at = min(session.expires_at, session.created_at + limits.lifetime)
        lifetime = min(chosen.access_token_lifetime, ends_at - moment)
        claims = access_claims(
            allowed,
            session_id=session.id,
            methods=session.methods,
            issuer=chosen.token_issuer,
            audience=chosen.token_audience,
            now=moment,
            lifetime=lifetime,
        )
        if mode == "cookie":
            self._jar.keep(str(token), ends_at)
        return TokenResponse(
            access_token=await self._keys.sign(claims),
            expires_in=int(lifetime.total_seconds()),
            refresh_token=None if mode == "cookie" else str(token),
            second_factor_required=allowed.roles != account.roles,
            user=allowed,
        )


SigningIn = Annotated[SignIn, Depends()]
