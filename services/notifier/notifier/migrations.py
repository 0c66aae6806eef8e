"""The indexes and migrations that this version needs in the notifier's database: see chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Database, Migration, Schema, update_in_batches

from notifier import store


async def remove_ticket_codes(database: Database) -> int:
    """Remove the content of mails that are sent or have failed and contain the QR texts of tickets in the clear."""
    where = {"kind": "confirmation", "state": {"$in": ["sent", "failed"]}, "event": {"$regex": '"qr":"[^"]'}}
    return await update_in_batches(database.messages, where, {"$set": {"event": "{}"}})


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[Migration("2026-12-remove-ticket-codes", "contract", remove_ticket_codes)],
)
