"""The floor: a bare script with the drivers does the durable writes and confirmed messages of one saga.

No HTTP, no validation, no framework, one process for all services. Everything else as the platform does it:
majority and journal, guards in the filters, the outbox inside the document and pulled in bulk, quorum queues, confirms,
acks.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage
from chassis.ids import new_id
from launcher.platform import Platform
from pymongo import AsyncMongoClient, UpdateOne

from bench import cpu
from bench.stage import SEATS

PULL_AFTER_S = 2.0
SHOWTIMES = 100
EVENTS = {
    "seats_held": ("booking", "realtime"),
    "payment_requested": ("inventory", "payment"),
    "succeeded": ("booking",),
    "paid": ("inventory",),
    "seats_sold": ("booking", "realtime"),
    "confirmed": ("notifier",),
}
"""The saga's messages and who hears them."""
BODY = {name: "x" * size for name, size in
        {"seats_held": 420, "payment_requested": 390, "succeeded": 75, "paid": 200, "seats_sold": 110,
         "confirmed": 1650}.items()}  # fmt: skip
"""Texts as long as those of the platform's events for two seats."""


class Floor:
    """The servers' side of one saga, with nothing around it."""

    def __init__(self, mongo: AsyncMongoClient[dict[str, Any]], exchange: AbstractExchange) -> None:
        self.exchange = exchange
        self.seats = mongo.floor_inventory.showtimes
        self.bookings = mongo.floor_booking.bookings
        self.payments = mongo.floor_payment.payments
        self.mails, self.maps = mongo.floor_notifier.messages, mongo.floor_realtime.showtimes
        self._sent: dict[Any, dict[str, list[str]]] = {}

    async def saga(self, number: int) -> None:
        """The steps one after another."""
        showtime, booking, moment = f"s{number % SHOWTIMES}", new_id(), datetime.now(UTC)
        first = number // SHOWTIMES * 2 % len(SEATS)
        seats, until = SEATS[first : first + 2], moment + timedelta(minutes=8)
        hold = {"id": booking, "holder": {"secret_hash": "h" * 64}, "seats": seats, "expires_at": until,
                "cap_at": until, "pinned": False, "renewals": 0, "revision": 0}  # fmt: skip
        free = [{"$or": [{f"taken.{s}": {"$exists": False}}, {f"taken.{s}.until": {"$lte": moment}}]} for s in seats]
        own = {f"taken.{seat}.by": booking for seat in seats}
        held = {f"taken.{seat}": {"by": booking, "state": "held", "until": until} for seat in seats}
        await self._change(self.seats, showtime, {"$and": free}, {"$set": held, "$push": {"holds": hold}}, "seats_held")
        await self.bookings.insert_one({"_id": booking, "version": 1, "outbox": [], **_booking(booking, moment)})
        await self._show(showtime, booking, "held", moment)
        order = {"state": "awaiting_payment", "email": "guest@usher.example", "screening": {"title": "m" * 250},
                 "lines": ["l" * 90] * 2, "reference": booking[-8:], "due_at": until}  # fmt: skip
        await self._change(self.bookings, booking, {"version": 1}, {"$set": order}, "payment_requested")
        pinned = {f"taken.{seat}.until": until for seat in seats} | {"holds.$.pinned": True}
        of_hold = {"holds": {"$elemMatch": {"id": booking, "seats": seats}}}
        await self._change(self.seats, showtime, own | of_hold, {"$set": pinned})
        await self.payments.insert_one({"_id": booking, "version": 1, "outbox": [], "text": "p" * 300})
        await self._change(self.payments, booking, {"version": 1}, {"$set": {"intent_id": f"pi_{booking}"}})
        captured = {"captured": 2500, "state": "succeeded", "ledger": ["c" * 100], "event": "w" * 300}
        await self._change(self.payments, booking, {"version": 2}, {"$set": captured}, "succeeded")
        await self._change(self.bookings, booking, {"version": 2}, {"$set": {"state": "confirming"}}, "paid")
        sold = {f"taken.{seat}": {"by": booking, "state": "sold"} for seat in seats}
        await self._change(
            self.seats, showtime, own | of_hold, {"$set": sold, "$pull": {"holds": {"id": booking}}}, "seats_sold"
        )
        tickets = {"state": "confirmed", "tickets": ["t" * 450] * 2}
        await self._change(self.bookings, booking, {"version": 3}, {"$set": tickets}, "confirmed")
        await self._show(showtime, booking, "sold", moment)
        await self.mails.insert_one({"_id": booking, "due_at": until, "event": BODY["confirmed"]})
        await self.mails.update_one({"_id": booking}, {"$set": {"state": "sent"}, "$unset": {"due_at": ""}})

    async def _change(
        self, collection: Any, key: str, guard: dict[str, Any], update: dict[str, Any], event: str = ""
    ) -> None:
        entry = {"id": new_id(), "type": event, "subject": key, "time": datetime.now(UTC), "body": BODY.get(event, "")}
        push = update.get("$push", {}) | ({"outbox": entry} if event else {})
        change = update | {"$inc": {"version": 1}} | ({"$push": push} if push else {})
        if await collection.find_one_and_update({"_id": key, **guard}, change, {"version": 1}) is None:
            raise RuntimeError(f"the floor lost a race it cannot lose: {collection.name} {key} {event}")
        if event:
            headers = {"id": entry["id"], "subject": key, "time": entry["time"].isoformat()}
            message = aio_pika.Message(entry["body"].encode(), headers=headers, delivery_mode=2, message_id=entry["id"])
            await self.exchange.publish(message, event, mandatory=True)
            self._sent.setdefault(collection, {}).setdefault(key, []).append(entry["id"])

    async def _show(self, showtime: str, booking: str, register: str, moment: datetime) -> None:
        facts = {"version": 1, "changed_at": moment, f"claims.{booking}.{register}": moment}
        await self.maps.update_one({"_id": showtime}, {"$max": facts}, upsert=True)

    async def pull(self) -> None:
        """Takes confirmed events out of their documents."""
        sent, self._sent = self._sent, {}
        for collection, documents in sent.items():
            pulls = [
                UpdateOne({"_id": key}, {"$pull": {"outbox": {"id": {"$in": ids}}}}) for key, ids in documents.items()
            ]
            await collection.bulk_write(pulls, ordered=False)

    async def pull_forever(self) -> None:
        """As the relay does."""
        while True:
            await asyncio.sleep(PULL_AFTER_S)
            await self.pull()


