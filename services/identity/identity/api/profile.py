"""The signed-in person: profile, password, address."""

from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import documented
from chassis.security.auth import Principal, signed_in
from fastapi import Depends, status
from pydantic import Field

from identity import mails, passwords, settings, store
from identity.api import attempts
from identity.api.cookies import Cookies
from identity.api.routing import (
    SESSION_PROBLEMS,
    VISIT_PROBLEMS,
    AcceptedResponse,
    Body,
    CurrentSession,
    CurrentVisit,
    FromClient,
    GivenPassword,
    NewPassword,
    router,
)
from identity.api.signing_in import ModeField, TokenResponse, open_for
from identity.model import (
    Account,
    Busy,
    CrossSite,
    Email,
    Locale,
    Name,
    PasswordRefused,
    TooManyAttempts,
    UserGone,
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
    responses=documented(*VISIT_PROBLEMS, WrongPassword, CrossSite, PasswordRefused, TooManyAttempts, Busy),
)
async def change_password(
    body: PasswordChangeRequest, visit: CurrentVisit, client: FromClient, jar: Cookies
) -> TokenResponse:
    """Change the password. All sessions end, including this one; the answer opens a new one."""
    user = visit.user
    jar.allow(body.mode)
    attempts.refuse_personal(body.password, user.email, user.name)
    async with attempts.attempt(user.email, client.network):
        await attempts.confirm_password(user, body.old_password)
    password_hash = await passwords.hash_password(body.password)
    changed = await store.change_password(user, password_hash, now(), client.device)
    if changed is None:
        raise WrongPassword
    await store.end_sessions_of(user.id)
    log.info("password_changed", user_id=user.id)
    return await open_for(changed, visit.session.methods, body.mode, client.device, jar)


@users.post(
    "/me/email",
    status_code=status.HTTP_202_ACCEPTED,
    responses=documented(*VISIT_PROBLEMS, WrongPassword, TooManyAttempts, Busy),
)
async def change_email(body: EmailChangeRequest, visit: CurrentVisit, client: FromClient) -> AcceptedResponse:
    """Request a change of address. It takes effect once the link that is mailed there was followed.

    The old address gets a mail now and when the change takes effect. The answer is the same for a taken address.
    """
    user = visit.user
    async with attempts.attempt(user.email, client.network):
        await attempts.confirm_password(user, body.password)
    await attempts.ask_for_mail(body.email, client.network)
    owner = await store.user_with_email(body.email)
    link, token = store.new_link("change_email", body.email, now(), settings.get().verification_lifetime)
    mail = mails.email_change(user, link, token)
    if owner is None:
        link.user_id, link.old_email, link.password_changed_at = user.id, user.email, user.password_changed_at
    told = mails.registration_repeated(owner) if owner else mail
    await store.keep_link(link, [told, user.noticed("email_change_requested", client.device)])
    return AcceptedResponse()
