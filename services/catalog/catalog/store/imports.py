"""Imports of films, with their items and results.

A service or a command claims an import and processes a few items at a time; after a crash another one claims it.
Items are processed in any order and perhaps twice: importing a film a second time
changes nothing, and only the first outcome is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from beanie import Document
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.collection import Collection, Row
from contracts.types import Moment
from pymongo import UpdateOne

from catalog.model.imports import Outcome, ProviderName, Result
from catalog.model.problems import NotFound
from catalog.store.reading import index

KEPT = timedelta(days=90)
CLAIMED_FOR = timedelta(seconds=60)
"""Longer than a step with a slow provider."""
ENTERED_AT_ONCE = 500
OPEN = {"$in": ["listing", "working"]}
State = Literal["receiving", "listing", "working", "done", "failed"]


class Import(Document):
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


class ImportItem(Document):
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


imports = Collection(Import)
items = Collection(ImportItem)


async def start_import(
    provider: ProviderName,
    source: Mapping[str, Any],
    rows: Sequence[tuple[str, str | None]] | None = None,
    *,
    dry_run: bool,
    requested_by: str,
) -> str:
    """Insert an import; returns its id. Without `rows`, see `enter_items`, the provider lists the films later."""
    moment = now()
    started = Import(
        id=new_id(),
        provider=provider,
        source=dict(source),
        dry_run=dry_run,
        state="listing" if rows is None else "receiving",
        requested_by=requested_by,
        begun_at=moment,
        moved_at=moment,
        claimed_until=moment,
        expires_at=moment + KEPT,
    )
    await imports.insert(started)
    if rows is not None:
        await enter_items(started.id, rows)
    return started.id


async def enter_items(import_id: str, rows: Sequence[tuple[str, str | None]]) -> None:
    """Insert the items of an import, each a `ref` and a `row`, and make it ready for processing. Repeating it adds
    nothing.
    """
    shared = {"import_id": import_id, "outcome": None, "expires_at": now() + KEPT}
    writes = [
        UpdateOne(
            {"_id": f"{import_id}:{number}"},
            {"$setOnInsert": {"number": number, "ref": ref, "row": row, **shared}},
            upsert=True,
        )
        for number, (ref, row) in enumerate(rows, 1)
    ]
    for at in range(0, len(writes), ENTERED_AT_ONCE):
        await items.bulk_write(writes[at : at + ENTERED_AT_ONCE])
    is_open = {"_id": import_id, "state": {"$in": ["receiving", "listing"]}}
    await imports.update(is_open, {"$set": {"state": "working", "moved_at": now(), "fault": None}})


async def claim_import(owner: str, import_id: str | None = None) -> Import | None:
    """Claim the oldest unclaimed import, or the given one, for a while; None when there is none."""
    moment = now()
    free: Row = {"state": OPEN, "$or": [{"claimed_by": owner}, {"claimed_until": {"$lte": moment}}]}
    claim = {"$set": {"claimed_by": owner, "claimed_until": moment + CLAIMED_FOR}}
    if import_id:
        return await imports.update_and_get({"_id": import_id, **free}, claim)
    while oldest := await imports.find_one(free, sort=[("begun_at", 1)]):
        if claimed := await imports.update_and_get({"_id": oldest.id, **free}, claim):
            return claimed
    return None


async def postpone_import(import_id: str, until: datetime, fault: str) -> None:
    """Postpone an import that cannot continue now."""
    await imports.update(
        {"_id": import_id, "state": OPEN}, {"$set": {"claimed_by": None, "claimed_until": until, "fault": fault}}
    )


async def end_import(import_id: str, fault: str | None = None) -> None:
    """Mark an import as done or failed."""
    end = {"state": "failed" if fault else "done", "fault": fault, "done_at": now()}
    await imports.update({"_id": import_id, "state": OPEN}, {"$set": end})


async def waiting_items(import_id: str, limit: int) -> list[ImportItem]:
    """The next waiting items."""
    where = {"import_id": import_id, "outcome": None}
    return [item async for item in items.find(where, sort=[("number", 1), ("_id", 1)], limit=limit)]


async def store_results(import_id: str, results: Sequence[tuple[str, Result]]) -> None:
    """Store the results of items; the first outcome counts."""
    await items.bulk_write([
        UpdateOne({"_id": item_id, "outcome": None}, {"$set": result._asdict() | {"row": None}})
        for item_id, result in results
    ])  # fmt: skip
    await imports.update({"_id": import_id}, {"$set": {"moved_at": now(), "fault": None}})


async def import_of(import_id: str) -> Import:
    """An import. Raises NotFound."""
    if found := await imports.get(import_id):
        return found
    raise NotFound(f"There is no import {import_id}.")


async def imports_page(after: tuple[datetime, str] | None, limit: int) -> list[Import]:
    """Up to `limit` imports, the newest first."""
    beyond: Row = {}
    if after:
        same = {"begun_at": after[0], "_id": {"$lt": after[1]}}
        beyond = {"begun_at": {"$lte": after[0]}, "$or": [{"begun_at": {"$lt": after[0]}}, same]}
    order = [("begun_at", -1), ("_id", -1)]
    return [each async for each in imports.find(beyond, sort=order, limit=limit)]


async def counts_of(import_ids: Sequence[str]) -> dict[str, dict[str | None, int]]:
    """The number of items by import and outcome; waiting items have the outcome None."""
    counts: dict[str, dict[str | None, int]] = {each: {} for each in import_ids}
    async for group in items.aggregate([
        {"$match": {"import_id": {"$in": list(import_ids)}}},
        {"$group": {"_id": {"import_id": "$import_id", "outcome": "$outcome"}, "count": {"$sum": 1}}},
    ]):  # fmt: skip
        counts[group["_id"]["import_id"]][group["_id"].get("outcome")] = group["count"]
    return counts


async def items_page(import_id: str, outcome: Outcome | None, after: int | None, limit: int) -> list[Row]:
    """Up to `limit` items of an import by number, those with an outcome or all."""
    where: Row = {"import_id": import_id, "number": {"$gt": after or 0}} | ({"outcome": outcome} if outcome else {})
    return [item async for item in items.rows(where, {"row": 0}, sort=[("number", 1), ("_id", 1)], limit=limit)]
