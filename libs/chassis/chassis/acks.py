"""Telling the broker what was handled, many messages at once: each telling is an entry in a quorum queue's log."""

import asyncio
from contextlib import suppress

from aiormq.abc import AbstractChannel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

AFTER_S = 0.02


class Acknowledgements:
    """The messages of one channel with one consumer. Their delivery tags count up from 1 (AMQP 0-9-1)."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._upto = 0
        self._handled: set[int] = set()
        self._told: set[int] = set()
        self._later: asyncio.Task[None] | None = None

    def handled(self, tag: int) -> None:
        """The message's effect is durable: the broker is told soon."""
        self._handled.add(tag)
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._tell_soon())

    def returned(self, tag: int) -> None:
        """The message goes back into the queue and needs no acknowledgement."""
        self._handled.add(tag)
        self._told.add(tag)

    async def _tell_soon(self) -> None:
        await asyncio.sleep(AFTER_S)
        await self.tell()

    async def tell(self) -> None:
        """All up to the first that is still in hand with one word, and those beyond it one by one.

        A channel that has closed needs no telling: its messages come again.
        """
        last = 0
        while self._upto + 1 in self._handled:
            self._upto += 1
            if self._upto not in self._told:
                last = self._upto  # a tag that was told already would close the channel
            self._handled.discard(self._upto)
            self._told.discard(self._upto)
        beyond = self._handled - self._told
        self._told |= beyond
        with suppress(AMQPError, ChannelInvalidStateError):
            if last:
                await self._channel.basic_ack(last, multiple=True)
            for tag in sorted(beyond):
                await self._channel.basic_ack(tag)
