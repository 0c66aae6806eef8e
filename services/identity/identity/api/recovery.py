"""A forgotten password."""

import structlog
from chassis.clock import now
from chassis.problems import documented
from fastapi import status

from identity import mails, passwords, settings, store
from identity.api import attempts
from identity.api.routing import Accepted, Body, FromClient, NewPassword, Token, router
from identity.model import Busy, Email, LinkVoid, PasswordRefused, TooManyAttempts

log = structlog.get_logger()
auth = router("/api/auth", "accounts")


class Forgotten(Body):
    """Whose password was forgotten."""

    email: Email


class NewSecret(Body):
    """The mailed link's token and the password that is to be."""

    token: Token
    password: NewPassword


@auth.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED, responses=documented(TooManyAttempts))
async def forgot_password(body: Forgotten, client: FromClient) -> Accepted:
    """Mail a link that lets its reader choose another password. The same answer for every address."""
    await attempts.ask_for_mail(body.email, client.network)
    user = await store.user_with_email(body.email)
    link, token = store.new_link("reset_password", body.email, now(), settings.get().reset_lifetime)
    events = []
    if user is not None and user.is_active:
        link.user_id, link.password_changed_at = user.id, user.password_changed_at
        events.append(mails.password_reset(user, link, token))
    else:
        mails.sealed(token)  # takes as long
    await store.keep_link(link, events)
    return Accepted()


@auth.post(
    "/reset-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(LinkVoid, PasswordRefused, Busy),
)
async def reset_password(body: NewSecret, client: FromClient) -> None:
    """Choose another password. It counts once, ends all sessions and lets the person try to sign in at once.

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
