"""The sender of a replica: delivers a new message at once if it has room, and others when they are due.

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
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self

import structlog
from chassis.clock import now
from chassis.observability import telemetry
from contracts.envelope import Event
from contracts.inventory import SeatsOffered
from contracts.notifier import MailFailed, OfferUnsent
from prometheus_client import Counter

from notifier import mails
from notifier.model import DeliveryError, Obsolete, Refused, ReminderContent, masked_reason, next_try_at
from notifier.settings import Settings
from notifier.smtp import SmtpClient
from notifier.store import Message, plans

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
Render = Callable[[], mails.RenderedMail]
_outcomes = Counter("usher_notifier_deliveries_total", "Attempts to deliver a message", ["kind", "outcome"])


class MongoHealth:
    """How long MongoDB has answered the queries of this replica's sweeps promptly."""

    def __init__(self) -> None:
        self._steady_since = time.monotonic()

    @asynccontextmanager
    async def observe_query(self) -> AsyncIterator[None]:
        """Time a query. If it fails or takes long, the steady time starts over."""
        asked_at, is_prompt = time.monotonic(), False
        try:
            yield
            is_prompt = time.monotonic() - asked_at < PROMPT_S
        finally:
            if not is_prompt:
                self._steady_since = time.monotonic()

    def is_steady(self) -> bool:
        """Whether MongoDB has answered promptly for STEADY_S."""
        return time.monotonic() - self._steady_since >= STEADY_S


