"""The platform under test: without demo data, with as many showtimes as needed in one auditorium of 400 seats."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.wire import BATCH, to_message
from contracts import topology
from contracts.booking import BookingConfirmed
from contracts.catalog import PlacedSeat, Price, SeatLayoutPublished, ShowtimeScheduled
from contracts.envelope import Envelope, Event
from launcher.platform import Platform
from launcher.ports import SERVICES
from launcher.settings import NO_LIMITS
from pymongo import AsyncMongoClient

from bench import cpu
from bench.sink import Sink

ROWS, NUMBERS = "ABCDEFGHIJKLMNOPQRST", 20
SEATS = [f"{row}{number}" for row in ROWS for number in range(1, NUMBERS + 1)]
PAIRS = list(zip(SEATS[::2], SEATS[1::2], strict=True))
LAYOUT = "bench-hall"
REST_S = 120
LOOK_S = 0.25
"""The interval of the checks whether the platform is at rest, because a check costs it something."""
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# No hold may expire during a measurement of several minutes.
ENVIRONMENT = NO_LIMITS | {"HOLD_SECONDS": "3600", "HOLD_CAP_SECONDS": "3600"}
PROCESSES = frozenset({"mongo", "rabbitmq", "stripe", "gateway", *SERVICES})


def platform_with(mail: Sink, environment: Mapping[str, str] | None = None) -> Platform:
    """Create a platform that sends its mails to the sink. It is not started yet."""
    given = {**ENVIRONMENT, "SMTP_PORT": str(mail.port), **(environment or {})}
    return Platform(environment=given, only=PROCESSES)


@dataclass
class Stage:
    """A running platform with its databases, the mail server and an extra queue on RabbitMQ.

    The queue receives confirmations, because polling would add load to the platform.
    """

    platform: Platform
    mail: Sink
    mongo: AsyncMongoClient[dict[str, Any]]
    broker: AbstractConnection
    channel: AbstractChannel
    mails_before: int
    _confirmed: set[str] = field(default_factory=set)
    _awaited: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    @property
    def stripe_url(self) -> str:
        """Stripe's sandbox."""
        return self.platform.env["STRIPE_SANDBOX_URL"]

    def confirmation_of(self, booking_id: str) -> asyncio.Future[None]:
        """Return a future that is done when the booking is confirmed. Call it before the confirmation."""
        confirmed = self._awaited[booking_id] = asyncio.get_running_loop().create_future()
        return confirmed

    def confirm(self, booking_id: str) -> None:
        """Record that the booking is confirmed."""
        self._confirmed.add(booking_id)
        confirmed = self._awaited.pop(booking_id, None)
        if confirmed and not confirmed.done():
            confirmed.set_result(None)

    def outside(self) -> dict[str, float]:
        """Return the CPU milliseconds of the processes outside the platform: load generator, sandbox, mail server."""
        stripe = sum(map(cpu.spent, self.platform.pids("stripe")))
        return {"generator": time.process_time() * 1000, "stripe": stripe, "mail": cpu.spent(self.mail.pid)}

    async def say(self, event: Event) -> None:
        """Publish an event as its service would."""
        envelope = Envelope(
            id=new_id(),
            source=event.source(),
            type=event.type,
            subject=event.subject,
            time=now(),
            version=1,
            body=event.model_dump_json(),
        )
        exchange = await self.channel.get_exchange(topology.publishing_exchange(event.source()), ensure=False)
        await exchange.publish(to_message(envelope), event.type)

    async def showtimes(self, count: int) -> list[str]:
        """Create empty showtimes on sale. Returns when every service knows them."""
        ids = [new_id() for _ in range(count)]
        await asyncio.gather(*(self.say(_showtime(showtime_id)) for showtime_id in ids))
        for service in ("inventory", "booking", "realtime"):
            collection = self.mongo[f"usher_{service}"].showtimes
            while await collection.count_documents({"_id": {"$in": ids}}) < count:
                await asyncio.sleep(0.05)
        return ids

    async def pairs(self, showtimes: int) -> Iterator[tuple[str, list[str]]]:
        """Yield a showtime and two free seats, each showtime in turn; 200 pairs of each."""
        ids = await self.showtimes(showtimes)
        return ((showtime_id, list(pair)) for pair in PAIRS for showtime_id in ids)

    async def mailed(self) -> None:
        """Return when the mails of all confirmed bookings are accepted."""
        while self.mail.accepted - self.mails_before < len(self._confirmed):
            await asyncio.sleep(0.05)

    async def at_rest(self) -> None:
        """Return when every mail is accepted, every outbox empty, every seat map up to date and every queue empty.

        Raises TimeoutError when that takes longer than REST_S.
        """
        async with asyncio.timeout(REST_S), await self.broker.channel() as channel:
            await self.mailed()
            calm = 0
            while calm < 2:
                calm = calm + 1 if await self._is_done() and not await self._is_queued(channel) else 0
                await asyncio.sleep(LOOK_S)

    async def _is_done(self) -> bool:
        """Whether the documents show unfinished work."""
        unsent = {"outbox.0": {"$exists": True}, "outbox.time": {"$gt": LONG_AGO}}
        left = (
            ("notifier", "messages", {"due_at": {"$gt": LONG_AGO}}),
            ("inventory", "showtimes", {"is_stale": True}),
            ("inventory", "showtimes", unsent),
            ("booking", "bookings", unsent),
            ("payment", "payments", unsent),
        )
        for service, collection, where in left:
            if await self.mongo[f"usher_{service}"][collection].find_one(where, {"_id": 1}):
                return False
        return True

    async def _is_queued(self, channel: AbstractChannel) -> bool:
        for service in topology.CONSUMES:
            queue = await channel.declare_queue(topology.queue_name(service), passive=True)
            if queue.declaration_result.message_count:
                return True
        return False


@asynccontextmanager
async def set_up(platform: Platform, mail: Sink) -> AsyncIterator[Stage]:
    """Run a platform and yield its stage when it is ready."""
    mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(platform.env["MONGO_URI"], tz_aware=True)
    async with mongo, await aio_pika.connect(platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel()
        stage = Stage(platform, mail, mongo, connection, channel, mail.accepted)
        await _listen(stage, channel)
        await stage.say(_layout())
        while not await mongo.usher_inventory.seat_layouts.find_one({"_id": LAYOUT}):
            await asyncio.sleep(0.05)
        yield stage


async def _listen(stage: Stage, channel: AbstractChannel) -> None:
    async def receive(message: AbstractIncomingMessage) -> None:
        if message.content_type == BATCH:
            for event in json.loads(message.body):
                stage.confirm(event["subject"])
        else:
            stage.confirm(str(message.headers["cloudEvents_subject"]))

    queue = await channel.declare_queue(exclusive=True, auto_delete=True)
    await queue.bind(topology.EXCHANGE, BookingConfirmed.type)
    await queue.consume(receive, no_ack=True)


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
