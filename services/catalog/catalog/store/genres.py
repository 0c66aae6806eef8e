"""The genres that films may have: categories that staff manage."""

from collections.abc import Collection
from datetime import timedelta

from chassis.clock import now
from chassis.outbox import Aggregate
from contracts.types import Moment

from catalog.model.problems import GenreInUse, GenreUnknown, NotFound
from catalog.store.movies import Movie
from catalog.store.reading import Document

WRITTEN_WITHIN = timedelta(minutes=1)
"""Longer than any request may take from naming its genres to having written its film."""
NAMED = 5
"""So many films are named when a genre cannot be removed."""


class Genre(Aggregate):
    """A genre. Its id is its code, `film-noir`. `named_at` is when a film that is to have it was last about to be
    written; one that is `retired` is just being removed.
    """

    name: str
    named_at: Moment | None = None
    retired: bool = False

    class Settings:
        name = "genres"


async def genres() -> list[Document]:
    """Every genre by its code."""
    return await Genre.collection().find({"retired": False}, {"name": 1}).sort("_id").to_list()


async def claim_genres(codes: Collection[str]) -> None:
    """Before a film is written: none of its genres can be removed for a while. Raises GenreUnknown."""
    wanted = {"_id": {"$in": list(codes)}, "retired": False}
    claimed = await Genre.collection().update_many(wanted, {"$set": {"named_at": now()}})
    if claimed.matched_count < len(set(codes)):
        unknown = sorted(await missing_genres(codes))
        raise GenreUnknown(f"There is no genre {', '.join(unknown)}.", genres=unknown)


async def missing_genres(codes: Collection[str]) -> set[str]:
    """Which of these genres there are not."""
    wanted = {"_id": {"$in": list(codes)}, "retired": False}
    return set(codes) - {genre["_id"] async for genre in Genre.collection().find(wanted, {"_id": 1})}


async def name_genre(code: str, name: str) -> None:
    """Enter a genre, or call it something else."""
    await Genre.commit({"_id": code}, {"$set": {"name": name, "retired": False}}, upsert=True)


async def remove_genre(code: str) -> None:
    """Remove a genre that no film has. Raises NotFound and GenreInUse.

    It is retired first, which no film that is just being written allows and none that comes later: so whoever has it
    can be found by looking.
    """
    idle = {"$not": {"$gt": now() - WRITTEN_WITHIN}}
    if not await Genre.commit({"_id": code, "retired": False, "named_at": idle}, {"$set": {"retired": True}}):
        if await Genre.collection().find_one({"_id": code}, {"_id": 1}):
            raise GenreInUse("A film is just getting this genre, or got it a minute ago.")
        raise NotFound(f"There is no genre {code}.")
    having = Movie.collection().find({"genres": code, "deleted": False}, {"title": 1})
    films = await having.sort([("sort_title", 1), ("_id", 1)]).limit(NAMED).to_list()
    if films:
        await Genre.commit({"_id": code}, {"$set": {"retired": False}})
        titles = [film["title"] for film in films]
        raise GenreInUse(f"Films have this genre: {', '.join(titles)}{' …' if len(titles) == NAMED else ''}.")
    await Genre.collection().delete_one({"_id": code, "retired": True})
