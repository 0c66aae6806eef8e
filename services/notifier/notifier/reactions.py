"""Events in: each becomes a message, once. One that no mail can be made from is a dead letter."""

import structlog
from chassis.clock import now
from chassis.messaging import Reactions
from contracts.booking import BookingConfirmed
from contracts.envelope import Event
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)

from notifier import accounts, confirmation, delivery
from notifier.model import Kind, message_key
from notifier.store import Message

log = structlog.get_logger()


async def on_booking_confirmed(event: BookingConfirmed) -> None:
    """Queue the mail with the tickets. Raises Unmailable."""
    confirmation.facts(event)
    await _queue("confirmation", event.booking_id, event.email, event, event.reference)


async def on_verification_requested(event: VerificationRequested) -> None:
    """Queue the mail to somebody who signed up. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("verification", event.link_id, event.email, event)


async def on_password_reset_requested(event: PasswordResetRequested) -> None:
    """Queue the mail to somebody who forgot the password. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("password_reset", event.link_id, event.email, event)


async def on_email_change_requested(event: EmailChangeRequested) -> None:
    """Queue the mail to a person's new address. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("email_change", event.link_id, event.email, event)


async def on_invitation_requested(event: InvitationRequested) -> None:
    """Queue the mail to somebody whom an admin invited. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("invitation", event.link_id, event.email, event)


async def on_registration_repeated(event: RegistrationRepeated) -> None:
    """Queue the mail to an address that has an account already. Raises Unmailable."""
    accounts.known_already(event)
    await _queue("registration_repeated", event.registration_id, event.email, event)


async def on_security_noticed(event: SecurityNoticed) -> None:
    """Queue the mail about what happened to an account. Raises Unmailable."""
    accounts.notice(event)
    await _queue("security", event.notice_id, event.email, event)


async def _queue(kind: Kind, subject: str, address: str, event: Event, reference: str = "") -> None:
    moment = now()
    message = Message(
        key=message_key(kind, subject),
        kind=kind,
        address=address,
        reference=reference,
        event=event.model_dump_json(exclude_none=True),
        queued_at=moment,
        due_at=moment,
    )
    if await delivery.queue(message):
        log.info("message_queued", key=message.key)


REACTIONS: Reactions = {
    BookingConfirmed: on_booking_confirmed,
    VerificationRequested: on_verification_requested,
    PasswordResetRequested: on_password_reset_requested,
    EmailChangeRequested: on_email_change_requested,
    InvitationRequested: on_invitation_requested,
    RegistrationRepeated: on_registration_repeated,
    SecurityNoticed: on_security_noticed,
}
