"""Batched acknowledgements, because every acknowledgement is an entry in the log of a quorum queue.

A received message is tracked here until RabbitMQ has its acknowledgement. If that fails, the channel is closed and
RabbitMQ redelivers all unacknowledged messages, to this replica or another one.
"""

import asyncio
import time
from itertools import takewhile

import structlog
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelClosed

log = structlog.get_logger()
AFTER_S = 0.02


class Acknowledgements:
    """The messages of a channel that has one consumer. Delivery tags count up from 1 (AMQP 0-9-1)."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._unsettled: dict[int, float] = {}
        """Time of receipt by delivery tag, in ascending order of the tags."""
        self._handled: set[int] = set()
        self._sending = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the channel is closed, which returned its messages to the queue."""
        return self._channel.is_closed

    @property
    def unsettled(self) -> int:
        """The number of messages that are neither acknowledged nor returned to the queue."""
        return 0 if self.is_over else len(self._unsettled)

    @property
    def oldest_s(self) -> float:
        """The age of the oldest unsettled message, in seconds."""
        oldest = None if self.is_over else next(iter(self._unsettled.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def received(self, tag: int) -> None:
        """Track a message that was received."""
        self._unsettled[tag] = time.monotonic()

    def handled(self, tag: int) -> None:
        """Acknowledge the message soon. Call it when the message's effect is durable."""
        self._handled.add(tag)
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._send_soon())

    def returned(self, tag: int) -> None:
        """Stop tracking a message that was returned to the queue."""
        del self._unsettled[tag]

    async def _send_soon(self) -> None:
        while self._handled and not self.is_over:  # more may be handled while others are acknowledged
            await asyncio.sleep(AFTER_S)
            await self.send()

    async def send(self) -> None:
        """Acknowledge the handled messages: those before the first unhandled one together, the others one by one."""
        async with self._sending:
            first = list(takewhile(self._handled.__contains__, self._unsettled))
            beyond = sorted(self._handled.difference(first))
            try:
                if first:
                    await self._channel.basic_ack(first[-1], multiple=True)
                    self._settled(first)
                for tag in beyond:
                    await self._channel.basic_ack(tag)
                    self._settled([tag])
            except BaseException as error:
                self.give_up(repr(error))
                task = asyncio.current_task()
                # When a channel closes, aiormq raises any exception, even CancelledError, in tasks that wait for it.
                if not isinstance(error, Exception | asyncio.CancelledError) or (task and task.cancelling()):
                    raise

    def _settled(self, tags: list[int]) -> None:
        for tag in tags:
            del self._unsettled[tag]
        self._handled.difference_update(tags)

    def give_up(self, reason: str) -> None:
        """Close the channel if it is open. The robust channel on top of it reopens and consumes again."""
        if self._closing is None and not self.is_over:
            log.error("channel_given_up", unacknowledged=self.unsettled, reason=reason)
            self._closing = asyncio.create_task(self._channel.close(ChannelClosed(0, "a message was not settled")))
