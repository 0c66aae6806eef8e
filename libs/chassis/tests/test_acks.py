"""Acknowledgements against a real broker: whatever order messages are done in, none is told twice or forgotten."""

import asyncio
import random

import aio_pika
from chassis.acks import Acknowledgements
from chassis.testing import until

COUNT = 300


async def test_messages_done_in_any_order_are_all_acknowledged_once(rabbitmq_uri: str):
    dice = random.Random(7)  # noqa: S311 - a dice, not a secret
    async with await aio_pika.connect(rabbitmq_uri) as connection:
        channel = await connection.channel(publisher_confirms=False)
        queue = await channel.declare_queue("acks", durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(COUNT):
            await channel.default_exchange.publish(aio_pika.Message(b"%d" % number), "acks")
        acks = Acknowledgements(await channel.get_underlay_channel())
        await channel.set_qos(prefetch_count=50)
        returned: list[int] = []

        async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            await asyncio.sleep(dice.choice((0, 0.001, 0.01, 0.05, 0.1)))
            tag = message.delivery_tag or 0
            if not message.redelivered and dice.random() < 0.1:
                acks.returned(tag)
                returned.append(tag)
                await message.nack()
            else:
                acks.handled(tag)

        await queue.consume(handle)

        async def is_empty() -> bool:
            return acks._upto == COUNT + len(returned)  # pyright: ignore[reportPrivateUsage]

        await until(is_empty)
        await acks.tell()
        assert returned
        assert not (acks._handled or acks._told)
        assert not channel.is_closed
        await channel.close()
        again = await connection.channel()
        left = await again.declare_queue("acks", passive=True)
        assert left.declaration_result.message_count == 0
