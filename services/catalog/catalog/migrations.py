"""Schema and migrations of catalog's database: see chassis.mongo.migrations."""

from collections.abc import Mapping
from typing import Any

from chassis import privacy
from chassis.mongo.migrations import Database, Migration, Schema
from contracts.types import hidden_in

from catalog import store

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
        hidden = hidden_in(value)
        return "".join(each for each in value if each not in hidden).strip() or "?" if hidden else value
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


SCHEMA = Schema(
    [*store.DOCUMENTS, *privacy.DOCUMENTS], migrations=[Migration("2026-12-clean-names", "expand", clean_names)]
)
