"""The events that ask the notifier to mail one-time links. Their secrets are encrypted."""

from datetime import datetime

from chassis.ids import new_id
from chassis.security.secrets import Cipher
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    VerificationRequested,
)

from identity import settings
from identity.store import Invitation, Link, Registration, User


def sealed(token: str) -> str:
    """A link's secret, encrypted for the notifier."""
    return Cipher(settings.get().link_key.get_secret_value()).encrypt(token)


def verification(registration: Registration, token: str, expires_at: datetime) -> VerificationRequested:
    """The mail to a person who signed up."""
    return VerificationRequested(
        link_id=new_id(),
        user_id=registration.id,
        email=registration.email,
        locale=registration.locale,
        sealed_token=sealed(token),
        expires_at=expires_at,
    )


def registration_repeated(user: User) -> RegistrationRepeated:
    """The mail to the owner of an account when somebody signs up with its address again."""
    return RegistrationRepeated(
        registration_id=new_id(), user_id=user.id, email=user.email, name=user.name, locale=user.locale
    )


def password_reset(user: User, link: Link, token: str) -> PasswordResetRequested:
    """The mail with a link for a new password."""
    return PasswordResetRequested(
        link_id=link.id,
        user_id=user.id,
        email=user.email,
        name=user.name,
        locale=user.locale,
        sealed_token=sealed(token),
        expires_at=link.expires_at,
    )


def email_change(user: User, link: Link, token: str) -> EmailChangeRequested:
    """The mail that verifies a person's new address."""
    return EmailChangeRequested(
        link_id=link.id,
        user_id=user.id,
        email=link.email,
        locale=user.locale,
        sealed_token=sealed(token),
        expires_at=link.expires_at,
    )


def invitation(invited: Invitation, token: str, expires_at: datetime) -> InvitationRequested:
    """The mail to an invited person."""
    return InvitationRequested(
        link_id=new_id(),
        user_id=invited.id,
        email=invited.email,
        name=invited.name,
        locale=invited.locale,
        sealed_token=sealed(token),
        expires_at=expires_at,
    )
