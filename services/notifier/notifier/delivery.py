"""The sender of this replica: delivers a new message at once if it has room, and others when they are due.

**A mail is sent once, even if MongoDB fails after the mail server has accepted it and before that is recorded.** Two
rules prevent a second copy while the sender lives:

1. The sender remembers the message (`_accepted`) and retries the record until it is written. Until then it does not
   deliver the message again, whichever replica claims it.
2. A replica takes over a message whose lease has ended only when MongoDB has answered all its own queries promptly for
   STEADY_S. So when MongoDB is back after an outage in which the lease ended, only the living owner writes for
   STEADY_S. It retries every RECORD_RETRY_S, so its record comes first. A claim that hangs in a stalled connection does
   no harm: its filter has the time at which it was sent, and MongoDB had been steady for STEADY_S then. An outage that
   no sweep notices is shorter than `sweep_seconds`, and no lease ends so soon after its message was sent
   (`Settings.lease`).

A second copy, with the same `Message-ID`, is possible only if the sender dies in between, or if it alone cannot reach
MongoDB until after its lease.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from typing import Any

import structlog
from chassis.clock import now
from chassis.observability import telemetry
from prometheus_client import Counter

from notifier import accounts, changes, confirmation, lookup, mail, settings, smtp
from notifier.model import DeliveryError, Kind, Refused, masked_reason, next_try_at
from notifier.settings import Settings
from notifier.store import Message

log = structlog.get_logger()
BACKLOG = 64
"""New messages that this replica holds at a time, most of them waiting for a free sender."""
RECORD_AFTER_S = 0.1
"""How long a delivery waits for others to be recorded with it: for MongoDB, several cost as much as one."""
RECORD_RETRY_S = 0.5
STEADY_S = 10.0
"""Much longer than RECORD_RETRY_S and the time in which the driver notices that MongoDB is back."""
PROMPT_S = 1.0
"""If an answer takes longer, MongoDB is not steady."""
Render = Callable[[], mail.RenderedMail]
_outcomes = Counter("usher_notifier_deliveries_total", "Attempts to deliver a message", ["kind", "outcome"])
_woken, _stopping = asyncio.Event(), asyncio.Event()
_tasks: set[asyncio.Task[None]] = set()
_accepted: dict[str, datetime] = {}
"""The messages that the mail server has accepted and that are not recorded yet: when, by id."""

RENDERERS: dict[Kind, Callable[[str], mail.RenderedMail]] = {
    "confirmation": confirmation.render_event,
    "rescheduled": changes.render_rescheduled,
    "showtime_cancelled": changes.render_cancelled,
    "booking_link": lookup.render_event,
    **{kind: partial(accounts.render_event, kind) for kind in accounts.ACCOUNT_MAILS},
}
"""By kind, the function that renders a mail from the JSON of its event."""


def wake() -> None:
    """Start a sweep now, because a message is due."""
    _woken.set()


async def queue(message: Message, render: Render | None = None) -> bool:
    """Store a new message and deliver it soon; False when its key already exists.

    If this replica has room, the message is stored as already claimed: should the process die, its lease ends like any
    other. Otherwise a sweep delivers it. `render` renders the mail without parsing the event again.
    """
    begin_by, lease_ends = now() + settings.get().max_wait, now() + settings.get().lease
    has_room = len(_tasks) < BACKLOG
    if has_room:
        message.state, message.attempts, message.due_at = "sending", 1, lease_ends
    if not await message.queue():
        return False
    if has_room:
        _start_task(_deliver_when_free(message, begin_by, render))
    else:
        wake()
    return True


async def _deliver_when_free(message: Message, begin_by: datetime, render: Render | None) -> None:
    """Wait for a free sender and deliver; release the message when it is too late or this replica stops."""
    async with _free_senders():
        if _stopping.is_set() or now() > begin_by:
            await message.release(now())
        else:
            await deliver(message, render)


@cache
def _free_senders() -> asyncio.Semaphore:
    """Return the semaphore of the senders for new messages."""
    return asyncio.Semaphore(settings.get().mail_senders)


def _start_task(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_finish_task)


def _finish_task(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()):
        log.error("sender_failed", exc_info=error)


@asynccontextmanager
async def run_sender(chosen: Settings) -> AsyncIterator[None]:
    """Run the sender. At the end it finishes deliveries in progress and leaves waiting messages to other replicas."""
    _stopping.clear()
    task = asyncio.create_task(_sweep_until_stopped(chosen, _MongoHealth()))
    try:
        yield
    finally:
        _stopping.set()
        wake()
        await task
        while _tasks:
            await asyncio.wait(_tasks)


class _MongoHealth:
    """How long MongoDB has answered the queries of this replica's sweeps promptly."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._steady_since = self._clock()

    @asynccontextmanager
    async def observe_query(self) -> AsyncIterator[None]:
        """Time a query. If it fails or takes long, the steady time starts over."""
        asked_at, is_prompt = self._clock(), False
        try:
            yield
            is_prompt = self._clock() - asked_at < PROMPT_S
        finally:
            if not is_prompt:
                self._steady_since = self._clock()

    def is_steady(self) -> bool:
        """Whether MongoDB has answered promptly for STEADY_S."""
        return self._clock() - self._steady_since >= STEADY_S


