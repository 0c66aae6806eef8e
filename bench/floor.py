"""The floor: a bare script with the drivers does the durable writes and confirmed messages of one booking.

No HTTP, no validation, no framework, one process for all services. Everything else as the platform does it: majority
and journal, guards in the filters, the outbox inside the document and pulled in bulk, writes that are pending at one
moment as one command, quorum queues, confirms, acks after the effect is durable.

With `is_batched`, events that are pending at one moment are one message as well. The clients of a closed loop then move
in step, because nothing happens between two groups: all clients share nearly every command and message. Requests that
pass through seven services never do that, so this is a lower bound that no platform reaches.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage
from chassis.ids import new_id
from chassis.messaging.wire import MAX_BATCH
from launcher.platform import Platform
from pymongo import AsyncMongoClient, InsertOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from bench import cpu
from bench.buyer import PATIENCE_S
from bench.stage import SEATS

PULL_AFTER_S = 2.0
GATHER_S = 0.05
"""How long pins and mails wait for others."""
RECORD_AFTER_S = 0.1
MOST_WRITES = 500
PREFETCH = 64
SHOWTIMES = 100
EVENTS = {
    "payment_requested": ("inventory",),
    "payment_succeeded": ("inventory",),
    "seats_sold": ("booking", "catalog"),
    "confirmed": ("notifier",),
}
"""The saga's durable events with their consumers."""
BODY = {name: "x" * size for name, size in
        {"payment_requested": 390, "payment_succeeded": 150, "seats_sold": 150, "confirmed": 1650}.items()}  # fmt: skip
"""Texts of the same length as the platform's events for two seats."""
Document = dict[str, Any]
Write = InsertOne[Document] | UpdateOne
T = TypeVar("T")


