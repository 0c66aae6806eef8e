"""The sender: delivers a new message at once if it has a hand free, and what is due when woken or every few seconds,
beside other replicas.

**Once, also when MongoDB fails between the mail server's yes and our record.** Two rules keep a living sender's message
from being sent again:

1. The sender remembers the message (`_accepted`) and repeats its record until that is written. Meanwhile it delivers
   the message no second time, whoever claims it.
2. A replica takes over a message whose lease has ended only when MongoDB has answered all its own questions promptly
   for STEADY_S. So when MongoDB is back after an outage in which the lease ended, only the living owner writes for
   STEADY_S. It tries every RECORD_AGAIN_S, so its record comes first. A claim that hangs in a stalled connection does
   no harm: its filter has the time at which it was sent, and then MongoDB had been well for STEADY_S. An outage that no
   sweep meets is shorter than `sweep_seconds`, and no lease ends so soon after its message was sent (`Settings.lease`).

A sender that dies, or that alone cannot reach MongoDB until after its lease, may leave a message that is sent twice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from chassis import telemetry
from chassis.clock import now
from prometheus_client import Counter

from notifier import accounts, changes, confirmation, lookup, mail, settings, smtp
from notifier.model import DeliveryError, Kind, Refused, masked_reason, next_try_at
from notifier.settings import Settings
from notifier.store import Message

log = structlog.get_logger()
BACKLOG = 64
"""New messages that are at hand, most of them waiting for a free sender."""
RECORD_AFTER_S = 0.1
"""How long a delivery waits for others to be recorded with it: to MongoDB, one costs as much as several."""
RECORD_AGAIN_S = 0.5
STEADY_S = 10.0
"""Much longer than RECORD_AGAIN_S and the time in which the driver finds a MongoDB that is back."""
PROMPT_S = 1.0
"""A MongoDB that takes longer to answer is not well."""
Write = Callable[[], mail.Letter]
_outcomes = Counter("usher_notifier_deliveries_total", "Attempts to deliver a message", ["kind", "outcome"])
_woken, _stopping = asyncio.Event(), asyncio.Event()
_at_hand: set[asyncio.Task[None]] = set()
_accepted: dict[str, datetime] = {}
"""By id, messages that the mail server has taken and when, not recorded yet."""

LETTERS: dict[Kind, Callable[[str], mail.Letter]] = {
    "confirmation": confirmation.letter,
    "rescheduled": changes.rescheduled,
    "showtime_cancelled": changes.cancelled,
    "booking_link": lookup.letter,
    "verification": accounts.verification,
    "registration_repeated": accounts.registration_repeated,
    "password_reset": accounts.password_reset,
    "email_change": accounts.email_change,
    "invitation": accounts.invitation,
    "security": accounts.security,
}
"""What makes a letter of a kind from the JSON of its event."""


def wake() -> None:
    """Something became due."""
    _woken.set()


async def queue(message: Message, write: Write | None = None) -> bool:
    """Keep a new message for sending, and have it at hand if not too many are; False when its key is there already.

    Such a message is stored as if its sender had claimed it: should this process die, its lease runs out as any other.
    `write` makes the letter of what was read from the event already.
    """
    begin_by, lease_ends = now() + settings.get().patience, now() + settings.get().lease
    begin = len(_at_hand) < BACKLOG
    if begin:
        message.state, message.attempts, message.due_at = "sending", 1, lease_ends
    if not await message.queue():
        return False
    if begin:
        _start(_begin(message, begin_by, write))
    else:
        wake()
    return True


async def _begin(message: Message, begin_by: datetime, write: Write | None) -> None:
    async with _hands():
        if _stopping.is_set() or now() > begin_by:
            await message.give_back(now())
        else:
            await deliver(message, write)


@cache
def _hands() -> asyncio.Semaphore:
    """As many as there are senders for new messages."""
    return asyncio.Semaphore(settings.get().mail_senders)


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _at_hand.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _at_hand.discard(task)
    if not task.cancelled() and (error := task.exception()):
        log.error("sender_failed", exc_info=error)


@asynccontextmanager
async def sending(chosen: Settings) -> AsyncIterator[None]:
    """Run the sender; at the end a delivery under way is finished first, and what waits is left to other replicas."""
    _stopping.clear()
    task = asyncio.create_task(_send(chosen, _Steadiness()))
    try:
        yield
    finally:
        _stopping.set()
        wake()
        await task
        while _at_hand:
            await asyncio.wait(_at_hand)


class _Steadiness:
    """Since when MongoDB has answered the questions of this replica's sweeps promptly."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """A question to MongoDB. If it fails or takes long, the steady time begins anew."""
        asked_at, is_prompt = self._clock(), False
        try:
            yield
            is_prompt = self._clock() - asked_at < PROMPT_S
        finally:
            if not is_prompt:
                self._since = self._clock()

    def lasts(self) -> bool:
        """Whether it has been so for STEADY_S."""
        return self._clock() - self._since >= STEADY_S