def _booking(booking: str, moment: datetime) -> dict[str, Any]:
    return {"state": "held", "holder": {"secret_hash": "h" * 64}, "showtime_id": booking, "opened_at": moment,
            "seats": [{"seat_id": "A1", "row": "A", "number": 1, "category": "standard"}] * 2, "due_at": moment,
            "history": [{"state": "held", "at": moment}]}  # fmt: skip


@asynccontextmanager
async def _ready(platform: Platform) -> AsyncIterator[Floor]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(platform.env["MONGO_URI"], w="majority", journal=True)
    async with client as mongo, await aio_pika.connect(platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.declare_exchange("floor", "topic", durable=True)
        floor = Floor(mongo, exchange)
        nothing_taken = [
            {"_id": f"s{n}", "version": 0, "taken": {}, "holds": [], "outbox": []} for n in range(SHOWTIMES)
        ]
        await floor.seats.insert_many(nothing_taken)
        for service in {service for services in EVENTS.values() for service in services}:
            await _hear(await connection.channel(publisher_confirms=False), exchange, service)
        pulling = asyncio.create_task(floor.pull_forever())
        yield floor
        pulling.cancel()
        await asyncio.wait([pulling])
        await floor.pull()


async def _hear(channel: Any, exchange: AbstractExchange, service: str) -> None:
    async def heard(message: AbstractIncomingMessage) -> None:
        await message.ack()

    await channel.set_qos(prefetch_count=16)
    queue = await channel.declare_queue(f"floor.{service}", durable=True, arguments={"x-queue-type": "quorum"})
    for event, hearers in EVENTS.items():
        if service in hearers:
            await queue.bind(exchange, event)
    await queue.consume(heard)


async def measure(platform: Platform, clients: int, seconds: float) -> dict[str, Any]:
    """The floor's CPU milliseconds for each saga: this process, MongoDB and RabbitMQ."""
    numbers, done = iter(range(SHOWTIMES * len(SEATS) // 2)), 0

    async def work(until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await floor.saga(next(numbers))
            done += 1

    async with _ready(platform) as floor:
        before, script = cpu.read(platform), time.process_time()
        await asyncio.gather(*(work(before.at + seconds) for _ in range(clients)))
        seconds, spent = before.until(cpu.read(platform))
        spent = {name: spent[name] for name in ("mongo", "rabbitmq")}
        spent["script"] = (time.process_time() - script) * 1000
    each = {name: round(ms / done, 3) for name, ms in spent.items()}
    return {"clients": clients, "done": done, "per_second": round(done / seconds, 1),
            "cpu_ms": round(sum(each.values()), 2), "cpu": each}  # fmt: skip
