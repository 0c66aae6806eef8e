"""Indexes of a collection, compared by their definition: keys and options, not names.

MongoDB refuses an index whose name another definition has, so a changed definition gets a name of its own.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection

NEVER_S = 2**31 - 1
"""MongoDB cannot take a lifetime back from an index. Documents that live so long never expire."""
_OPTIONS = frozenset({"unique", "sparse", "partialFilterExpression"})
_APART = frozenset({"key", "name", "expireAfterSeconds", "v", "ns", "background", "hidden", "2dsphereIndexVersion"})


@dataclass(frozen=True)
class Index:
    """An index that the code wants or the database has. `lives_s`: seconds after which its documents expire."""

    name: str
    definition: str
    lives_s: int
    model: Mapping[str, Any]

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Self:
        """An index from its description as MongoDB gives and takes it."""
        keys = [(key, int(order) if isinstance(order, float) else order) for key, order in model["key"].items()]
        options = {name: value for name, value in model.items() if name not in _APART and value is not False}
        definition = json.dumps([keys, options], sort_keys=True, default=str)
        return cls(model["name"], definition, int(model.get("expireAfterSeconds", NEVER_S)), model)

    @classmethod
    def wanted(cls, model: IndexModel) -> Self:
        """An index from a document's settings. Raises ValueError for an option that MongoDB stores in another form."""
        if unknown := model.document.keys() - _OPTIONS - _APART:
            raise ValueError(f"index {model.document['name']}: {', '.join(sorted(unknown))} cannot be compared")
        return cls.of(model.document)

    def named_apart(self, names: Iterable[str]) -> IndexModel:
        """The index to create where these names are taken."""
        name = self.name
        if name in names:
            name = f"{name}_{hashlib.sha256(self.definition.encode()).hexdigest()[:8]}"
        options = {option: value for option, value in self.model.items() if option not in {"key", "name"}}
        return IndexModel(list(self.model["key"].items()), name=name, **options)


async def stored(collection: AsyncCollection[dict[str, Any]]) -> list[Index]:
    """The indexes that a collection has, without that of `_id`."""
    found = [Index.of(model) async for model in await collection.list_indexes()]
    return [index for index in found if index.name != "_id_"]


def missing(wanted: Sequence[Index], has: Sequence[Index]) -> list[Index]:
    """The wanted indexes whose definition the collection does not have."""
    definitions = {index.definition for index in has}
    return [index for index in wanted if index.definition not in definitions]


async def create(collection: AsyncCollection[dict[str, Any]], wanted: Sequence[Index]) -> list[str]:
    """Create what is missing, and give the indexes that are there the wanted lifetime. Returns what was done."""
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
    """Drop the retired indexes that nothing wants any more. Returns what was done."""
    definitions = {index.definition for index in retired} - {index.definition for index in wanted}
    dropped = [index.name for index in await stored(collection) if index.definition in definitions]
    for name in dropped:
        await collection.drop_index(name)
    return [f"index {collection.name}.{name} dropped" for name in dropped]