async def _sweep_until_stopped(chosen: Settings, health: _MongoHealth) -> None:
    while not _stopping.is_set():
        _woken.clear()
        _log_failures(await asyncio.gather(_deliver_all_due(chosen, health), return_exceptions=True))
        try:
            async with asyncio.timeout(chosen.sweep_seconds):
                await _woken.wait()
        except TimeoutError:
            continue


async def _deliver_all_due(chosen: Settings, health: _MongoHealth) -> None:
    """Start the senders if a message is due. An idle notifier makes one query and no write."""
    async with health.observe_query():
        is_any_due = await Message.is_any_due(now())
    if is_any_due:
        senders = (_deliver_due(chosen, health) for _ in range(chosen.mail_senders))
        _log_failures(await asyncio.gather(*senders, return_exceptions=True))


def _log_failures(results: Iterable[BaseException | None]) -> None:
    for error in results:
        if error is not None:
            log.error("sender_failed", exc_info=error)


async def _deliver_due(chosen: Settings, health: _MongoHealth) -> None:
    while not _stopping.is_set():
        async with health.observe_query():
            message = await Message.claim(now(), chosen.lease, may_take_over=health.is_steady())
        if message is None:
            return
        await deliver(message)


async def deliver(message: Message, render: Render | None = None) -> None:
    """Try to deliver a claimed message and record the result. Skip one that the mail server has already accepted."""
    if message.id in _accepted:
        return
    try:
        with telemetry.span(f"mail {message.kind}", telemetry.CLIENT, subject=message.key.partition(".")[2]):
            if await message.is_superseded():
                raise Refused("superseded by a later mail")
            rendered = render() if render else RENDERERS[message.kind](message.event)
            await smtp.send(mail.compose(rendered, message.key, message.queued_at), rendered.to.addr_spec)
    except Refused as error:
        await _fail(message, str(error))
    except Exception as error:
        if not isinstance(error, DeliveryError):
            log.exception("message_broken", key=message.key)
        await _schedule_retry(message, str(error) if isinstance(error, DeliveryError) else type(error).__name__)
    else:
        _record_sent(message)
        _outcomes.labels(message.kind, "sent").inc()
        log.info("message_sent", key=message.key, attempts=message.attempts)


def _record_sent(message: Message) -> None:
    """Record the delivery soon, together with others."""
    _accepted[message.id] = now()
    if len(_accepted) == 1:
        _start_task(_record_accepted())


async def _record_accepted() -> None:
    """Record all accepted messages, retrying until that succeeds. The process does not end before."""
    await asyncio.sleep(RECORD_AFTER_S)
    while accepted := dict(_accepted):
        try:
            await Message.record_sent(accepted)
        except Exception:
            log.exception("sent_not_recorded", messages=len(accepted))
            await asyncio.sleep(RECORD_RETRY_S)
        else:
            for message_id in accepted:
                del _accepted[message_id]


async def _schedule_retry(message: Message, reason: str) -> None:
    moment = now()
    due_at = next_try_at(message.attempts, message.queued_at, moment, settings.get().retry_pause)
    if due_at is None:
        await _fail(message, reason)
        return
    reason = masked_reason(reason, message.address)
    await message.schedule_retry(due_at, reason)
    _outcomes.labels(message.kind, "put_off").inc()
    log.warning("message_put_off", key=message.key, attempts=message.attempts, due_at=due_at, reason=reason)


async def _fail(message: Message, reason: str) -> None:
    reason = masked_reason(reason, message.address)
    await message.record_failed(reason)
    _outcomes.labels(message.kind, "failed").inc()
    log.error("message_failed", key=message.key, attempts=message.attempts, reason=reason)
