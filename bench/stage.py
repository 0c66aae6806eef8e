"""The platform under test: no demo, but as many showtimes as a measurement needs, in one hall of 400 seats."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange, AbstractIncomingMessage
from chassis.clock import now
from chassis.ids import new_id
from chassis.wire import to_message
from contracts import topology
from contracts.booking import BookingConfirmed
from contracts.catalog import PlacedSeat, Price, SeatLayoutPublished, ShowtimeScheduled
from contracts.envelope import Envelope, Event
from launcher.platform import Platform
from launcher.settings import NO_LIMITS
from pymongo import AsyncMongoClient

ROWS, NUMBERS = "ABCDEFGHIJKLMNOPQRST", 20
SEATS = [f"{row}{number}" for row in ROWS for number in range(1, NUMBERS + 1)]
PAIRS = list(zip(SEATS[::2], SEATS[1::2], strict=True))
LAYOUT = "bench-hall"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# No hold may lapse while a measurement of some minutes runs.
ENVIRONMENT = NO_LIMITS | {"HOLD_SECONDS": "3600", "HOLD_CAP_SECONDS": "3600"}


@dataclass
class Stage:
    """A running platform, its databases, and one's own ear on the bus.

    `confirmed` holds a future for each booking that somebody waits for. It is a queue of its own on RabbitMQ that hears
    of confirmations: polling would load what is measured.
    """

    platform: Platform
    mongo: AsyncMongoClient[dict[str, Any]]
    broker: AbstractConnection
    exchange: AbstractExchange
    confirmed: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def say(self, event: Event) -> None:
        """Publish an event as the service would that it belongs to."""
        envelope = Envelope(
            id=new_id(),
            source=event.source(),
            type=event.type,
            subject=event.subject,
            time=now(),
            version=1,
            body=event.model_dump_json(),
        )
        await self.exchange.publish(to_message(envelope), event.type)

    async def showtimes(self, count: int) -> list[str]:
        """New empty showtimes on sale, once every service knows them."""
        ids = [new_id() for _ in range(count)]
        await asyncio.gather(*(self.say(_showtime(showtime_id)) for showtime_id in ids))
        for service in ("inventory", "booking", "realtime"):
            collection = self.mongo[f"usher_{service}"].showtimes
            while await collection.count_documents({"_id": {"$in": ids}}) < count:
                await asyncio.sleep(0.05)
        return ids

    async def pairs(self, showtimes: int) -> Iterator[tuple[str, list[str]]]:
        """Showtime and two seats that nobody has, each showtime in turn; 200 of each."""
        ids = await self.showtimes(showtimes)
        return ((showtime_id, list(pair)) for pair in PAIRS for showtime_id in ids)

    async def at_rest(self) -> None:
        """Returns when every queue is empty, every outbox pulled, every mail sent."""
        channel = await self.broker.channel()
        unsent = {"outbox.0": {"$exists": True}, "outbox.time": {"$gt": LONG_AGO}}
        calm = 0
        while calm < 3:
            depths = [
                (
                    await channel.declare_queue(topology.queue_name(service), passive=True)
                ).declaration_result.message_count
                for service in topology.HEARS
            ]
            left = [
                await self.mongo[f"usher_{service}"][name].find_one(unsent, {"_id": 1})
                for service, name in (("inventory", "showtimes"), ("booking", "bookings"), ("payment", "payments"))
            ]
            left.append(await self.mongo.usher_notifier.messages.find_one({"due_at": {"$gt": LONG_AGO}}, {"_id": 1}))
            calm = calm + 1 if not any(depths) and not any(left) else 0
            await asyncio.sleep(0.1)
        await channel.close()


@asynccontextmanager
async def set_up(platform: Platform) -> AsyncIterator[Stage]:
    """The stage on a platform that is ready."""
    mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(platform.env["MONGO_URI"], tz_aware=True)
    async with mongo, await aio_pika.connect(platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel()
        stage = Stage(platform, mongo, connection, await channel.get_exchange(topology.EXCHANGE))
        await _listen(stage, channel)
        await stage.say(_layout())
        while not await mongo.usher_inventory.seat_layouts.find_one({"_id": LAYOUT}):
            await asyncio.sleep(0.05)
        yield stage


async def _listen(stage: Stage, channel: Any) -> None:
    async def heard(message: AbstractIncomingMessage) -> None:
        waiting = stage.confirmed.pop(str(message.headers["cloudEvents_subject"]), None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    queue = await channel.declare_queue(exclusive=True, auto_delete=True)
    await queue.bind(stage.exchange, BookingConfirmed.type)
    await queue.consume(heard, no_ack=True)


def _layout() -> SeatLayoutPublished:
    seats = [
        PlacedSeat(seat_id=f"{row}{n}", row=row, number=n, category="standard", x=n, y=y)
        for y, row in enumerate(ROWS)
        for n in range(1, NUMBERS + 1)
    ]
    return SeatLayoutPublished(layout_id=LAYOUT, auditorium_id="bench-1", columns=NUMBERS, rows=len(ROWS), seats=seats)


def _showtime(showtime_id: str) -> ShowtimeScheduled:
    moment = now()
    return ShowtimeScheduled(
        showtime_id=showtime_id,
        movie_id="bench-film",
        movie_title="Metropolis",
        theater_id="bench-theater",
        theater_name="Odeon",
        auditorium_id="bench-1",
        auditorium_name="Hall 1",
        layout_id=LAYOUT,
        time_zone="Europe/Berlin",
        starts_at=moment + timedelta(hours=6),
        ends_at=moment + timedelta(hours=8),
        sales_open_at=moment - timedelta(days=1),
        sales_close_at=moment + timedelta(hours=6),
        format="2D",
        language="de",
        certificate="12",
        currency="EUR",
        prices=[Price(category="standard", ticket_type="adult", amount=1250)],
    )
