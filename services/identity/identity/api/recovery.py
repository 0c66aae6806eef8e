"""Password recovery by mail."""

import structlog
from chassis.clock import now
from chassis.http.problems import documented
from fastapi import status

from identity import mails, passwords, settings, store
from identity.api import attempts
from identity.api.routing import AcceptedResponse, Body, FromClient, NewPassword, Token, router
from identity.model import Busy, Email, LinkVoid, PasswordRefused, TooManyAttempts

log = structlog.get_logger()
auth = router("/api/auth", "accounts")


class ForgotPasswordRequest(Body):
    """The address of the account."""

    email: Email


class ResetPasswordRequest(Body):
    """The mailed link's token and the new password."""

    token: Token
    password: NewPassword


@auth.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED, responses=documented(TooManyAttempts))
async def forgot_password(body: ForgotPasswordRequest, client: FromClient) -> AcceptedResponse:
    """Mail a link for choosing a new password. The answer is the same for every address."""
    await attempts.ask_for_mail(body.email, client.network)
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
    responses=documented(LinkVoid, PasswordRefused, Busy),
)
async def reset_password(body: ResetPasswordRequest, client: FromClient) -> None:
    """Choose a new password with a link, which works once. Ends all sessions and resets the limit of attempts.

    A second factor stays.
    """
    link = await store.find_link(body.token, now(), "reset_password")
    user = await store.active_user(link.user_id) if link.user_id else None
    if user is None:
        raise LinkVoid
    attempts.refuse_personal(body.password, user.email, user.name)
    password_hash = await passwords.hash_password(body.password)
    await store.reset_password(link, user, password_hash, now(), client.device)
    await store.end_sessions_of(user.id)
    await store.drop_link(link)
    await attempts.forget(user.email)
    log.info("password_reset", user_id=user.id)