async def _send(chosen: Settings, steadiness: _Steadiness) -> None:
    while not _stopping.is_set():
        _woken.clear()
        _log_failures(await asyncio.gather(_deliver_all_due(chosen, steadiness), return_exceptions=True))
        try:
            async with asyncio.timeout(chosen.sweep_seconds):
                await _woken.wait()
        except TimeoutError:
            continue


async def _deliver_all_due(chosen: Settings, steadiness: _Steadiness) -> None:
    """Start the senders when something is due, so that an idle notifier asks once and writes nothing."""
    async with steadiness.watching():
        is_any_due = await Message.is_any_due(now())
    if is_any_due:
        senders = (_deliver_due(chosen, steadiness) for _ in range(chosen.mail_senders))
        _log_failures(await asyncio.gather(*senders, return_exceptions=True))


def _log_failures(results: Iterable[BaseException | None]) -> None:
    for error in results:
        if error is not None:
            log.error("sender_failed", exc_info=error)


async def _deliver_due(chosen: Settings, steadiness: _Steadiness) -> None:
    while not _stopping.is_set():
        async with steadiness.watching():
            message = await Message.claim(now(), chosen.lease, may_take_over=steadiness.lasts())
        if message is None:
            return
        await deliver(message)


async def deliver(message: Message, write: Write | None = None) -> None:
    """Try a claimed message once and record what came of it. One that the mail server has taken already is let be."""
    if message.id in _accepted:
        return
    try:
        with telemetry.span(f"mail {message.kind}", telemetry.CLIENT, subject=message.key.partition(".")[2]):
            if await message.is_overtaken():
                raise Refused("a later word about it is there")
            letter = write() if write else LETTERS[message.kind](message.event)
            await smtp.hand_over(mail.compose(letter, message.key, message.queued_at), letter.to.addr_spec)
    except Refused as error:
        await _fail(message, str(error))
    except Exception as error:
        if not isinstance(error, DeliveryError):
            log.exception("message_broken", key=message.key)
        await _put_off(message, str(error) if isinstance(error, DeliveryError) else type(error).__name__)
    else:
        _record_sent(message)
        _outcomes.labels(message.kind, "sent").inc()
        log.info("message_sent", key=message.key, attempts=message.attempts)


def _record_sent(message: Message) -> None:
    """Soon: nobody waits for it."""
    _accepted[message.id] = now()
    if len(_accepted) == 1:
        _start(_record_accepted())


async def _record_accepted() -> None:
    """Record what was sent, until all is recorded. A notifier that stops does not end before that."""
    await asyncio.sleep(RECORD_AFTER_S)
    while accepted := dict(_accepted):
        try:
            await Message.record_sent(accepted)
        except Exception:
            log.exception("sent_not_recorded", messages=len(accepted))
            await asyncio.sleep(RECORD_AGAIN_S)
        else:
            for message_id in accepted:
                del _accepted[message_id]


async def _put_off(message: Message, reason: str) -> None:
    moment = now()
    due_at = next_try_at(message.attempts, message.queued_at, moment, settings.get().retry_pause)
    if due_at is None:
        await _fail(message, reason)
        return
    reason = masked_reason(reason, message.address)
    await message.put_off(due_at, reason)
    _outcomes.labels(message.kind, "put_off").inc()
    log.warning("message_put_off", key=message.key, attempts=message.attempts, due_at=due_at, reason=reason)


async def _fail(message: Message, reason: str) -> None:
    reason = masked_reason(reason, message.address)
    await message.record_failed(reason)
    _outcomes.labels(message.kind, "failed").inc()
    log.error("message_failed", key=message.key, attempts=message.attempts, reason=reason)
