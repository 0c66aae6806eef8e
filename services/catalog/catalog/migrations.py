"""Schema and migrations of catalog's database: see chassis.mongo.migrations."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis import privacy
from chassis.clock import now
from chassis.mongo.migrations import Database, Migration, Schema
from chassis.mongo.outbox import entry_of
from contracts.catalog import ShowtimeScheduled
from contracts.types import clean_name, hidden_in

from catalog import store

RECENT_DAYS = 30
"""People ask about their bookings for some weeks after the showtime."""
NAMES = {
    "movies": ("title", "original_title", "certificate", "directors", "cast", "crew"),
    "reviews": ("headline",),
    "price_lists": ("name", "surcharges"),
}


async def clean_names(database: Database) -> int:
    """Remove invisible characters from names, which would make their documents unreadable: they are no longer valid."""
    changed = 0
    for collection, fields in NAMES.items():
        async for document in database[collection].find({}, dict.fromkeys(fields, 1)):
            before = {name: document[name] for name in fields if name in document}
            after = _cleaned(before)
            if after != before:
                same = {"_id": document["_id"], **before}
                changed += (await database[collection].update_one(same, {"$set": after})).modified_count
    return changed


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_name(value) or "?" if hidden_in(value) else value
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


async def publish_showtimes(database: Database) -> int:
    """Publish recent and future showtimes again, for booking: its earlier versions did not store the theater."""
    published, since = 0, now() - timedelta(days=RECENT_DAYS)
    async for showtime in database.showtimes.find({"state": "scheduled", "starts_at": {"$gte": since}}, {"outbox": 0}):
        event = ShowtimeScheduled.model_validate(showtime | {"showtime_id": showtime["_id"]})
        is_scheduled = {"_id": showtime["_id"], "state": "scheduled"}
        change = {"$push": {"outbox": entry_of(event)}, "$inc": {"version": 1}}
        published += (await database.showtimes.update_one(is_scheduled, change)).modified_count
    return published


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[
        Migration("2026-12-clean-names", "expand", clean_names),
        Migration("2026-12-publish-showtimes", "contract", publish_showtimes),
    ],
)
