"""The service's own MongoDB database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from beanie import init_beanie
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

from chassis.mongo import migrations
from chassis.mongo.migrations import Database, Schema
from chassis.observability import telemetry
from chassis.settings import ServiceSettings

log = structlog.get_logger()


def is_outage(error: Exception) -> bool:
    """Whether the error is temporary: MongoDB was unreachable, too slow or shutting down.

    After such an error it is unknown whether a write was applied; its guard makes it safe to repeat. A server that
    shuts down marks the error of a write that it could not confirm with a label.
    """
    if isinstance(error, ConnectionFailure):
        return True
    return isinstance(error, PyMongoError) and (error.timeout or error.has_error_label("RetryableWriteError"))


@asynccontextmanager
async def connected(settings: ServiceSettings, schema: Schema) -> AsyncIterator[Database]:
    """Wait for MongoDB, bind the documents to the service's database and check that it is migrated.

    Writes are acknowledged by a majority and journaled, so a confirmed write survives a crash. The time limit of the
    settings applies to every operation, except inside `pymongo.timeout(0)`.
    """
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        settings.mongo_uri,
        tz_aware=True,
        appname=f"usher-{settings.service}",
        timeoutMS=settings.mongo_timeout_ms,
        w="majority",
        journal=True,
        event_listeners=telemetry.database_listeners(),
    )
    try:
        await wait_until_writable(client)
        database = client[settings.database]
        await migrations.ensure_ready(database, schema, f"python -m chassis.migrate {settings.service}")
        await init_beanie(database, document_models=list(schema.documents), skip_indexes=True)
        yield database
    finally:
        await client.close()


async def wait_until_writable(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Wait for a primary, because a replica set that is being initiated has none yet."""
    for attempt in range(60):
        try:
            hello = await client.admin.command("hello")
        except PyMongoError as error:
            log.info("waiting_for_mongodb", attempt=attempt, reason=type(error).__name__)
        else:
            if hello.get("isWritablePrimary"):
                return
        await asyncio.sleep(0.25)
    raise TimeoutError("MongoDB has no writable primary")
