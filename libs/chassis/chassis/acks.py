"""Acknowledgements, many messages at once: each one is an entry in a quorum queue's log.

A message that was received stays here until the broker has been told. When that fails, the channel is closed: RabbitMQ
then delivers all that is not acknowledged again, here or to another replica.
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
    """The messages of one channel with one consumer. Their delivery tags count up from 1 (AMQP 0-9-1)."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._unsettled: dict[int, float] = {}
        """Delivery tag, in ascending order, to the time of receipt."""
        self._handled: set[int] = set()
        self._sending = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the channel has closed, so that its messages are RabbitMQ's again."""
        return self._channel.is_closed

    @property
    def unsettled(self) -> int:
        """Messages that were received and are neither acknowledged nor returned."""
        return 0 if self.is_over else len(self._unsettled)

    @property
    def oldest_s(self) -> float:
        """How long the oldest of them has waited, in seconds."""
        oldest = None if self.is_over else next(iter(self._unsettled.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def received(self, tag: int) -> None:
        """A message has come."""
        self._unsettled[tag] = time.monotonic()

    def handled(self, tag: int) -> None:
        """The message's effect is durable: the broker is told soon."""
        self._handled.add(tag)
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._send_soon())

    def returned(self, tag: int) -> None:
        """The message is back in the queue and needs no acknowledgement."""
        del self._unsettled[tag]

    async def _send_soon(self) -> None:
        while self._handled and not self.is_over:  # some may have been handled while others were being acknowledged
            await asyncio.sleep(AFTER_S)
            await self.send()

    async def send(self) -> None:
        """Acknowledge all messages up to the first that is still in hand at once, and those beyond it one by one."""
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
                # aiormq ends with an arbitrary exception, and with CancelledError, too, what waited for a channel.
                if not isinstance(error, Exception | asyncio.CancelledError) or (task and task.cancelling()):
                    raise

    def _settled(self, tags: list[int]) -> None:
        for tag in tags:
            del self._unsettled[tag]
        self._handled.difference_update(tags)

    def give_up(self, reason: str) -> None:
        """Close the channel unless it has closed; the robust channel above it opens again and consumes."""
        if self._closing is None and not self.is_over:
            log.error("channel_given_up", unacknowledged=self.unsettled, reason=reason)
            self._closing = asyncio.create_task(self._channel.close(ChannelClosed(0, "a message was not settled")))
