"""The job that queues reminders when they are due."""

import asyncio
from datetime import datetime
from functools import partial

from chassis.clock import now
from chassis.jobs import Job

from notifier import settings
from notifier.delivery import Sender
from notifier.model import ReminderContent, message_key
from notifier.store import Message, ReminderPlan

EVERY_S = 20.0
BATCH = 100


async def queue_reminders(sender: Sender, moment: datetime) -> None:
    """Queue the mails of all reminders that are due at this moment.

    The key of the message contains the start, so each reminder of a start is sent once, whichever replicas run this.
    """
    while due := [plan async for plan in ReminderPlan.due(moment, BATCH)]:
        await asyncio.gather(*(_queue(sender, plan, moment) for plan in due))


async def _queue(sender: Sender, plan: ReminderPlan, moment: datetime) -> None:
    """Queue the mail unless there is a reason not to send it, then plan the next reminder."""
    screening, slot = plan.screening, plan.slot
    assert screening and slot  # noqa: S101 - for the type checker: both are set while a reminder is due
    if await plan.obstacle(slot, screening.starts_at, moment) is None:
        content = ReminderContent(booking_id=plan.id, slot=slot, starts_at=screening.starts_at)
        message = Message(
            key=message_key("reminder", f"{plan.id}.{slot}.{screening.starts_at.timestamp():.0f}"),
            kind="reminder",
            user_id=plan.user_id,
            address=plan.email,
            reference=plan.reference,
            booking_id=plan.id,
            event=content.model_dump_json(),
            queued_at=moment,
            due_at=moment,
            expires_at=moment + settings.get().retention,
        )
        await sender.queue(message)
    await plan.advance(moment)


async def _queue_now(sender: Sender) -> None:
    await queue_reminders(sender, now())


def jobs(sender: Sender) -> list[Job]:
    """The periodic jobs. While nothing is due, a run is one query of an index."""
    return [Job("queue_reminders", every=EVERY_S, run=partial(_queue_now, sender))]
