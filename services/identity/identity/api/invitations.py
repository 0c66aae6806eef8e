"""Staff invitations: created by admins, accepted by the invited person."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.paging import CursorInvalid, Page
from chassis.http.problems import documented
from chassis.security.secrets import hash_secret, new_secret
from contracts.types import Email, Id
from fastapi import Query, status
from pydantic import BaseModel, Field

from identity import mails, settings, store
from identity.api.administration import ADMIN_PROBLEMS, PageQuery, Reader, UserId, Writer, paged
from identity.api.attempts import Limits, refuse_personal
from identity.api.routing import Body, Hashing, NewPassword, Token, router
from identity.api.signing_in import ModeField, SigningIn, TokenResponse
from identity.model import (
    Busy,
    CrossSite,
    EmailTaken,
    Grant,
    InvitationUnknown,
    LinkVoid,
    Locale,
    Name,
    PasswordRefused,
    TooManyAttempts,
)

log = structlog.get_logger()
invitations = router("/api/admin/invitations", "people")
auth = router("/api/auth", "accounts")


class InvitationRequest(Body):
    """The person to invite, with the future roles."""

    email: Email
    name: Name
    locale: Locale = "en"
    grant: Grant = Field(examples=[{"roles": ["theater_manager"], "theaters": ["kino-international"]}])


class InvitationResponse(BaseModel):
    """An open invitation. Its id becomes the user's."""

    invitation_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    email: str = Field(examples=["grace@usher.example"])
    name: str = Field(examples=["Grace Hopper"])
    locale: str = Field(examples=["de-AT"])
    grant: Grant
    invited_by: Id | None
    invited_at: datetime
    expires_at: datetime


class AcceptInvitationRequest(Body):
    """The mailed link's token, and the password that the invited person chooses."""

    token: Token
    password: NewPassword
    mode: ModeField = "body"


def _shown(invitation: store.Invitation) -> InvitationResponse:
    return InvitationResponse(invitation_id=invitation.id, **invitation.model_dump(include=_KEPT))


_KEPT = {"email", "name", "locale", "grant", "invited_by", "invited_at", "expires_at"}


@invitations.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*ADMIN_PROBLEMS, EmailTaken, TooManyAttempts),
)
async def invite(body: InvitationRequest, admin: Writer, limits: Limits) -> InvitationResponse:
    """Mail a link with which the person chooses a password. Accepting it creates an account with these roles.

    To change the roles of an existing account use PUT /api/admin/users/{user_id}/roles.
    """
    if await store.user_with_email(body.email):
        raise EmailTaken
    await limits.count_mail(body.email)
    moment, token = now(), new_secret()
    invitation = store.Invitation(
        **body.model_dump(exclude={"grant"}),
        grant=body.grant,
        invited_by=admin.user_id,
        invited_at=moment,
        token_hash=hash_secret(token),
        expires_at=moment + settings.get().invitation_lifetime,
    )
    await store.add_invitation(invitation, mails.invitation(invitation, token, invitation.expires_at))
    log.info("invited", invitation_id=invitation.id, roles=body.grant.roles, by=admin.user_id)
    return _shown(invitation)


@invitations.get("", responses=documented(*ADMIN_PROBLEMS, CursorInvalid))
async def open_invitations(admin: Reader, wanted: Annotated[PageQuery, Query()]) -> Page[InvitationResponse]:
    """Open invitations, the newest first."""
    found = await store.invitations_page(now(), wanted.position, wanted.limit + 1)
    await store.record_look("invitations_listed", admin.user_id)
    return paged(found, wanted.limit, _shown, lambda invitation: invitation.id)


@invitations.post("/{user_id}/renew", responses=documented(*ADMIN_PROBLEMS, InvitationUnknown, TooManyAttempts))
async def renew(user_id: UserId, admin: Writer, limits: Limits) -> InvitationResponse:
    """Mail a new link; the previous one becomes void."""
    moment, token = now(), new_secret()
    invitation = await store.find_invitation(user_id, moment)
    await limits.count_mail(invitation.email)
    expires_at = moment + settings.get().invitation_lifetime
    mail = mails.invitation(invitation, token, expires_at)
    renewed = await store.renew_invitation(invitation, token, expires_at, mail, actor_id=admin.user_id, now=moment)
    return _shown(renewed)


@invitations.delete(
    "/{user_id}", status_code=status.HTTP_204_NO_CONTENT, responses=documented(*ADMIN_PROBLEMS, InvitationUnknown)
)
async def withdraw(user_id: UserId, admin: Writer) -> None:
    """Withdraw an invitation: its link becomes void."""
    await store.withdraw_invitation(user_id, admin.user_id, now())


@auth.post(
    "/accept-invitation",
    status_code=status.HTTP_201_CREATED,
    responses=documented(CrossSite, LinkVoid, EmailTaken, PasswordRefused, Busy),
)
async def accept(body: AcceptInvitationRequest, passwords: Hashing, sign_in: SigningIn) -> TokenResponse:
    """Accept an invitation by choosing a password: creates the account and signs in. Works once."""
    sign_in.allow(body.mode)
    invited = await store.invited_with(body.token, now())
    refuse_personal(body.password, invited.email, invited.name)
    password_hash = await passwords.hash(body.password)
    moment = now()
    user = await store.accept_invitation(body.token, password_hash, moment)
    log.info("invitation_accepted", user_id=user.id, roles=user.roles)
    return await sign_in.open(user, ["pwd"], body.mode, moment)
