"""One handler per consumed event: each queues one mail. An event that cannot become a mail is a dead letter."""

from functools import partial

import structlog
from chassis.clock import now
from chassis.privacy import is_erased
from contracts.booking import BookingCancelled, BookingConfirmed, BookingLinkRequested, BookingRescheduled

from notifier import accounts, changes, confirmation, delivery, lookup, settings
from notifier.accounts import AccountEvent
from notifier.changes import ShowtimeChange
from notifier.model import Kind, message_key
from notifier.store import Message

log = structlog.get_logger()
MailEvent = BookingConfirmed | BookingLinkRequested | ShowtimeChange | AccountEvent


async def on_booking_confirmed(event: BookingConfirmed) -> None:
    """Queue the mail with the tickets. Raises Unmailable."""
    render = partial(confirmation.render, confirmation.build_context(event))
    message = _message("confirmation", event.booking_id, event, event.holder.user_id, event.reference)
    await _queue(message, render)


async def on_booking_rescheduled(event: BookingRescheduled) -> None:
    """Queue the mail about a new start time. Raises Unmailable."""
    if await _is_reachable(event):
        changes.rescheduled_context(event)
        await _queue_change("rescheduled", f"{event.booking_id}.{event.moves}", event, event.moves)


async def on_booking_cancelled(event: BookingCancelled) -> None:
    """Queue the mail about a cancelled showtime if the booking had tickets. Raises Unmailable."""
    if changes.voids_tickets(event) and await _is_reachable(event):
        changes.cancelled_context(event)
        await _queue_change("showtime_cancelled", event.booking_id, event, event.moves + 1)


async def on_booking_link_requested(event: BookingLinkRequested) -> None:
    """Queue the mail with a link to the booking. Raises Unmailable."""
    if await _is_reachable(event):
        lookup.build_context(event)
        await _queue(_message("booking_link", event.link_id, event, event.holder.user_id, event.reference))


async def on_account_event(kind: Kind, event: AccountEvent) -> None:
    """Queue a mail about an account. Raises Unmailable."""
    mail = accounts.ACCOUNT_MAILS[kind]
    mail.check(event)
    await _queue(_message(kind, getattr(event, mail.id_field), event, event.user_id))


async def _is_reachable(event: ShowtimeChange | BookingLinkRequested) -> bool:
    """Whether the event has an address, and its holder has not deleted their account."""
    user_id = event.holder.user_id
    return event.email is not None and not (user_id and await is_erased(user_id))


async def _queue_change(kind: Kind, subject: str, event: ShowtimeChange, turn: int) -> None:
    """Queue a mail that a later one about the same booking, with a higher `turn`, supersedes."""
    message = _message(kind, subject, event, event.holder.user_id, event.reference or "")
    message.topic, message.turn = event.booking_id, turn
    await _queue(message)


def _message(kind: Kind, subject: str, event: MailEvent, user_id: str | None, reference: str = "") -> Message:
    """Build the message. `user_id` is the account whose personal data it is, if there is one."""
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


async def _queue(message: Message, render: delivery.Render | None = None) -> None:
    if await delivery.queue(message, render):
        log.info("message_queued", key=message.key)


HANDLERS = {
    BookingConfirmed: on_booking_confirmed,
    BookingRescheduled: on_booking_rescheduled,
    BookingCancelled: on_booking_cancelled,
    BookingLinkRequested: on_booking_link_requested,
    **{mail.event_type: partial(on_account_event, kind) for kind, mail in accounts.ACCOUNT_MAILS.items()},
}
