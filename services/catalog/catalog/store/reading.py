"""Reads that all collections share."""

from collections.abc import Mapping, Sequence
from typing import Any

import pymongo
from chassis.mongo.outbox import Aggregate
from pymongo import IndexModel

Document = dict[str, Any]


def index(*keys: str, **options: Any) -> IndexModel:
    """An ascending index."""
    return IndexModel([(key, pymongo.ASCENDING) for key in keys], **options)


async def ids_of(kind: type[Aggregate], ids: Sequence[str]) -> set[str]:
    """The existing ones among these ids."""
    return {document["_id"] async for document in kind.collection().find({"_id": {"$in": list(ids)}}, {"_id": 1})}


async def get(kind: type[Aggregate], document_id: str) -> Document | None:
    """One raw document without its outbox."""
    return await kind.collection().find_one({"_id": document_id}, {"outbox": 0})


async def page(
    kind: type[Aggregate],
    where: Mapping[str, Any],
    *,
    by: str,
    after: tuple[Any, str] | None,
    limit: int,
    without: Sequence[str] = (),
    descending: bool = False,
    hint: str | None = None,
) -> list[Document]:
    """Up to `limit` documents in the order of `by` and id, starting after that position, without some fields.

    `hint` names the index to use.
    """
    direction, beyond = (-1, "$lt") if descending else (1, "$gt")
    conditions: list[Mapping[str, Any]] = [where] if where else []
    if after:
        # The first condition bounds the index scan, the second one skips rows with the same value.
        conditions += [{by: {f"{beyond}e": after[0]}}, {"$or": [{by: {beyond: after[0]}}, {"_id": {beyond: after[1]}}]}]
    found = kind.collection().find({"$and": conditions} if conditions else {}, dict.fromkeys(("outbox", *without), 0))
    if hint:
        found = found.hint(hint)
    return await found.sort([(by, direction), ("_id", direction)]).limit(limit).to_list()
