"""Reads that all collections share.

Lists for visitors are read as rows, some fields as dicts, because parsing whole documents would take most of their
time. Everything else is read as objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pymongo
from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from pymongo import IndexModel

from catalog.model.problems import NotFound

A = TypeVar("A", bound=Aggregate)


def index(*keys: str, **options: Any) -> IndexModel:
    """An ascending index."""
    return IndexModel([(key, pymongo.ASCENDING) for key in keys], **options)


async def existing(collection: Collection[A], kind: str, document_id: str) -> A:
    """The document with this id. Raises NotFound, which calls it a `kind`."""
    if found := await collection.get(document_id):
        return found
    raise NotFound(f"There is no {kind} {document_id}.")


async def page(
    collection: Collection[A],
    where: Mapping[str, Any],
    *,
    by: str,
    after: tuple[Any, str] | None,
    limit: int,
    without: Sequence[str] = (),
    descending: bool = False,
    hint: str | None = None,
) -> list[Row]:
    """Up to `limit` documents in the order of `by` and id, starting after that position, without some fields.

    `hint` names the index to use.
    """
    direction, beyond = (-1, "$lt") if descending else (1, "$gt")
    conditions: list[Mapping[str, Any]] = [where] if where else []
    if after:
        # The first condition bounds the index scan, the second one skips rows with the same value.
        conditions += [{by: {f"{beyond}e": after[0]}}, {"$or": [{by: {beyond: after[0]}}, {"_id": {beyond: after[1]}}]}]
    found = collection.rows(
        {"$and": conditions} if conditions else {},
        dict.fromkeys(("outbox", *without), 0),
        sort=[(by, direction), ("_id", direction)],
        limit=limit,
        hint=hint,
    )
    return [row async for row in found]
