"""Sign-up and verification of addresses by link."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from chassis.security.auth import Caller, Principal, TokenInvalid, caller, signed_in
from chassis.security.secrets import hash_secret, new_secret
from contracts.identity import RegistrationRepeated, VerificationRequested
from contracts.types import Email
from fastapi import Depends, Header, status
from pydantic import BaseModel, Field

from identity import mails, settings, store
from identity.api.attempts import Attempts, Limits, refuse_personal
from identity.api.routing import (
    AcceptedResponse,
    Body,
    FromClient,
    Hashing,
    MaybeNewPassword,
    MaybePassword,
    NewPassword,
    Token,
    router,
)
from identity.api.signing_in import ModeField, SigningIn, TokenResponse
from identity.model import (
    Busy,
    CrossSite,
    EmailTaken,
    LinkVoid,
    Locale,
    Name,
    PasswordRefused,
    ProofNeeded,
    TooManyAttempts,
    UserGone,
    WrongPassword,
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


class VerifyEmailRequest(Body):
    """The token of a mailed link. Without a session of the account, with its password or a new one."""

    token: Token
    password: MaybePassword = None
    new_password: MaybeNewPassword = Field(
        default=None,
        description="for a new account whose password the owner of the address has not chosen: replaces it and ends "
        "all sessions",
    )


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
    limits: Limits,
    passwords: Hashing,
    sign_in: SigningIn,
    accept_language: Annotated[str, Header(include_in_schema=False)] = "",
) -> TokenResponse:
    """Sign up. A link is mailed to the address; until it was followed the session has a guest's rights.

    An address that already has an account gets the same answer, and its owner a different mail. The password does not
    work before the link was followed; the session that this request opens stays valid.
    """
    sign_in.allow(body.mode)
    refuse_personal(body.password, body.email, body.name)
    await limits.count_mail(body.email)
    moment, token = now(), new_secret()
    registration = store.Registration(
        email=body.email,
        name=body.name,
        locale=body.locale or language_of(accept_language),
        password_hash=await passwords.hash(body.password),
        registered_at=moment,
        token_hash=hash_secret(token),
        token_expires_at=moment + settings.get().verification_lifetime,
        expires_at=moment + store.KEPT,
    )
    await store.add_registration(registration, await _mail(registration, token, registration.token_expires_at))
    log.info("registered", registration_id=registration.id)
    return await sign_in.open(registration, ["pwd"], body.mode, moment)


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
async def resend(who: Annotated[Principal, Depends(signed_in)], limits: Limits) -> AcceptedResponse:
    """Mail a new link; the earlier one becomes void. Needs the session that signing up opened."""
    await limits.count_mail(who.email)
    moment, token = now(), new_secret()
    registration = await store.registration(who.user_id, moment)
    if registration is None:
        raise UserGone
    expires_at = moment + settings.get().verification_lifetime
    if not await store.renew_token(registration, token, expires_at, await _mail(registration, token, expires_at)):
        raise UserGone
    return AcceptedResponse()


@auth.post(
    "/verify-email",
    responses=documented(
        TokenInvalid, ProofNeeded, WrongPassword, EmailTaken, LinkVoid, PasswordRefused, TooManyAttempts, Busy
    ),
)
async def verify_email(
    body: VerifyEmailRequest,
    who: Annotated[Caller, Depends(caller)],
    client: FromClient,
    limits: Limits,
    passwords: Hashing,
) -> VerifiedResponse:
    """Use a mailed link: it turns a sign-up into an account, or confirms a new address.

    Needs a session of the account, or its password: somebody else may have registered the address. The owner of the
    address can choose a new password for a new account instead.
    """
    moment = now()
    if registered := await store.registration_with(body.token, moment):
        new_hash = None
        if body.new_password is not None:
            refuse_personal(body.new_password, registered.email, registered.name)
            new_hash = await passwords.hash(body.new_password)
        else:
            await _prove(registered, registered.password_hash, body, who, limits, can_choose_password=True)
        user = await store.verify(registered, moment, new_hash)
        log.info("user_registered", user_id=user.id, new_password=new_hash is not None)
        return VerifiedResponse(email=user.email)
    link = await store.find_link(body.token, moment, "change_email")
    user = await store.active_user(link.user_id) if link.user_id else None
    if user is None:
        raise LinkVoid
    await _prove(user, user.password_hash, body, who, limits, can_choose_password=False)
    await store.change_email(link, user, client.device)
    await store.drop_link(link)
    log.info("email_changed", user_id=user.id)
    return VerifiedResponse(email=link.email)


async def _prove(
    person: store.User | store.Registration,
    password_hash: str,
    body: VerifyEmailRequest,
    who: Caller,
    limits: Attempts,
    *,
    can_choose_password: bool,
) -> None:
    """Raises ProofNeeded without a session of the person and without the password; WrongPassword; TooManyAttempts."""
    if body.password is not None:
        async with limits.sign_in(person.email):
            await limits.check_password(password_hash, body.password)
        return
    session = who.principal and await store.open_session_of(person.id, who.principal.session_id, now())
    if session is None:
        raise ProofNeeded(can_choose_password=can_choose_password)
