"""Schema and migrations of catalog's database: see chassis.mongo.migrations."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis import privacy
from chassis.clock import now
from chassis.mongo.migrations import Database, Migration, Schema
from chassis.mongo.outbox import entry_of
from contracts.catalog import ShowtimeScheduled
from contracts.types import clean_name, hidden_in

from catalog import store
from catalog.model.days import DAY_STARTS, business_day, occurrence_of
from catalog.model.search import SearchFields, search_fields
from catalog.store.vocabulary import word_inserts

RECENT_DAYS = 30
"""People ask about their bookings for some weeks after the showtime."""
FOUND_BY = ("title", "original_title", "other_titles", "directors", "cast", "crew", "genres")
NAMES = {
    "movies": ("title", "original_title", "other_titles", "certificate", "directors", "cast", "crew"),
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


async def fold_search_words(database: Database) -> int:
    """Compute again how films are found and sorted: earlier versions folded fewer letters, and stored no keys."""
    changed = 0
    async for film in database.movies.find({}, dict.fromkeys([*FOUND_BY, *SearchFields._fields], 1)):
        fields = search_fields(film)._asdict()
        if film | fields == film:
            continue
        await database.words.bulk_write(word_inserts(fields["words"]), ordered=False)
        same = {"_id": film["_id"], **{name: film[name] for name in FOUND_BY if name in film}}
        changed += (await database.movies.update_one(same, {"$set": fields})).modified_count
    return changed


async def publish_showtimes(database: Database) -> int:
    """Publish recent and future showtimes again, for booking: its earlier versions did not store the theater."""
    published, since = 0, now() - timedelta(days=RECENT_DAYS)
    async for showtime in database.showtimes.find({"state": "scheduled", "starts_at": {"$gte": since}}, {"outbox": 0}):
        event = ShowtimeScheduled.model_validate(showtime | {"showtime_id": showtime["_id"]})
        is_scheduled = {"_id": showtime["_id"], "state": "scheduled"}
        change = {"$push": {"outbox": entry_of(event)}, "$inc": {"version": 1}}
        published += (await database.showtimes.update_one(is_scheduled, change)).modified_count
    return published


async def assign_business_days(database: Database) -> int:
    """Assign future showtimes after midnight to the business day before, and say which of two equal times they are."""
    starts = {each["_id"]: each.get("day_starts", DAY_STARTS) async for each in database.theaters.find({})}
    wanted, changed = {"state": {"$in": ["draft", "scheduled"]}, "starts_at": {"$gte": now()}}, 0
    fields = ("starts_at", "time_zone", "theater_id", "local_date", "occurrence")
    async for showtime in database.showtimes.find(wanted, dict.fromkeys(fields, 1)):
        starts_at, zone = showtime["starts_at"], ZoneInfo(showtime["time_zone"])
        day = business_day(starts_at.astimezone(zone), starts.get(showtime["theater_id"], DAY_STARTS)).isoformat()
        which = occurrence_of(starts_at, zone)
        if (showtime["local_date"], showtime.get("occurrence")) != (day, which):
            same = {"_id": showtime["_id"], "starts_at": starts_at}
            change = {"$set": {"local_date": day, "occurrence": which}}
            changed += (await database.showtimes.update_one(same, change)).modified_count
    return changed


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS],
    migrations=[
        Migration("2026-12-clean-names", "expand", clean_names),
        Migration("2026-12-publish-showtimes", "contract", publish_showtimes),
        Migration("2026-12-fold-search-words", "contract", fold_search_words),
        Migration("2026-12-assign-business-days", "contract", assign_business_days),
    ],
)
