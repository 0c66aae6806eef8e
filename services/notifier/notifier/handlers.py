"""The handler of events that become mails or plan reminders, and of requests about personal data.

Each event queues at most one mail. An event that cannot become a mail is a dead letter. Pending mails are sent before
they are erased, including the one that confirms the deletion of an account: the chassis repeats the erasure.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import structlog
from chassis.clock import now
from chassis.messaging.consumer import Handlers
from chassis.privacy import Privacy, is_erased
from contracts.booking import (
    BookingAdopted,
    BookingCancelled,
    BookingConfirmed,
    BookingEmailChanged,
    BookingExchanged,
    BookingRescheduled,
    BookingTicketOffered,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
    BookingTicketTransferred,
)
from contracts.envelope import Event
from contracts.notifier import NotifierDataExported

from notifier import mails, settings
from notifier.delivery import Sender
from notifier.mails import MAILS, MailEvent
from notifier.mails.kinds import BookingEvent
from notifier.model import Kind, message_key
from notifier.store import Message, ReminderPlan, ReminderRefusal, refusals

log = structlog.get_logger()
EXPORTED_FIELDS = {"kind", "address", "reference", "state", "queued_at", "sent_at"}
"""Without the mail's content: it may hold tickets and links, and the recipient already has it."""


async def on_mail_event(sender: Sender, kind: Kind, event: MailEvent) -> None:
    """Queue the mail of this kind for the event, if it is wanted. Raises Unmailable."""
    mail = MAILS[kind]
    user_id = _person(event)
    if not mail.is_wanted(event) or (mail.skips_erased and user_id and await is_erased(user_id)):
        return
    context, moment = mail.context(event), now()
    message = Message(
        key=message_key(kind, mail.subject(event)),
        kind=kind,
        user_id=user_id,
        address=event.email or "",
        reference=(event.reference or "") if isinstance(event, BookingEvent) else "",
        booking_id=event.booking_id if isinstance(event, BookingEvent) else None,
        topic=event.booking_id if mail.turn and isinstance(event, BookingEvent) else None,
        turn=mail.turn(event) if mail.turn else 0,
        event=event.model_dump_json(exclude_none=True),
        queued_at=moment,
        due_at=moment,
        expires_at=moment + settings.get().retention,
    )
    if await sender.queue(message, partial(mails.render, event, context)):
        log.info("message_queued", key=message.key)


def _person(event: MailEvent) -> str | None:
    """The account whose mail this is. A ticket is offered to an address, before any account is known."""
    if isinstance(event, BookingTicketOffered):
        return None
    return event.holder.user_id if isinstance(event, BookingEvent) else event.user_id


async def on_booking_adopted(event: BookingAdopted) -> None:
    """Give the mails and reminders of a guest's booking to the account that owns the booking now."""
    await Message.adopt(event.booking_id, event.user_id)
    await ReminderPlan.adopt(event.booking_id, event.user_id)


async def plan_reminders(event: Event) -> None:
    """Plan the reminders of a booking, or end them."""
    match event:
        case BookingConfirmed(holder=holder):
            if not (holder.user_id and await is_erased(holder.user_id)):
                await ReminderPlan.confirm(event, now())
        case BookingRescheduled():
            await ReminderPlan.reschedule(event, now())
        case BookingCancelled(reason=reason) if event.refund_amount is not None or reason == "refunded_at_provider":
            await ReminderPlan.end(event.booking_id, now())
        case BookingTicketsCancelled(remaining=[]):
            await ReminderPlan.end(event.booking_id, now())
        case BookingTicketTransferred():
            await ReminderPlan.transfer_tickets(event)
        case BookingTicketsCancelled() | BookingTicketsExchanged():
            await ReminderPlan.cancel_tickets(event)
        case BookingEmailChanged():
            await ReminderPlan.readdress(event)
        case BookingExchanged():
            await ReminderPlan.end(event.booking_id, now())
        case _:
            return


async def on_event(sender: Sender, kind: Kind, event: MailEvent) -> None:
    """Queue the mail of this kind, then plan reminders. An event that cannot become a mail plans none."""
    await on_mail_event(sender, kind, event)
    await plan_reminders(event)


def handlers(sender: Sender) -> Handlers:
    """The handler of each consumed event."""
    mailed = {mail.event_type: partial(on_event, sender, kind) for kind, mail in MAILS.items()}
    others = dict.fromkeys((BookingExchanged, BookingTicketsExchanged), plan_reminders)
    return {**mailed, **others, BookingAdopted: on_booking_adopted}


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the stored mails of a person."""
    async for message in Message.of_person(user_id):
        yield message.model_dump(include=EXPORTED_FIELDS)
    async for plan in ReminderPlan.of_person(user_id):
        facts = plan.model_dump(include={"reference", "due_at", "is_off"})
        yield {"kind": "planned_reminder", "address": plan.email, **facts}
    if refusal := await refusals.get(f"user:{user_id}"):
        yield {"kind": "reminders_turned_off", "refused_at": refusal.refused_at}


async def erase(user_id: str) -> None:
    """Erase a person's mails, planned reminders and choices."""
    await ReminderPlan.erase_person(user_id)
    await ReminderRefusal.erase_person(user_id)
    await Message.erase_person(user_id)


PRIVACY = Privacy(erase=erase, gather=gather, exported=NotifierDataExported)
