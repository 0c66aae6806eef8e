"""The words that films are found by, with their pieces, so that a word typed badly finds the one that was meant."""

from collections.abc import Iterable

from beanie import Document as Stored
from pymongo import UpdateOne

from catalog.model.search import grams, typos, typos_allowed
from catalog.store.reading import index

CANDIDATES, SUGGESTIONS = 100, 10


class Word(Stored):
    """A word of some film. One that no film has any more stays and finds nothing."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    grams: list[str]

    class Settings:
        name = "words"
        indexes = [index("grams")]


async def learn(words: Iterable[str]) -> None:
    """Enter words that are not there yet."""
    writes = [UpdateOne({"_id": word}, {"$setOnInsert": {"grams": grams(word)}}, upsert=True) for word in words]
    if writes:
        await Word.get_pymongo_collection().bulk_write(writes, ordered=False)


async def meant_by(typed: str) -> list[str]:
    """The words nearest to one that was typed, or just begun, with a typo; none when nothing is near."""
    allowed, pieces = typos_allowed(typed), grams(typed)
    if not allowed:
        return []
    found = await Word.get_pymongo_collection().aggregate(
        [
            {"$match": {"grams": {"$in": pieces}}},
            {"$project": {"shared": {"$size": {"$setIntersection": ["$grams", pieces]}}}},
            {"$sort": {"shared": -1, "_id": 1}},
            {"$limit": CANDIDATES},
        ]
    )
    distances = {word["_id"]: typos(typed, word["_id"]) for word in await found.to_list()}
    nearest = min(distances.values(), default=allowed + 1)
    return [word for word, distance in distances.items() if distance == nearest <= allowed][:SUGGESTIONS]
