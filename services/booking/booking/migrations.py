"""Schema and migrations of booking's database: see chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Database, Migration, Schema, delete_in_batches

from booking import store


async def remove_held_bookings(database: Database) -> int:
    """Delete `held` bookings. Since 2026-12 a booking starts with its checkout; the claim is enough to check out."""
    return await delete_in_batches(database.bookings, {"state": "held"})


async def remove_clear_ticket_key(database: Database) -> int:
    """Remove the clear text of the ticket key, which a service of this version has encrypted beside it."""
    encrypted = {"sealed_pem": {"$type": "string"}, "pem": {"$exists": True}}
    return (await database.ticket_keys.update_many(encrypted, {"$unset": {"pem": ""}})).modified_count


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[
        Migration("2026-12-remove-held-bookings", "expand", remove_held_bookings),
        Migration("2026-12-remove-clear-ticket-key", "contract", remove_clear_ticket_key),
    ],
)