class Together(Generic[T]):
    """Commits pending items together, at most `most` at once. An item may wait for others to join."""

    def __init__(self, commit: Callable[[list[T]], Awaitable[None]], most: int, linger: float = 0) -> None:
        self._commit, self._most, self._linger = commit, most, linger
        self._pending: list[tuple[T, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    def put(self, thing: T) -> asyncio.Future[None]:
        """Return when the item is committed."""
        done = asyncio.get_running_loop().create_future()
        self._pending.append((thing, done))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return done

    async def _drain(self) -> None:
        while self._pending:
            await asyncio.sleep(self._linger)
            batch, self._pending = self._pending[: self._most], self._pending[self._most :]
            try:
                await self._commit([thing for thing, _ in batch])
            except Exception as error:
                for _, done in batch:
                    done.set_exception(error)
            else:
                for _, done in batch:
                    done.set_result(None)
        self._running = None


class Aggregates:
    """The documents of one collection with their outboxes."""

    def __init__(self, collection: AsyncCollection[Document], exchange: AbstractExchange, *, is_batched: bool) -> None:
        self._collection, self._exchange, self._is_batched = collection, exchange, is_batched
        self._writes = Together(self._write, MOST_WRITES)
        self._publishing: dict[str, Together[Document]] = {}
        self._sent: dict[str, list[str]] = defaultdict(list)

    async def add(self, document: Document, event: str = "", **facts: Any) -> None:
        """Insert a document and publish its event."""
        entries = _entries(event, document["_id"], facts)
        await self._writes.put(InsertOne({**document, "version": 1, "outbox": entries}))
        self._publish(event, entries)

    async def change(self, key: str, guard: Document, update: Document, event: str = "", **facts: Any) -> None:
        """Make a guarded update and publish its event."""
        entries = _entries(event, key, facts)
        push = {"$push": {**update.get("$push", {}), "outbox": {"$each": entries}}} if entries else {}
        await self._writes.put(UpdateOne({"_id": key, **guard}, {**update, "$inc": {"version": 1}, **push}))
        self._publish(event, entries)

    async def _write(self, writes: list[Write]) -> None:
        await self._collection.bulk_write(writes, ordered=False)

    def _publish(self, event: str, entries: list[Document]) -> None:
        for entry in entries:
            if event not in self._publishing:
                linger = GATHER_S if event == "payment_requested" else 0
                self._publishing[event] = Together(self._send, MAX_BATCH, linger)
            self._publishing[event].put(entry)

    async def _send(self, entries: list[Document]) -> None:
        messages = [entries] if self._is_batched else [[entry] for entry in entries]
        await asyncio.gather(
            *(self._exchange.publish(_message(each), entries[0]["type"], mandatory=True) for each in messages)
        )
        for entry in entries:
            self._sent[entry["subject"]].append(entry["id"])

    async def pull(self) -> None:
        """Remove confirmed events from their documents."""
        sent, self._sent = self._sent, defaultdict(list)
        pulls = [UpdateOne({"_id": key}, {"$pull": {"outbox": {"id": {"$in": ids}}}}) for key, ids in sent.items()]
        if pulls:
            await self._collection.bulk_write(pulls, ordered=False)


def _entries(event: str, subject: str, facts: Document) -> list[Document]:
    if not event:
        return []
    return [
        {"id": new_id(), "type": event, "subject": subject, "time": datetime.now(UTC), "body": BODY[event], **facts}
    ]


def _message(entries: list[Document]) -> aio_pika.Message:
    events = [{**entry, "time": entry["time"].isoformat()} for entry in entries]
    return aio_pika.Message(json.dumps(events).encode(), delivery_mode=2)


class Floor:
    """The servers' side of one booking and nothing else."""

    def __init__(
        self, name: str, mongo: AsyncMongoClient[Document], exchange: AbstractExchange, *, is_batched: bool
    ) -> None:
        self.name, self.exchange = name, exchange
        collections = (
            mongo[f"{name}_{service}"][collection]
            for service, collection in (("inventory", "showtimes"), ("booking", "bookings"), ("payment", "payments"))
        )
        self.seats, self.bookings, self.payments = (
            Aggregates(collection, exchange, is_batched=is_batched) for collection in collections
        )
        mails = mongo[f"{name}_notifier"].messages

        async def write(writes: list[Write]) -> None:
            await mails.bulk_write(writes, ordered=False)

        self._mails: Together[Write] = Together(write, MOST_WRITES, GATHER_S)
        self._records: Together[Write] = Together(write, MOST_WRITES, RECORD_AFTER_S)
        self._confirmed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.mailed = 0
        self.handlers = {
            ("inventory", "payment_requested"): self._pin,
            ("inventory", "payment_succeeded"): self._sell,
            ("booking", "seats_sold"): self._confirm,
            ("notifier", "confirmed"): self._mail,
        }

    async def book(self, number: int) -> None:
        """Do what a customer and Stripe request, up to the confirmation."""
        showtime, booking, moment = f"s{number % SHOWTIMES}", new_id(), datetime.now(UTC)
        first = number // SHOWTIMES * 2 % len(SEATS)
        seats, until = SEATS[first : first + 2], moment + timedelta(minutes=8)
        hold = {"id": booking, "holder": {"secret_hash": "h" * 64}, "seats": seats, "expires_at": until,
                "cap_at": until, "pinned": False, "renewals": 0, "revision": 0}  # fmt: skip
        free = [{"$or": [{f"taken.{s}": {"$exists": False}}, {f"taken.{s}.until": {"$lte": moment}}]} for s in seats]
        held = {f"taken.{seat}": {"by": booking, "state": "held", "until": until} for seat in seats}
        await self.seats.change(showtime, {"$and": free}, {"$set": held, "$push": {"holds": hold}})
        of = {"booking": booking, "showtime": showtime, "seats": seats}
        await self.bookings.add({"_id": booking, **_booking(booking, moment)}, "payment_requested", **of)
        account = {"_id": booking, "text": "p" * 300, "intent_id": f"pi_{booking}", "showtime_id": showtime}
        await self.payments.add(account)
        captured = {"captured": 2500, "state": "succeeded", "ledger": ["c" * 100], "event": "w" * 300}
        await self.payments.change(booking, {"version": 1}, {"$set": captured}, "payment_succeeded", **of)
        await self._confirmed[booking].wait()
        del self._confirmed[booking]

    async def _pin(self, event: Document) -> None:
        until = datetime.now(UTC) + timedelta(minutes=8)
        pinned = {f"taken.{seat}.until": until for seat in event["seats"]} | {"holds.$.pinned": True}
        await self.seats.change(event["showtime"], _own(event), {"$set": pinned})

    async def _sell(self, event: Document) -> None:
        sold = {f"taken.{seat}": {"by": event["booking"], "state": "sold"} for seat in event["seats"]}
        change = {"$set": sold, "$pull": {"holds": {"id": event["booking"]}}}
        of = {name: event[name] for name in ("booking", "showtime", "seats")}
        await self.seats.change(event["showtime"], _own(event), change, "seats_sold", **of)

    async def _confirm(self, event: Document) -> None:
        tickets = {"state": "confirmed", "tickets": ["t" * 450] * 2}
        booking = event["booking"]
        await self.bookings.change(booking, {"version": 1}, {"$set": tickets}, "confirmed", booking=booking)

    async def _mail(self, event: Document) -> None:
        booking = event["booking"]
        self._confirmed[booking].set()
        await self._mails.put(InsertOne({"_id": booking, "due_at": datetime.now(UTC), "event": event["body"]}))
        sent = {"$set": {"state": "sent"}, "$unset": {"due_at": ""}}
        recorded = self._records.put(UpdateOne({"_id": booking}, sent))
        recorded.add_done_callback(self._count)

    def _count(self, recorded: asyncio.Future[None]) -> None:
        recorded.result()
        self.mailed += 1

    async def rest(self, bookings: int) -> None:
        """Return when the mails of this many bookings are recorded and their events removed from the outboxes."""
        while self.mailed < bookings:
            await asyncio.sleep(0.05)
        await self.pull()

    async def pull(self) -> None:
        """Remove confirmed events from all documents."""
        for aggregates in (self.seats, self.bookings, self.payments):
            await aggregates.pull()

    async def pull_forever(self) -> None:
        """Publish as the relay does."""
        while True:
            await asyncio.sleep(PULL_AFTER_S)
            await self.pull()


def _own(event: Document) -> Document:
    of_hold = {"holds": {"$elemMatch": {"id": event["booking"], "seats": event["seats"]}}}
    return {f"taken.{seat}.by": event["booking"] for seat in event["seats"]} | of_hold


def _booking(booking: str, moment: datetime) -> Document:
    return {"state": "awaiting_payment", "holder": {"secret_hash": "h" * 64}, "showtime_id": booking,
            "opened_at": moment, "due_at": moment, "history": [{"state": "awaiting_payment", "at": moment}],
            "seats": [{"seat_id": "A1", "row": "A", "number": 1, "category": "standard"}] * 2,
            "email": "guest@usher.example", "screening": {"title": "m" * 250}, "lines": ["l" * 90] * 2,
            "reference": booking[-8:]}  # fmt: skip


@asynccontextmanager
async def _ready(platform: Platform, *, is_batched: bool) -> AsyncIterator[Floor]:
    name = "floor_batched" if is_batched else "floor"
    client: AsyncMongoClient[Document] = AsyncMongoClient(platform.env["MONGO_URI"], w="majority", journal=True)
    async with client as mongo, await aio_pika.connect(platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.declare_exchange(name, "topic", durable=True)
        floor = Floor(name, mongo, exchange, is_batched=is_batched)
        nothing_taken = [
            {"_id": f"s{n}", "version": 0, "taken": {}, "holds": [], "outbox": []} for n in range(SHOWTIMES)
        ]
        await mongo[f"{name}_inventory"].showtimes.insert_many(nothing_taken)
        for service in sorted({service for services in EVENTS.values() for service in services}):
            await _consume(floor, await connection.channel(publisher_confirms=False), service)
        pulling = asyncio.create_task(floor.pull_forever())
        yield floor
        pulling.cancel()
        await asyncio.wait([pulling])
        if await mongo[f"{name}_booking"].bookings.count_documents({"state": "confirmed"}) != floor.mailed:
            raise RuntimeError("a booking of the floor was lost")


async def _consume(floor: Floor, channel: Any, service: str) -> None:
    async def receive(message: AbstractIncomingMessage) -> None:
        events = json.loads(message.body)
        if handler := floor.handlers.get((service, message.routing_key or "")):
            await asyncio.gather(*map(handler, events))
        await message.ack()

    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(f"{floor.name}.{service}", durable=True, arguments={"x-queue-type": "quorum"})
    for event, consumers in EVENTS.items():
        if service in consumers:
            await queue.bind(floor.exchange, event)
    await queue.consume(receive)


async def measure(platform: Platform, clients: int, seconds: float, *, is_batched: bool) -> dict[str, Any]:
    """Return the floor's CPU milliseconds per booking: this process, MongoDB and RabbitMQ."""
    numbers, done = iter(range(SHOWTIMES * len(SEATS) // 2)), 0

    async def work(until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            async with asyncio.timeout(PATIENCE_S):
                await floor.book(next(numbers))
            done += 1

    async with _ready(platform, is_batched=is_batched) as floor:
        before, script = cpu.read(platform), time.process_time()
        await asyncio.gather(*(work(before.at + seconds) for _ in range(clients)))
        passed = time.perf_counter() - before.at
        await floor.rest(done)
        _, spent = before.until(cpu.read(platform))
        spent = {name: spent[name] for name in ("mongo", "rabbitmq")}
        spent["script"] = (time.process_time() - script) * 1000
    each = {name: round(ms / done, 3) for name, ms in spent.items()}
    return {"clients": clients, "done": done, "per_second": round(done / passed, 1),
            "cpu_ms": round(sum(each.values()), 2), "cpu": each}  # fmt: skip
