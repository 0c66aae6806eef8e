"""Acknowledgements with a real broker: in any order of handling, each message is acknowledged exactly once."""

import asyncio
import random

import aio_pika
from chassis.messaging.acknowledgements import Acknowledgements
from chassis.testing import until

COUNT = 300


async def test_messages_that_finish_in_any_order_are_each_acknowledged_once(rabbitmq_uri: str):
    dice = random.Random(7)  # noqa: S311 - not a secret
    async with await aio_pika.connect(rabbitmq_uri) as connection:
        channel = await connection.channel(publisher_confirms=False)
        queue = await channel.declare_queue("acks", durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(COUNT):
            await channel.default_exchange.publish(aio_pika.Message(b"%d" % number), "acks")
        acks = Acknowledgements(await channel.get_underlay_channel())
        await channel.set_qos(prefetch_count=50)
        received: list[int] = []
        returned: list[int] = []

        async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            acks.received(message.delivery_tag or 0)
            received.append(message.delivery_tag or 0)
            await asyncio.sleep(dice.choice((0, 0.001, 0.01, 0.05, 0.1)))
            tag = message.delivery_tag or 0
            if not message.redelivered and dice.random() < 0.1:
                await message.nack()
                acks.returned(tag)
                returned.append(tag)
            else:
                acks.handled(tag)

        await queue.consume(handle)

        async def is_empty() -> bool:
            return len(received) == COUNT + len(returned) and acks.unsettled == 0

        await until(is_empty)
        assert returned
        assert acks.oldest_s == 0
        assert not channel.is_closed
        await channel.close()
        again = await connection.channel()
        left = await again.declare_queue("acks", passive=True)
        assert left.declaration_result.message_count == 0
