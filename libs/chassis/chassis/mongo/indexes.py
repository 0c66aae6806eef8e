"""Indexes of a collection, compared by their definition (keys and options), not by name.

MongoDB rejects an index whose name belongs to another definition, so a changed definition gets a new name.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection

NEVER_S = 2**31 - 1
"""The lifetime for "no longer expires": MongoDB cannot remove a lifetime from an index."""
_OPTIONS = frozenset({"unique", "sparse", "partialFilterExpression"})
_APART = frozenset({"key", "name", "expireAfterSeconds", "v", "ns", "background", "hidden", "2dsphereIndexVersion"})


@dataclass(frozen=True)
class Index:
    """An index in the code or in the database. `lives_s`: seconds after which its documents expire."""

    name: str
    definition: str
    lives_s: int
    model: Mapping[str, Any]

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Self:
        """Create an Index from MongoDB's description of it."""
        keys = [(key, int(order) if isinstance(order, float) else order) for key, order in model["key"].items()]
        options = {name: value for name, value in model.items() if name not in _APART and value is not False}
        definition = json.dumps([keys, options], sort_keys=True, default=str)
        return cls(model["name"], definition, int(model.get("expireAfterSeconds", NEVER_S)), model)

    @classmethod
    def wanted(cls, model: IndexModel) -> Self:
        """Create an Index from a document's settings. Raises ValueError for options that MongoDB stores differently."""
        if unknown := model.document.keys() - _OPTIONS - _APART:
            raise ValueError(f"index {model.document['name']}: {', '.join(sorted(unknown))} cannot be compared")
        return cls.of(model.document)

    def named_apart(self, names: Iterable[str]) -> IndexModel:
        """Return the index to create in a collection where these names are taken."""
        name = self.name
        if name in names:
            name = f"{name}_{hashlib.sha256(self.definition.encode()).hexdigest()[:8]}"
        options = {option: value for option, value in self.model.items() if option not in {"key", "name"}}
        return IndexModel(list(self.model["key"].items()), name=name, **options)


async def stored(collection: AsyncCollection[dict[str, Any]]) -> list[Index]:
    """Return the indexes of a collection, except the one on `_id`."""
    found = [Index.of(model) async for model in await collection.list_indexes()]
    return [index for index in found if index.name != "_id_"]


def missing(wanted: Sequence[Index], has: Sequence[Index]) -> list[Index]:
    """Return the wanted indexes that the collection does not have."""
    definitions = {index.definition for index in has}
    return [index for index in wanted if index.definition not in definitions]


async def create(collection: AsyncCollection[dict[str, Any]], wanted: Sequence[Index]) -> list[str]:
    """Create the missing indexes and set the lifetime of existing ones. Returns the changes."""
    has = await stored(collection)
    models = [index.named_apart({each.name for each in has}) for index in missing(wanted, has)]
    if models:
        await collection.create_indexes(models)
    done = [f"index {collection.name}.{model.document['name']}" for model in models]
    lifetimes = {index.definition: index.lives_s for index in wanted}
    for index in has:
        lives_s = lifetimes.get(index.definition, index.lives_s)
        if lives_s != index.lives_s:
            change = {"name": index.name, "expireAfterSeconds": lives_s}
            await collection.database.command("collMod", collection.name, index=change)
            done.append(f"lifetime {collection.name}.{index.name}: {lives_s} s")
    return done


async def drop(
    collection: AsyncCollection[dict[str, Any]], retired: Sequence[Index], wanted: Sequence[Index]
) -> list[str]:
    """Drop the retired indexes that are not wanted. Returns the changes."""
    definitions = {index.definition for index in retired} - {index.definition for index in wanted}
    dropped = [index.name for index in await stored(collection) if index.definition in definitions]
    for name in dropped:
        await collection.drop_index(name)
    return [f"index {collection.name}.{name} dropped" for name in dropped]
