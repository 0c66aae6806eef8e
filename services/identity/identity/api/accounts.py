"""Sign-up and verification of addresses by link."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from chassis.security.auth import Principal, TokenInvalid, signed_in
from chassis.security.secrets import hash_secret, new_secret
from contracts.identity import RegistrationRepeated, VerificationRequested
from fastapi import Depends, Header, status
from pydantic import BaseModel, Field

from identity import mails, passwords, settings, store
from identity.api import attempts
from identity.api.cookies import Cookies
from identity.api.routing import AcceptedResponse, Body, FromClient, NewPassword, Token, router
from identity.api.signing_in import ModeField, TokenResponse, open_for
from identity.model import (
    Busy,
    CrossSite,
    Email,
    EmailTaken,
    LinkVoid,
    Locale,
    Name,
    PasswordRefused,
    TooManyAttempts,
    UserGone,
    language_of,
)

log = structlog.get_logger()
auth = router("/api/auth", "accounts")


class RegisterRequest(Body):
    """A person who wants an account."""

    email: Email
    password: NewPassword
    name: Name
    locale: Locale | None = Field(default=None, description="default: the first language of Accept-Language")
    mode: ModeField = "body"


class LinkTokenRequest(Body):
    """The token of a mailed link."""

    token: Token


class VerifiedResponse(BaseModel):
    """The address that was verified."""

    email: str = Field(examples=["ada@usher.example"])


@auth.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    responses=documented(CrossSite, PasswordRefused, TooManyAttempts, Busy),
)
async def register(
    body: RegisterRequest,
    client: FromClient,
    jar: Cookies,
    accept_language: Annotated[str, Header(include_in_schema=False)] = "",
) -> TokenResponse:
    """Sign up. A link is mailed to the address; until it was followed the session has a guest's rights.

    An address that already has an account gets the same answer, and its owner a different mail. The password does not
    work before the link was followed; the session that this request opens stays valid.
    """
    jar.allow(body.mode)
    attempts.refuse_personal(body.password, body.email, body.name)
    await attempts.ask_for_mail(body.email, client.network)
    moment, token = now(), new_secret()
    registration = store.Registration(
        email=body.email,
        name=body.name,
        locale=body.locale or language_of(accept_language),
        password_hash=await passwords.hash_password(body.password),
        registered_at=moment,
        token_hash=hash_secret(token),
        token_expires_at=moment + settings.get().verification_lifetime,
        expires_at=moment + store.KEPT,
    )
    await store.add_registration(registration, await _mail(registration, token, registration.token_expires_at))
    log.info("registered", registration_id=registration.id)
    return await open_for(registration, ["pwd"], body.mode, client.device, jar)


async def _mail(
    registration: store.Registration, token: str, expires_at: datetime
) -> VerificationRequested | RegistrationRepeated:
    """The mail for this address. Both kinds are created, so that both take the same time."""
    owner = await store.user_with_email(registration.email)
    verification = mails.verification(registration, token, expires_at)
    return mails.registration_repeated(owner) if owner else verification


@auth.post(
    "/verify-email/resend",
    status_code=status.HTTP_202_ACCEPTED,
    responses=documented(Unauthenticated, TokenInvalid, UserGone, TooManyAttempts),
)
async def resend(who: Annotated[Principal, Depends(signed_in)], client: FromClient) -> AcceptedResponse:
    """Mail a new link; the earlier one becomes void. Needs the session that signing up opened."""
    await attempts.ask_for_mail(who.email, client.network)
    moment, token = now(), new_secret()
    registration = await store.registration(who.user_id, moment)
    if registration is None:
        raise UserGone
    expires_at = moment + settings.get().verification_lifetime
    if not await store.renew_token(registration, token, expires_at, await _mail(registration, token, expires_at)):
        raise UserGone
    return AcceptedResponse()


@auth.post("/verify-email", responses=documented(EmailTaken, LinkVoid))
async def verify_email(body: LinkTokenRequest, client: FromClient) -> VerifiedResponse:
    """Use a mailed link: it turns a sign-up into an account, or confirms a new address."""
    moment = now()
    if registered := await store.verify(body.token, moment):
        log.info("user_registered", user_id=registered.id)
        return VerifiedResponse(email=registered.email)
    link = await store.find_link(body.token, moment, "change_email")
    user = await store.active_user(link.user_id) if link.user_id else None
    if user is None:
        raise LinkVoid
    await store.change_email(link, user, client.device)
    await store.drop_link(link)
    log.info("email_changed", user_id=user.id)
    return VerifiedResponse(email=link.email)
