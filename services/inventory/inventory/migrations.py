"""Migrations of inventory's database. See chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Database, Migration, Schema, update_in_batches

from inventory import store


async def publish_seat_maps(database: Database) -> int:
    """Publish all seat maps once: catalog and realtime store copies of them instead of following holds and sales."""
    return await update_in_batches(database.showtimes, {"is_stale": {"$ne": True}}, {"$set": {"is_stale": True}})


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[Migration("2026-12-publish-seat-maps", "expand", publish_seat_maps)],
)
