"""What booking's database needs before this version runs on it: see chassis.migrations."""

from chassis import privacy
from chassis.migrations import Database, Migration, Schema, delete_in_batches

from booking import store


async def remove_held_bookings(database: Database) -> int:
    """A booking begins with its checkout; it used to begin as `held` before. The customer checks out with the claim."""
    return await delete_in_batches(database.bookings, {"state": "held"})


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[Migration("2026-12-remove-held-bookings", "expand", remove_held_bookings)],
)
