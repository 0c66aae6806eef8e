"""Imports of films, with their items and results.

A service or a command claims an import and processes a few items at a time; after a crash another one claims it.
Items are processed in any order and perhaps twice: importing a film a second time
changes nothing, and only the first outcome is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from beanie import Document as Stored
from chassis.clock import now
from contracts.types import Moment
from pymongo import InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from catalog.model.imports import Outcome, ProviderName, Result
from catalog.model.problems import NotFound
from catalog.store.reading import Document, index

KEPT = timedelta(days=90)
CLAIMED_FOR = timedelta(seconds=60)
"""Longer than a step with a slow provider."""
ENTERED_AT_ONCE, DUPLICATE_KEY = 500, 11000
OPEN = {"$in": ["listing", "working"]}
State = Literal["receiving", "listing", "working", "done", "failed"]


class Import(Stored):
    """An import. `receiving`: its items are being inserted; `listing`: the provider's list is still to be read.

    `fault` is the reason of a failure, or of a wait.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    provider: ProviderName
    source: dict[str, Any]
    dry_run: bool
    state: State
    requested_by: str
    begun_at: Moment
    moved_at: Moment
    done_at: Moment | None = None
    fault: str | None = None
    claimed_by: str | None = None
    claimed_until: Moment
    expires_at: Moment

    class Settings:
        name = "imports"
        indexes = [
            index("state", "begun_at"),
            index("begun_at", "_id"),
            index("expires_at", expireAfterSeconds=0),
        ]


class ImportItem(Stored):
    """One film of an import: the provider's id of it, or the provider's data as JSON."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    import_id: str
    number: int
    ref: str
    row: str | None = None
    outcome: Outcome | None = None
    movie_id: str | None = None
    changes: dict[str, list[Any]] = {}
    reason: str | None = None
    expires_at: Moment

    class Settings:
        name = "import_items"
        indexes = [
            index("import_id", "number", "_id"),
            index("import_id", "outcome", "number", "_id"),
            index("expires_at", expireAfterSeconds=0),
        ]


_imports, _items = Import.get_pymongo_collection, ImportItem.get_pymongo_collection


async def begin_import(
    import_id: str, provider: ProviderName, source: Mapping[str, Any], *, dry_run: bool, requested_by: str, state: State
) -> None:
    """Insert an import."""
    moment = now()
    begun = {"begun_at": moment, "moved_at": moment, "claimed_until": moment, "expires_at": moment + KEPT}
    known = {"_id": import_id, "provider": provider, "source": dict(source), "dry_run": dry_run, "state": state}
    await _imports().insert_one({**known, "requested_by": requested_by, **begun})


async def enter_items(import_id: str, items: Sequence[tuple[str, str | None]]) -> None:
    """Insert the items of an import, and make it ready for processing. Repeating it adds nothing."""
    shared = {"import_id": import_id, "outcome": None, "expires_at": now() + KEPT}
    fresh = [
        InsertOne({"_id": f"{import_id}:{number}", "number": number, "ref": ref, "row": row, **shared})
        for number, (ref, row) in enumerate(items, 1)
    ]
    for at in range(0, len(fresh), ENTERED_AT_ONCE):
        try:
            await _items().bulk_write(fresh[at : at + ENTERED_AT_ONCE], ordered=False)
        except BulkWriteError as error:
            if any(failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise
    await _imports().update_one(
        {"_id": import_id, "state": {"$in": ["receiving", "listing"]}},
        {"$set": {"state": "working", "moved_at": now(), "fault": None}},
    )


async def claim_import(owner: str, import_id: str | None = None) -> Document | None:
    """Claim the oldest unclaimed import, or the given one, for a while; None when there is none."""
    moment = now()
    free = {"state": OPEN, "$or": [{"claimed_by": owner}, {"claimed_until": {"$lte": moment}}]}
    return await _imports().find_one_and_update(
        free | ({"_id": import_id} if import_id else {}),
        {"$set": {"claimed_by": owner, "claimed_until": moment + CLAIMED_FOR}},
        sort=None if import_id else [("begun_at", 1)],
        return_document=ReturnDocument.AFTER,
    )


async def postpone_import(import_id: str, until: datetime, fault: str) -> None:
    """Postpone an import that cannot continue now."""
    await _imports().update_one(
        {"_id": import_id, "state": OPEN}, {"$set": {"claimed_by": None, "claimed_until": until, "fault": fault}}
    )


async def end_import(import_id: str, fault: str | None = None) -> None:
    """Mark an import as done or failed."""
    end = {"state": "failed" if fault else "done", "fault": fault, "done_at": now()}
    await _imports().update_one({"_id": import_id, "state": OPEN}, {"$set": end})


async def waiting_items(import_id: str, limit: int) -> list[Document]:
    """The next waiting items."""
    found = _items().find({"import_id": import_id, "outcome": None})
    return await found.sort([("number", 1), ("_id", 1)]).limit(limit).to_list()


async def note_results(import_id: str, results: Sequence[tuple[str, Result]]) -> None:
    """Store the results of items; the first outcome counts."""
    writes = [
        UpdateOne({"_id": item_id, "outcome": None}, {"$set": result._asdict() | {"row": None}})
        for item_id, result in results
    ]
    await _items().bulk_write(writes, ordered=False)
    await _imports().update_one({"_id": import_id}, {"$set": {"moved_at": now(), "fault": None}})


async def import_of(import_id: str) -> Document:
    """An import. Raises NotFound."""
    if found := await _imports().find_one({"_id": import_id}):
        return found
    raise NotFound(f"There is no import {import_id}.")


async def imports_page(after: tuple[datetime, str] | None, limit: int) -> list[Document]:
    """Up to `limit` imports, the newest first."""
    beyond: Document = {}
    if after:
        same = {"begun_at": after[0], "_id": {"$lt": after[1]}}
        beyond = {"begun_at": {"$lte": after[0]}, "$or": [{"begun_at": {"$lt": after[0]}}, same]}
    return await _imports().find(beyond).sort([("begun_at", -1), ("_id", -1)]).limit(limit).to_list()


async def counts_of(import_ids: Sequence[str]) -> dict[str, dict[str | None, int]]:
    """The number of items by import and outcome; waiting items have the outcome None."""
    stages = [
        {"$match": {"import_id": {"$in": list(import_ids)}}},
        {"$group": {"_id": {"import_id": "$import_id", "outcome": "$outcome"}, "count": {"$sum": 1}}},
    ]
    counts: dict[str, dict[str | None, int]] = {each: {} for each in import_ids}
    async for group in await _items().aggregate(stages):
        counts[group["_id"]["import_id"]][group["_id"].get("outcome")] = group["count"]
    return counts


async def items_page(import_id: str, outcome: Outcome | None, after: int | None, limit: int) -> list[Document]:
    """Up to `limit` items of an import by number, those with an outcome or all."""
    where: Document = {"import_id": import_id, "number": {"$gt": after or 0}}
    found = _items().find(where | ({"outcome": outcome} if outcome else {}), {"row": 0})
    return await found.sort([("number", 1), ("_id", 1)]).limit(limit).to_list()
