"""Events in: each becomes a message, once. One that no mail can be made from is a dead letter."""

from functools import partial

import structlog
from chassis.clock import now
from chassis.messaging import Reactions
from chassis.privacy import is_erased
from contracts.booking import BookingCancelled, BookingConfirmed, BookingLinkRequested, BookingRescheduled
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    OneTimeLink,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)

from notifier import accounts, changes, confirmation, delivery, lookup, settings
from notifier.model import Kind, message_key
from notifier.store import Message

log = structlog.get_logger()
Told = changes.Change | BookingLinkRequested
Mail = BookingConfirmed | Told | OneTimeLink | RegistrationRepeated | SecurityNoticed


async def on_booking_confirmed(event: BookingConfirmed) -> None:
    """Queue the mail with the tickets. Raises Unmailable."""
    letter = partial(confirmation.written, confirmation.facts(event))
    message = _message("confirmation", event.booking_id, event, event.holder.user_id, event.reference)
    await _keep(message, letter)


async def on_booking_rescheduled(event: BookingRescheduled) -> None:
    """Queue the mail about another start. Raises Unmailable."""
    if await _is_somebody(event):
        changes.moved(event)
        await _queue_change("rescheduled", f"{event.booking_id}.{event.moves}", event, event.moves)


async def on_booking_cancelled(event: BookingCancelled) -> None:
    """Queue the mail about a cancelled showtime to whoever had paid for it. Raises Unmailable."""
    if changes.takes_tickets(event) and await _is_somebody(event):
        changes.called_off(event)
        await _queue_change("showtime_cancelled", event.booking_id, event, event.moves + 1)


async def on_booking_link_requested(event: BookingLinkRequested) -> None:
    """Queue the mail to whoever asked for a link to their booking. Raises Unmailable."""
    if await _is_somebody(event):
        lookup.facts(event)
        user_id = event.holder.user_id
        await _queue("booking_link", event.link_id, event, user_id=user_id, reference=event.reference)


async def _is_somebody(event: Told) -> bool:
    """Whether the person is still there."""
    user_id = event.holder.user_id
    return event.email is not None and not (user_id and await is_erased(user_id))


async def on_verification_requested(event: VerificationRequested) -> None:
    """Queue the mail to somebody who signed up. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("verification", event.link_id, event, user_id=event.user_id)


async def on_password_reset_requested(event: PasswordResetRequested) -> None:
    """Queue the mail to somebody who forgot the password. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("password_reset", event.link_id, event, user_id=event.user_id)


async def on_email_change_requested(event: EmailChangeRequested) -> None:
    """Queue the mail to a person's new address. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("email_change", event.link_id, event, user_id=event.user_id)


async def on_invitation_requested(event: InvitationRequested) -> None:
    """Queue the mail to somebody whom an admin invited. Raises Unmailable."""
    accounts.check_link(event)
    await _queue("invitation", event.link_id, event, user_id=event.user_id)


async def on_registration_repeated(event: RegistrationRepeated) -> None:
    """Queue the mail to an address that has an account already. Raises Unmailable."""
    accounts.known_already(event)
    await _queue("registration_repeated", event.registration_id, event, user_id=event.user_id)


async def on_security_noticed(event: SecurityNoticed) -> None:
    """Queue the mail about what happened to an account. Raises Unmailable."""
    accounts.notice(event)
    await _queue("security", event.notice_id, event, user_id=event.user_id)


async def _queue_change(kind: Kind, subject: str, event: changes.Change, turn: int) -> None:
    """Keep a message that a later one about the same booking, with a higher `turn`, makes pointless."""
    message = _message(kind, subject, event, event.holder.user_id, event.reference or "")
    message.topic, message.turn = event.booking_id, turn
    await _keep(message)


async def _queue(kind: Kind, subject: str, event: Mail, *, user_id: str | None, reference: str = "") -> None:
    """Keep the message for sending. `user_id` is whose data it is, if somebody with an account's."""
    await _keep(_message(kind, subject, event, user_id, reference))


def _message(kind: Kind, subject: str, event: Mail, user_id: str | None, reference: str) -> Message:
    moment = now()
    return Message(
        key=message_key(kind, subject),
        kind=kind,
        user_id=user_id,
        address=event.email or "",
        reference=reference,
        event=event.model_dump_json(exclude_none=True),
        queued_at=moment,
        due_at=moment,
        expires_at=moment + settings.get().retention,
    )


async def _keep(message: Message, letter: delivery.Write | None = None) -> None:
    if await delivery.queue(message, letter):
        log.info("message_queued", key=message.key)


REACTIONS: Reactions = {
    BookingConfirmed: on_booking_confirmed,
    BookingRescheduled: on_booking_rescheduled,
    BookingCancelled: on_booking_cancelled,
    BookingLinkRequested: on_booking_link_requested,
    VerificationRequested: on_verification_requested,
    PasswordResetRequested: on_password_reset_requested,
    EmailChangeRequested: on_email_change_requested,
    InvitationRequested: on_invitation_requested,
    RegistrationRepeated: on_registration_repeated,
    SecurityNoticed: on_security_noticed,
}
