"""The signed-in person: profile, password, address."""

from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import Unavailable, documented
from chassis.security.auth import Principal, signed_in
from contracts.types import Email
from fastapi import Depends, status
from pydantic import Field

from identity import mails, settings, store
from identity.api.attempts import Limits, refuse_personal
from identity.api.routing import (
    SESSION_PROBLEMS,
    VISIT_PROBLEMS,
    AcceptedResponse,
    Body,
    CurrentSession,
    CurrentVisit,
    FromClient,
    GivenPassword,
    Hashing,
    NewPassword,
    check_may_change_factors,
    router,
)
from identity.api.signing_in import ModeField, SigningIn, TokenResponse
from identity.model import (
    Account,
    Busy,
    CrossSite,
    Locale,
    Name,
    PasswordRefused,
    SecondFactorNeeded,
    TooManyAttempts,
    UserGone,
    UserUnknown,
    WrongPassword,
)

log = structlog.get_logger()
users = router("/api/users", "profile")


class ProfileResponse(Account):
    """The caller's current profile."""

    second_factor: bool = Field(default=False, description="an authenticator app is set up")
    passkeys: int = 0
    bookings: str = Field(default="/api/bookings", description="the address of the person's bookings")


class ProfileRequest(Body):
    """The fields to change; omitted fields stay."""

    name: Name | None = None
    locale: Locale | None = None


class PasswordChangeRequest(Body):
    """The old password and the new one."""

    old_password: GivenPassword
    password: NewPassword
    mode: ModeField = "body"


class EmailChangeRequest(Body):
    """The new address, and the password."""

    email: Email
    password: GivenPassword


@users.get("/me", responses=documented(*SESSION_PROBLEMS, UserGone))
async def me(who: Annotated[Principal, Depends(signed_in)], current: CurrentSession) -> ProfileResponse:
    """The signed-in person, as stored now (the token may be older)."""
    if user := await store.active_user(current.user_id):
        return _profile(user)
    pending = await store.registration(who.user_id, now())
    if pending is None:
        raise UserGone
    return ProfileResponse(**pending.account().model_dump())


def _profile(user: store.User) -> ProfileResponse:
    return ProfileResponse(
        **user.account().model_dump(), second_factor=user.totp is not None, passkeys=len(user.passkeys)
    )


@users.patch("/me", responses=documented(*VISIT_PROBLEMS))
async def change_profile(body: ProfileRequest, visit: CurrentVisit) -> ProfileResponse:
    """Change the caller's name or language. Tokens contain the new name from the next refresh on."""
    changed = await store.update_profile(visit.user.id, body.model_dump(exclude_none=True))
    if changed is None:
        raise UserGone
    return _profile(changed)


@users.put(
    "/me/password",
    responses=documented(
        *VISIT_PROBLEMS, WrongPassword, CrossSite, PasswordRefused, TooManyAttempts, Busy, UserUnknown, Unavailable
    ),
)
async def change_password(
    body: PasswordChangeRequest,
    visit: CurrentVisit,
    limits: Limits,
    passwords: Hashing,
    sign_in: SigningIn,
) -> TokenResponse:
    """Change the password. All sessions and access tokens end, including this one; the answer opens a new session."""
    user = visit.user
    sign_in.allow(body.mode)
    refuse_personal(body.password, user.email, user.name)
    await limits.confirm_password(visit, body.old_password)
    password_hash, moment = await passwords.hash(body.password), now()
    changed = await store.change_password(user, password_hash, moment, sign_in.client.device)
    log.info("password_changed", user_id=user.id)
    return await sign_in.open(changed, visit.session.methods, body.mode, moment)


@users.post(
    "/me/email",
    status_code=status.HTTP_202_ACCEPTED,
    responses=documented(*VISIT_PROBLEMS, SecondFactorNeeded, WrongPassword, TooManyAttempts, Busy),
)
async def change_email(
    body: EmailChangeRequest, visit: CurrentVisit, client: FromClient, limits: Limits
) -> AcceptedResponse:
    """Request a change of address. It takes effect once the link that is mailed there was confirmed.

    The old address gets a mail now and when the change takes effect. The answer is the same for a taken address.
    """
    check_may_change_factors(visit)
    user = visit.user
    await limits.confirm_password(visit, body.password)
    await limits.count_mail(body.email)
    owner = await store.user_with_email(body.email)
    link, token = store.new_link("change_email", body.email, now(), settings.get().verification_lifetime)
    mail = mails.email_change(user, link, token)
    if owner is None:
        link.user_id, link.old_email, link.password_changed_at = user.id, user.email, user.password_changed_at
    sent = mails.registration_repeated(owner) if owner else mail
    await store.keep_link(link, [sent, user.noticed("email_change_requested", client.device)])
    return AcceptedResponse()
