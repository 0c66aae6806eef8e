"""Password recovery by mail."""

import structlog
from chassis.clock import now
from chassis.http.problems import Unavailable, documented
from contracts.types import KnownEmail
from fastapi import status
from pydantic import Field

from identity import mails, settings, store
from identity.api.attempts import Limits, refuse_personal
from identity.api.routing import AcceptedResponse, Body, FromClient, Hashing, NewPassword, Token, router
from identity.model import Busy, LinkVoid, PasswordRefused, TooManyAttempts, UserUnknown

log = structlog.get_logger()
auth = router("/api/auth", "accounts")


class ForgotPasswordRequest(Body):
    """The address of the account."""

    email: KnownEmail


class ResetPasswordRequest(Body):
    """The mailed link's token and the new password."""

    token: Token
    password: NewPassword
    remove_factors: bool = Field(
        default=False,
        description="Remove the authenticator app and the passkeys that the account has now, after a delay. The owner "
        "is notified by mail and can cancel it with one of them.",
    )


@auth.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED, responses=documented(TooManyAttempts))
async def forgot_password(body: ForgotPasswordRequest, limits: Limits) -> AcceptedResponse:
    """Mail a link for choosing a new password. The answer is the same for every address."""
    await limits.count_mail(body.email)
    user = await store.user_with_email(body.email)
    link, token = store.new_link("reset_password", body.email, now(), settings.get().reset_lifetime)
    events = []
    if user is not None and user.is_active:
        link.user_id, link.password_changed_at = user.id, user.password_changed_at
        events.append(mails.password_reset(user, link, token))
    else:
        mails.sealed(token)  # takes the same time
    await store.keep_link(link, events)
    return AcceptedResponse()


@auth.post(
    "/reset-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(LinkVoid, PasswordRefused, Busy, UserUnknown, Unavailable),
)
async def reset_password(body: ResetPasswordRequest, client: FromClient, limits: Limits, passwords: Hashing) -> None:
    """Choose a new password with a link, which works once. Ends all sessions and access tokens.

    A second factor stays, or is removed after a delay. The limit of attempts is reset.
    """
    link = await store.find_link(body.token, now(), "reset_password")
    user = await store.active_user(link.user_id) if link.user_id else None
    if user is None:
        raise LinkVoid
    refuse_personal(body.password, user.email, user.name)
    password_hash, moment = await passwords.hash(body.password), now()
    remove_at = moment + settings.get().factor_removal_delay if body.remove_factors else None
    await store.reset_password(link, user, password_hash, moment, client.device, remove_factors_at=remove_at)
    await store.drop_link(link)
    await limits.forgive(user.email)
    log.info("password_reset", user_id=user.id, remove_factors=body.remove_factors)
