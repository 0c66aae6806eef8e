"""Events that identity publishes."""

from typing import Annotated

from pydantic import Field

from contracts.envelope import Event
from contracts.types import Code, Id, Moment, Shape


class UserRegistered(Event, type="identity.user_registered.v1", subject="user_id"):
    """A person has created an account."""

    user_id: Id
    email: str
    name: str
    roles: list[str]


class UserRolesChanged(Event, type="identity.user_roles_changed.v1", subject="user_id"):
    """A person's roles were changed. The event has the complete new roles."""

    user_id: Id
    roles: list[str]


class UserDeactivated(Event, type="identity.user_deactivated.v1", subject="user_id"):
    """An account was deactivated. Its access tokens are void (`access_revoked`)."""

    user_id: Id


class UserReactivated(Event, type="identity.user_reactivated.v1", subject="user_id"):
    """An account was reactivated."""

    user_id: Id


class UserDeleted(Event, type="identity.user_deleted.v1", subject="user_id"):
    """An account was deleted. Every service erases or anonymizes the person's data."""

    user_id: Id


class ExportRequested(Event, type="identity.export_requested.v1", subject="export_id"):
    """A person requested their data. Every service that stores personal data answers with its own event."""

    export_id: Id
    user_id: Id


class Grant(Shape):
    """Roles and the theaters that they apply to. An empty list means all theaters."""

    roles: list[str]
    theaters: list[str] = []


class ActRecorded(Event, type="identity.act_recorded.v1", subject="user_id"):
    """A person's rights or sign-in methods were changed. Identity records it in its audit log.

    `actor_id` is missing for a command line change; `before` and `after` are set when rights changed.
    """

    act_id: Id
    action: Code
    actor_id: Id | None = None
    user_id: Id
    before: Grant | None = None
    after: Grant | None = None
    acted_at: Moment


class AccessRevoked(Event, type="identity.access_revoked.v1", subject="user_id"):
    """Access tokens of this person with an earlier epoch are invalid from now on, even before they expire."""

    user_id: Id
    epoch: Annotated[int, Field(ge=1)]


class SessionEnded(Event, type="identity.session_ended.v1", subject="session_id"):
    """Access tokens of this session are invalid from now on, even before they expire."""

    session_id: Id
    user_id: Id


SealedToken = Annotated[
    str,
    Field(description="the link's secret, encrypted with LINK_KEY: only identity and notifier can read it", repr=False),
]


class OneTimeLink(Event):
    """Base class of events that request a mail with a one-time link. The link is valid until `expires_at`.

    `user_id` is the recipient, whose data export includes the mail.
    """

    link_id: Id
    user_id: Id | None = None
    email: str
    locale: str
    sealed_token: SealedToken
    expires_at: Moment


class VerificationRequested(OneTimeLink, type="identity.verification_requested.v1", subject="link_id"):
    """Somebody signed up with an e-mail address. The link confirms the address and creates the account.

    The event has no name: the person who signed up could use it to send text to a stranger's address.
    """


class RegistrationRepeated(Event, type="identity.registration_repeated.v1", subject="registration_id"):
    """Somebody used the address of an existing account to sign up or as a new address. Only its owner is notified.

    `registration_id` identifies the attempt; user, name and locale are the owner's.
    """

    registration_id: Id
    user_id: Id | None = None
    email: str
    name: str
    locale: str


class PasswordResetRequested(OneTimeLink, type="identity.password_reset_requested.v1", subject="link_id"):
    """A person forgot their password. The link lets them choose a new one."""

    name: str


class EmailChangeRequested(OneTimeLink, type="identity.email_change_requested.v1", subject="link_id"):
    """A person wants to change their e-mail address to this one. The link confirms it."""


class InvitationRequested(OneTimeLink, type="identity.invitation_requested.v1", subject="link_id"):
    """An admin invited a member of staff. The link lets them choose a password and creates the account."""

    name: str


class SecurityNoticed(Event, type="identity.security_noticed.v1", subject="user_id"):
    """A security event of an account (`what`) that its owner is notified of at `email`."""

    notice_id: Id
    user_id: Id
    what: Code
    email: str
    name: str
    locale: str
    noticed_at: Moment
    device: str = Field(default="", description="the name that the browser or app gives itself")
