"""What inventory's database needs before this version runs on it: see chassis.migrations."""

from chassis.migrations import Database, Migration, Schema, update_in_batches

from inventory import store


async def publish_seat_maps(database: Database) -> int:
    """Catalog and realtime keep copies of whole seat maps; they used to follow single holds and sales."""
    return await update_in_batches(database.showtimes, {"is_stale": {"$ne": True}}, {"$set": {"is_stale": True}})


SCHEMA = Schema(store.DOCUMENTS, migrations=[Migration("2026-12-publish-seat-maps", "expand", publish_seat_maps)])
