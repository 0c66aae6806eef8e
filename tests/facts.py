"""What is true on a platform at one moment: all services' documents, Stripe's objects, RabbitMQ's queues, the mails.

Plain data, so that a test may copy it and plant a fault in the copy.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
import httpx
from chassis.broker import RETRY_TIERS_S
from contracts import topology
from contracts.registry import SERVICES
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]
Documents = dict[str, Document]
REFERENCE = re.compile(r"\b[CDFGHJKMNPQRTVWXY34679]{8}\b")
"""A booking's reference as booking makes it."""
QUEUE_NAMES = (topology.queue_name, topology.dead_letter_queue_name)


@dataclass
class Facts:
    """Documents by id, `unsent` by `database.collection`, `queues` by name with the messages that wait in them.

    `mails` are the Message-IDs that the mailbox has for each booking's reference. `in_hand` counts events that a
    service is handling. `refunds` and `intents` are Stripe's.
    """

    at: datetime
    showtimes: Documents
    shown: Documents
    occupancies: Documents
    bookings: Documents
    payments: Documents
    webhooks: Documents
    messages: Documents
    unsent: dict[str, list[Document]]
    intents: Documents
    refunds: Documents
    queues: dict[str, int]
    in_hand: int
    mails: dict[str, set[str]]


async def read(env: Mapping[str, str]) -> Facts:
    """Everything, from a platform with this environment (`Platform.env`). Its services need not run."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(env["MONGO_URI"], tz_aware=True)
    async with client, httpx.AsyncClient(timeout=30) as http:
        of = {service: client[f"usher_{service}"] for service in SERVICES}
        at = datetime.now(UTC)
        return Facts(
            at=at,
            showtimes=await _documents(of["inventory"], "showtimes"),
            shown=await _documents(of["realtime"], "showtimes"),
            occupancies=await _documents(of["catalog"], "occupancies"),
            bookings=await _documents(of["booking"], "bookings"),
            payments=await _documents(of["payment"], "payments"),
            webhooks=await _documents(of["payment"], "webhook_events"),
            messages=await _documents(of["notifier"], "messages"),
            unsent={name: entries async for name, entries in _unsent(of)},
            intents={intent["id"]: intent async for intent in _stripe(http, env, "payment_intents")},
            refunds={refund["id"]: refund async for refund in _stripe(http, env, "refunds")},
            queues=await _queues(env["RABBITMQ_URI"]),
            in_hand=await _in_hand(http, env),
            mails=await _mails(http, env),
        )


async def _documents(database: AsyncDatabase[Document], collection: str) -> Documents:
    return {document["_id"]: document async for document in database[collection].find()}


async def _unsent(of: Mapping[str, AsyncDatabase[Document]]) -> AsyncIterator[tuple[str, list[Document]]]:
    """The events that stand in outboxes."""
    for database in of.values():
        for collection in await database.list_collection_names():
            async for document in database[collection].find({"outbox.0": {"$exists": True}}, {"outbox": 1}):
                yield f"{database.name}.{collection} {document['_id']}", document["outbox"]


async def _stripe(http: httpx.AsyncClient, env: Mapping[str, str], kind: str) -> AsyncIterator[Document]:
    """All of Stripe's objects of a kind, by its own paging."""
    params, key = {"limit": "100"}, {"Authorization": f"Bearer {env['STRIPE_SECRET_KEY']}"}
    while True:
        answer = await http.get(f"{env['STRIPE_API_BASE']}/v1/{kind}", params=params, headers=key)
        page = answer.raise_for_status().json()
        for each in page["data"]:
            yield each
        if not page["has_more"]:
            return
        params["starting_after"] = page["data"][-1]["id"]


async def _queues(uri: str) -> dict[str, int]:
    """Messages that are ready in each queue of the topology, each retry tier and each dead-letter queue."""
    names = [name(service) for service in topology.HEARS for name in QUEUE_NAMES]
    names += [f"usher.retry.{seconds}s" for seconds in RETRY_TIERS_S]
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        counts: dict[str, int] = {}
        for name in names:
            queue = await channel.declare_queue(name, passive=True)
            counts[name] = queue.declaration_result.message_count or 0
        return counts


async def _in_hand(http: httpx.AsyncClient, env: Mapping[str, str]) -> int:
    """Events that the services have taken from their queues and not acknowledged, by their own metric."""
    copies = re.compile(rf"({'|'.join(SERVICES).upper()})(_\d+)?_PORT")
    ports = [port for name, port in env.items() if copies.fullmatch(name)]
    total = 0
    for port in ports:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        total += sum(int(float(value)) for value in re.findall(r"^usher_events_in_hand (\S+)$", text, re.MULTILINE))
    return total


async def _mails(http: httpx.AsyncClient, env: Mapping[str, str]) -> dict[str, set[str]]:
    """The mailbox by reference. A mail that was handed over twice bears the same Message-ID."""
    found: dict[str, set[str]] = {}
    for mail in (await http.get(f"{env['MAILBOX_URL']}/email")).raise_for_status().json():
        for reference in set(REFERENCE.findall(mail.get("text", ""))):
            found.setdefault(reference, set()).add(mail["messageId"])
    return found
