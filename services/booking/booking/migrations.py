"""Schema and migrations of booking's database: see chassis.mongo.migrations."""

from datetime import UTC, datetime

import jwt
from chassis import privacy
from chassis.mongo.migrations import BATCH, Database, Migration, Schema, delete_in_batches
from pymongo import UpdateOne

from booking import store


async def remove_held_bookings(database: Database) -> int:
    """Delete `held` bookings. Since 2026-12 a booking starts with its checkout; the claim is enough to check out."""
    return await delete_in_batches(database.bookings, {"state": "held"})


async def remove_clear_ticket_key(database: Database) -> int:
    """Remove the clear text of the ticket key, which a service of this version has encrypted beside it."""
    encrypted = {"sealed_pem": {"$type": "string"}, "pem": {"$exists": True}}
    return (await database.ticket_keys.update_many(encrypted, {"$unset": {"pem": ""}})).modified_count


async def remove_ticket_codes(database: Database) -> int:
    """Remove the QR texts of tickets, which the service signs when it shows them. Keeps the end of their signatures."""
    removed = 0
    while stored := await database.bookings.find({"tickets.qr": {"$gt": ""}}, {"tickets": 1}).to_list(BATCH):
        changes = [
            UpdateOne(
                {"_id": booking["_id"]},
                {"$set": {"tickets.$[].qr": "", "tickets_valid_until": _end_of(booking["tickets"][0]["qr"])}},
            )
            for booking in stored
        ]
        removed += (await database.bookings.bulk_write(changes, ordered=False)).modified_count
    return removed


def _end_of(code: str) -> datetime:
    claims = jwt.decode(code, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"], UTC)


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[
        Migration("2026-12-remove-held-bookings", "expand", remove_held_bookings),
        Migration("2026-12-remove-clear-ticket-key", "contract", remove_clear_ticket_key),
        Migration("2026-12-remove-ticket-codes", "contract", remove_ticket_codes),
    ],
)