class Sender:
    """Delivers messages while its context is open.

    At the end it finishes deliveries in progress and leaves waiting messages to other replicas.
    """

    def __init__(self, settings: Settings, smtp: SmtpClient) -> None:
        self._settings, self._smtp = settings, smtp
        self._free = asyncio.Semaphore(settings.mail_senders)
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self._accepted = dict[str, datetime]()
        """The messages that the mail server has accepted and that are not recorded yet: when, by id."""

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._health = MongoHealth()
        self._sweeping = asyncio.create_task(self._sweep_until_stopped())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        self._woken.set()
        await self._sweeping
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def queue(self, message: Message, render: Render | None = None) -> bool:
        """Store a new message and deliver it soon; False when its key already exists.

        If this replica has room, the message is stored as already claimed: should the process die, its lease ends like
        any other. Otherwise a sweep delivers it. `render` renders the mail without parsing the event again.
        """
        begin_by, lease_ends = now() + self._settings.max_wait, now() + self._settings.lease
        has_room = len(self._tasks) < BACKLOG
        if has_room:
            message.state, message.attempts, message.due_at = "sending", 1, lease_ends
        if not await message.queue():
            return False
        if has_room:
            self._start_task(self._deliver_when_free(message, begin_by, render))
        else:
            self._woken.set()
        return True

    async def _deliver_when_free(self, message: Message, begin_by: datetime, render: Render | None) -> None:
        """Wait for a free sender and deliver; release the message when it is too late or this replica stops."""
        async with self._free:
            if self._stopping.is_set() or now() > begin_by:
                await message.release(now())
            else:
                await self.deliver(message, render)

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish_task)

    def _finish_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("sender_failed", exc_info=error)

    async def _sweep_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            _log_failures(await asyncio.gather(self._deliver_all_due(), return_exceptions=True))
            try:
                async with asyncio.timeout(self._settings.sweep_seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _deliver_all_due(self) -> None:
        """Start the senders if a message is due. An idle notifier makes one query and no write."""
        async with self._health.observe_query():
            is_any_due = await Message.is_any_due(now())
        if is_any_due:
            senders = (self._deliver_due() for _ in range(self._settings.mail_senders))
            _log_failures(await asyncio.gather(*senders, return_exceptions=True))

    async def _deliver_due(self) -> None:
        while not self._stopping.is_set():
            async with self._health.observe_query():
                message = await Message.claim(now(), self._settings.lease, may_take_over=self._health.is_steady())
            if message is None:
                return
            await self.deliver(message)

    async def deliver(self, message: Message, render: Render | None = None) -> None:
        """Try to deliver a claimed message and record the result. Skip one that the mail server already accepted."""
        if message.id in self._accepted:
            return
        try:
            with telemetry.span(f"mail {message.kind}", telemetry.CLIENT, subject=message.key.partition(".")[2]):
                if await message.is_superseded():
                    raise Obsolete("superseded by a later mail")
                rendered = render() if render else await _render(message)
                content = mails.compose(rendered, message.key, message.queued_at)
                await self._smtp.send(content, rendered.to.addr_spec)
        except Refused as error:
            await _fail(message, str(error), error)
        except Exception as error:
            if not isinstance(error, DeliveryError):
                log.exception("message_broken", key=message.key)
            reason = str(error) if isinstance(error, DeliveryError) else type(error).__name__
            await self._schedule_retry(message, reason)
        else:
            self._record_sent(message)
            _outcomes.labels(message.kind, "sent").inc()
            log.info("message_sent", key=message.key, attempts=message.attempts)

    def _record_sent(self, message: Message) -> None:
        """Record the delivery soon, together with others."""
        self._accepted[message.id] = now()
        if len(self._accepted) == 1:
            self._start_task(self._record_accepted())

    async def _record_accepted(self) -> None:
        """Record all accepted messages, retrying until that succeeds. The process does not end before."""
        await asyncio.sleep(RECORD_AFTER_S)
        while accepted := dict(self._accepted):
            try:
                await Message.record_sent(accepted)
            except Exception:
                log.exception("sent_not_recorded", messages=len(accepted))
                await asyncio.sleep(RECORD_RETRY_S)
            else:
                for message_id in accepted:
                    del self._accepted[message_id]

    async def _schedule_retry(self, message: Message, reason: str) -> None:
        due_at = next_try_at(message.attempts, message.queued_at, now(), self._settings.retry_pause)
        if due_at is None:
            await _fail(message, reason)
            return
        reason = masked_reason(reason, message.address)
        await message.schedule_retry(due_at, reason)
        _outcomes.labels(message.kind, "postponed").inc()
        log.warning("message_postponed", key=message.key, attempts=message.attempts, due_at=due_at, reason=reason)


async def _render(message: Message) -> mails.RenderedMail:
    """Render a stored message. Raises Obsolete when the recipient does not need it any more, and Unmailable."""
    if message.kind != "reminder":
        return mails.render_stored(message.kind, message.event)
    content = ReminderContent.model_validate_json(message.event)
    plan = await plans.get(content.booking_id)
    if plan is None:
        raise Obsolete("the booking is no longer known")
    if obstacle := await plan.obstacle(content.slot, content.starts_at, now()):
        raise Obsolete(obstacle)
    return mails.reminder_context(plan, content.slot).render()


async def _fail(message: Message, reason: str, refusal: Refused | None = None) -> None:
    """Record that the message is not sent, and publish it if another service relies on it."""
    reason, is_obsolete = masked_reason(reason, message.address), isinstance(refusal, Obsolete)
    events: list[Event] = []
    if message.booking_id and not is_obsolete:
        facts = {"kind": message.kind, "failed_at": now(), "queued_at": message.queued_at}
        events.append(MailFailed.model_validate({"booking_id": message.booking_id} | facts))
    if message.kind == "seats_offered" and (refusal is None or is_obsolete):
        offer = SeatsOffered.model_validate_json(message.event)
        events.append(OfferUnsent.model_validate(dict(offer) | {"failed_at": now()}))
    await message.record_failed(reason, events)
    _outcomes.labels(message.kind, "failed").inc()
    log.error("message_failed", key=message.key, attempts=message.attempts, reason=reason)


def _log_failures(results: Iterable[BaseException | None]) -> None:
    for error in results:
        if error is not None:
            log.error("sender_failed", exc_info=error)
