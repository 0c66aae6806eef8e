"""What identity says."""

from typing import Annotated

from pydantic import Field

from contracts.envelope import Event
from contracts.types import Code, Id, Moment, Shape


class UserRegistered(Event, type="identity.user_registered.v1", subject="user_id"):
    """A person has an account."""

    user_id: Id
    email: str
    name: str
    roles: list[str]


class UserRolesChanged(Event, type="identity.user_roles_changed.v1", subject="user_id"):
    """A person's roles are now exactly these."""

    user_id: Id
    roles: list[str]


class UserDeactivated(Event, type="identity.user_deactivated.v1", subject="user_id"):
    """A person's access ended; tokens already out run out within minutes."""

    user_id: Id


class UserReactivated(Event, type="identity.user_reactivated.v1", subject="user_id"):
    """A person's access is back."""

    user_id: Id


class UserDeleted(Event, type="identity.user_deleted.v1", subject="user_id"):
    """A person is gone: whatever is personal about them must be erased or made anonymous."""

    user_id: Id


class ExportRequested(Event, type="identity.export_requested.v1", subject="export_id"):
    """A person wants all that is kept about them: every service that keeps anything answers with its own event."""

    export_id: Id
    user_id: Id


class Grant(Shape):
    """Roles, and the theaters that they are bound to; none means all."""

    roles: list[str]
    theaters: list[str] = []


class ActRecorded(Event, type="identity.act_recorded.v1", subject="user_id"):
    """Somebody changed what a person may do or how they get in: a line of identity's audit log.

    `actor_id` is missing for a command on the machine itself; `before` and `after` are there when rights changed.
    """

    act_id: Id
    action: Code
    actor_id: Id | None = None
    user_id: Id
    before: Grant | None = None
    after: Grant | None = None
    acted_at: Moment


class AccessRevoked(Event, type="identity.access_revoked.v1", subject="user_id"):
    """Access tokens of this person with an earlier epoch are void from now on, however long they were to last."""

    user_id: Id
    epoch: Annotated[int, Field(ge=1)]


SealedToken = Annotated[
    str,
    Field(description="the link's secret, encrypted with LINK_KEY: only identity and notifier can read it", repr=False),
]


class OneTimeLink(Event):
    """What every mail with a one-time link is made from; the link is void after `expires_at`.

    `user_id` is whose mail it is, for erasing and handing out what is kept of it.
    """

    link_id: Id
    user_id: Id | None = None
    email: str
    locale: str
    sealed_token: SealedToken
    expires_at: Moment


class VerificationRequested(OneTimeLink, type="identity.verification_requested.v1", subject="link_id"):
    """Somebody signed up with an address: the link makes it an account.

    Their name is not told: a stranger chose it, and the mail would carry it to whomever they like.
    """


class RegistrationRepeated(Event, type="identity.registration_repeated.v1", subject="registration_id"):
    """Somebody signed up with, or wants to change to, an address that has an account: its owner is told, nobody else.

    `registration_id` tells one such attempt from the next; user, name and locale are the owner's.
    """

    registration_id: Id
    user_id: Id | None = None
    email: str
    name: str
    locale: str


class PasswordResetRequested(OneTimeLink, type="identity.password_reset_requested.v1", subject="link_id"):
    """Somebody forgot the password: the link lets them choose another one."""

    name: str


class EmailChangeRequested(OneTimeLink, type="identity.email_change_requested.v1", subject="link_id"):
    """A person wants this address instead of the one they have: the link makes it theirs."""


class InvitationRequested(OneTimeLink, type="identity.invitation_requested.v1", subject="link_id"):
    """An admin invited somebody to the staff: the link lets them choose a password, which makes it an account."""

    name: str


class SecurityNoticed(Event, type="identity.security_noticed.v1", subject="user_id"):
    """Something happened to an account that its owner should know of: `what`, told to `email`."""

    notice_id: Id
    user_id: Id
    what: Code
    email: str
    name: str
    locale: str
    noticed_at: Moment
    device: str = Field(default="", description="the browser or app that did it, as it names itself")
