"""Events in: each becomes a message, once."""

import structlog
from chassis.clock import now
from chassis.messaging import Reactions
from contracts.booking import BookingConfirmed

from notifier import confirmation, delivery
from notifier.model import message_key
from notifier.store import Message

log = structlog.get_logger()


async def on_booking_confirmed(event: BookingConfirmed) -> None:
    """Queue the mail with the tickets. Raises Unmailable for an event that no mail can be made from."""
    confirmation.facts(event)
    moment = now()
    message = Message(
        key=message_key("confirmation", event.booking_id),
        kind="confirmation",
        address=event.email,
        reference=event.reference,
        event=event.model_dump_json(exclude_none=True),
        queued_at=moment,
        due_at=moment,
    )
    if await delivery.queue(message):
        log.info("message_queued", key=message.key)


REACTIONS: Reactions = {BookingConfirmed: on_booking_confirmed}
