"""The sender: delivers a new message at once if it has a hand free, and what is due when woken or every few seconds,
beside other replicas.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from chassis import telemetry
from chassis.clock import now
from prometheus_client import Counter

from notifier import accounts, changes, confirmation, lookup, mail, settings, smtp
from notifier.model import DeliveryError, Kind, Refused, masked_reason, next_try_at
from notifier.settings import Settings
from notifier.store import Message

log = structlog.get_logger()
_outcomes = Counter("usher_notifier_deliveries_total", "Attempts to deliver a message", ["kind", "outcome"])
_woken = asyncio.Event()
_at_hand: set[asyncio.Task[None]] = set()

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


async def queue(message: Message) -> bool:
    """Keep a new message for sending, and begin with it if a sender is free; False when its key is there already.

    Such a message is stored as if its sender had claimed it: should this process die, its lease runs out as any other.
    """
    begin = len(_at_hand) < settings.get().mail_senders
    if begin:
        message.state, message.attempts, message.due_at = "sending", 1, now() + settings.get().lease
    if not await message.queue():
        return False
    if begin:
        task = asyncio.create_task(_begin(message))
        _at_hand.add(task)
        task.add_done_callback(_at_hand.discard)
    else:
        wake()
    return True


async def _begin(message: Message) -> None:
    try:
        await deliver(message)
    except Exception:
        log.exception("sender_failed", key=message.key)


@asynccontextmanager
async def sending(chosen: Settings) -> AsyncIterator[None]:
    """Run the sender; at the end a delivery under way is finished first."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_send_until(stopping, chosen))
    try:
        yield
    finally:
        stopping.set()
        wake()
        await asyncio.gather(task, *_at_hand)


async def _send_until(stopping: asyncio.Event, chosen: Settings) -> None:
    while not stopping.is_set():
        _woken.clear()
        senders = (_deliver_due(stopping, chosen) for _ in range(chosen.mail_senders))
        for error in await asyncio.gather(*senders, return_exceptions=True):
            if error is not None:
                log.error("sender_failed", exc_info=error)
        try:
            async with asyncio.timeout(chosen.sweep_seconds):
                await _woken.wait()
        except TimeoutError:
            continue


async def _deliver_due(stopping: asyncio.Event, chosen: Settings) -> None:
    while not stopping.is_set() and (message := await Message.claim(now(), chosen.lease)):
        await deliver(message)


async def deliver(message: Message) -> None:
    """Try a claimed message once and record what came of it."""
    try:
        with telemetry.span(f"mail {message.kind}", telemetry.CLIENT, subject=message.key.partition(".")[2]):
            if await message.is_overtaken():
                raise Refused("a later word about it is there")
            letter = await asyncio.to_thread(LETTERS[message.kind], message.event)
            await smtp.hand_over(mail.compose(letter, message.key, message.queued_at), letter.to.addr_spec)
    except Refused as error:
        await _fail(message, str(error))
    except Exception as error:
        if not isinstance(error, DeliveryError):
            log.exception("message_broken", key=message.key)
        await _put_off(message, str(error) if isinstance(error, DeliveryError) else type(error).__name__)
    else:
        await message.record_sent(now())
        _outcomes.labels(message.kind, "sent").inc()
        log.info("message_sent", key=message.key, attempts=message.attempts)


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
