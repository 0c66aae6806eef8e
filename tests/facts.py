"""The state of a platform at one moment: all services' documents, Stripe's objects, RabbitMQ's queues and the mails.

It is plain data, so a test can copy it and plant a fault in the copy.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
import httpx
from chassis.messaging.broker import RETRY_TIERS_S
from contracts import topology
from contracts.registry import SERVICES
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]
Documents = dict[str, Document]
REPLICA_PORT = re.compile(rf"({'|'.join(SERVICES).upper()})(_\d+)?_PORT")
QUEUE_NAMES = (topology.queue_name, topology.dead_letter_queue_name)


@dataclass
class Replica:
    """The metrics of one process of a service.

    It is handling `in_hand` events and has `unacknowledged` messages, the oldest for `oldest_s` seconds.
    """

    started_at: datetime
    in_hand: int
    unacknowledged: int
    oldest_s: float


@dataclass
class Facts:
    """Documents by id, `unsent` by `database.collection`, `queues` by name with the messages that wait in them.

    `mails` are the copies of each of notifier's messages in the mailbox, by the message's key. The mailbox may lack
    mails queued before `mailbox_since`. `replicas` are the processes by name. `refunds`, `disputes` and `intents`
    are Stripe's.
    """

    at: datetime
    showtimes: Documents
    shown: Documents
    occupancies: Documents
    bookings: Documents
    uses: Documents
    payments: Documents
    gift_cards: Documents
    webhooks: Documents
    messages: Documents
    unsent: dict[str, list[Document]]
    intents: Documents
    refunds: Documents
    disputes: Documents
    queues: dict[str, int]
    replicas: dict[str, Replica]
    mails: Counter[str]
    mailbox_since: datetime


async def read(env: Mapping[str, str]) -> Facts:
    """Read everything from the platform with this environment (`Platform.env`). Its services need not run."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(env["MONGO_URI"], tz_aware=True)
    async with client, httpx.AsyncClient(timeout=30) as http:
        of = {service: client[f"usher_{service}"] for service in SERVICES}
        at = datetime.now(UTC)
        mails = await _mails(http, env)
        return Facts(
            at=at,
            showtimes=await _documents(of["inventory"], "showtimes"),
            shown=await _documents(of["realtime"], "showtimes"),
            occupancies=await _documents(of["catalog"], "occupancies"),
            bookings=await _documents(of["booking"], "bookings"),
            uses=await _documents(of["booking"], "promotion_uses"),
            payments=await _documents(of["payment"], "payments"),
            gift_cards=await _documents(of["payment"], "gift_cards"),
            webhooks=await _documents(of["payment"], "webhook_events"),
            messages=await _documents(of["notifier"], "messages"),
            unsent={name: entries async for name, entries in _unsent(of)},
            intents={intent["id"]: intent async for intent in _stripe(http, env, "payment_intents")},
            refunds={refund["id"]: refund async for refund in _stripe(http, env, "refunds")},
            disputes={dispute["id"]: dispute async for dispute in _stripe(http, env, "disputes")},
            queues=await _queues(env["RABBITMQ_URI"]),
            replicas=await _replicas(http, env),
            mails=Counter(_message_key(mail) for mail in mails),
            mailbox_since=min((datetime.fromisoformat(mail["time"]) for mail in mails), default=at),
        )


async def _documents(database: AsyncDatabase[Document], collection: str) -> Documents:
    return {document["_id"]: document async for document in database[collection].find()}


async def _unsent(of: Mapping[str, AsyncDatabase[Document]]) -> AsyncIterator[tuple[str, list[Document]]]:
    """Return the events in all outboxes."""
    for database in of.values():
        for collection in await database.list_collection_names():
            async for document in database[collection].find({"outbox.0": {"$exists": True}}, {"outbox": 1}):
                yield f"{database.name}.{collection} {document['_id']}", document["outbox"]


async def _stripe(http: httpx.AsyncClient, env: Mapping[str, str], kind: str) -> AsyncIterator[Document]:
    """Return all Stripe objects of a kind, page by page."""
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
    """Return the ready messages of each queue of the topology, each retry tier and each dead-letter queue."""
    names = [name(service) for service in topology.CONSUMES for name in QUEUE_NAMES]
    names += [topology.retry_queue_name(each, seconds) for each in topology.CONSUMES for seconds in RETRY_TIERS_S]
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        counts: dict[str, int] = {}
        for name in names:
            queue = await channel.declare_queue(name, passive=True)
            counts[name] = queue.declaration_result.message_count or 0
        return counts


async def _replicas(http: httpx.AsyncClient, env: Mapping[str, str]) -> dict[str, Replica]:
    """Read the metrics of the services' processes."""
    ports = {name: port for name, port in env.items() if REPLICA_PORT.fullmatch(name)}
    return {name: await _replica(http, port) for name, port in ports.items()}


async def _replica(http: httpx.AsyncClient, port: str) -> Replica:
    text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    value: dict[str, str] = dict(re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE))
    return Replica(
        started_at=datetime.fromtimestamp(float(value["process_start_time_seconds"]), UTC),
        in_hand=int(float(value.get("usher_events_in_hand", 0))),
        unacknowledged=int(float(value.get("usher_events_unacknowledged", 0))),
        oldest_s=float(value.get("usher_event_oldest_unacknowledged_seconds", 0)),
    )


async def _mails(http: httpx.AsyncClient, env: Mapping[str, str]) -> list[Document]:
    """Return the mails in the mailbox. The `time` of a mail is when its message was queued, in whole seconds."""
    return (await http.get(f"{env['MAILBOX_URL']}/email")).raise_for_status().json()


def _message_key(mail: Document) -> str:
    """Return the message's key in notifier. All its copies have the same Message-ID."""
    return mail["messageId"].strip("<>").rpartition("@")[0]
