"""The sender: delivers a new message at once if it has a hand free, and what is due when woken or every few seconds,
beside other replicas.
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
Write = Callable[[], mail.Letter]
_outcomes = Counter("usher_notifier_deliveries_total", "Attempts to deliver a message", ["kind", "outcome"])
_woken, _stopping = asyncio.Event(), asyncio.Event()
_at_hand: set[asyncio.Task[None]] = set()
_accepted: dict[str, datetime] = {}
"""Messages that the mail server has taken since then, not recorded yet."""

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
    task = asyncio.create_task(_send(chosen))
    try:
        yield
    finally:
        _stopping.set()
        wake()
        await task
        while _at_hand:
            await asyncio.wait(_at_hand)


async def _send(chosen: Settings) -> None:
    while not _stopping.is_set():
        _woken.clear()
        _log_failures(await asyncio.gather(_deliver_all_due(chosen), return_exceptions=True))
        try:
            async with asyncio.timeout(chosen.sweep_seconds):
                await _woken.wait()
        except TimeoutError:
            continue


async def _deliver_all_due(chosen: Settings) -> None:
    """Start the senders when something is due, so that an idle notifier asks once and writes nothing."""
    if await Message.is_any_due(now()):
        senders = (_deliver_due(chosen) for _ in range(chosen.mail_senders))
        _log_failures(await asyncio.gather(*senders, return_exceptions=True))


def _log_failures(results: Iterable[BaseException | None]) -> None:
    for error in results:
        if error is not None:
            log.error("sender_failed", exc_info=error)


async def _deliver_due(chosen: Settings) -> None:
    while not _stopping.is_set() and (message := await Message.claim(now(), chosen.lease)):
        await deliver(message)


async def deliver(message: Message, write: Write | None = None) -> None:
    """Try a claimed message once and record what came of it."""
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
    await asyncio.sleep(RECORD_AFTER_S)
    accepted = dict(_accepted)
    _accepted.clear()
    await Message.record_sent(accepted)


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
