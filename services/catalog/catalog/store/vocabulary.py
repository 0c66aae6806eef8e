"""The vocabulary of the search, with three-letter grams for finding the word that a typo means."""

from collections.abc import Iterable

from beanie import Document
from chassis.mongo.collection import Collection
from pymongo import UpdateOne

from catalog.model.search import grams, typos, typos_allowed
from catalog.store.reading import index

CANDIDATES, SUGGESTIONS = 100, 10


class Word(Document):
    """A word of a film. A word that is no longer used stays and finds nothing."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    grams: list[str]

    class Settings:
        name = "words"
        indexes = [index("grams")]


vocabulary = Collection(Word)


async def add_words(words: Iterable[str]) -> None:
    """Insert new words."""
    await vocabulary.bulk_write(word_inserts(words))


def word_inserts(words: Iterable[str]) -> list[UpdateOne]:
    """The writes that insert new words."""
    return [UpdateOne({"_id": word}, {"$setOnInsert": {"grams": grams(word)}}, upsert=True) for word in words]


async def similar_words(typed: str) -> list[str]:
    """The known words nearest to a typed word or prefix; none when nothing is similar."""
    allowed, pieces = typos_allowed(typed), grams(typed)
    if not allowed:
        return []
    candidates = vocabulary.aggregate([
        {"$match": {"grams": {"$in": pieces}}},
        {"$project": {"shared": {"$size": {"$setIntersection": ["$grams", pieces]}}}},
        {"$sort": {"shared": -1, "_id": 1}},
        {"$limit": CANDIDATES},
    ])  # fmt: skip
    distances = {word["_id"]: typos(typed, word["_id"]) async for word in candidates}
    nearest = min(distances.values(), default=allowed + 1)
    return [word for word, distance in distances.items() if distance == nearest <= allowed][:SUGGESTIONS]
