"""Genres of films, managed by staff."""

from collections.abc import Collection
from datetime import timedelta

from chassis.clock import now
from chassis.mongo.outbox import Aggregate
from contracts.types import Moment

from catalog.model.problems import GenreInUse, GenreUnknown, NotFound
from catalog.store.movies import Movie
from catalog.store.reading import Document

WRITTEN_WITHIN = timedelta(minutes=1)
"""Longer than a request may take between claiming its genres and writing its film."""
NAMED = 5
"""The number of films named when a genre cannot be removed."""


class Genre(Aggregate):
    """A genre. Its id is its code, `film-noir`. `named_at` is when a write of a film with this genre last started;
    a `retired` genre is being removed.
    """

    name: str
    named_at: Moment | None = None
    retired: bool = False

    class Settings:
        name = "genres"


async def genres() -> list[Document]:
    """All genres, sorted by code."""
    return await Genre.collection().find({"retired": False}, {"name": 1}).sort("_id").to_list()


async def claim_genres(codes: Collection[str]) -> None:
    """Protect genres from removal for a while, before a film with them is written. Raises GenreUnknown."""
    wanted = {"_id": {"$in": list(codes)}, "retired": False}
    claimed = await Genre.collection().update_many(wanted, {"$set": {"named_at": now()}})
    if claimed.matched_count < len(set(codes)):
        unknown = sorted(await missing_genres(codes))
        raise GenreUnknown(f"There is no genre {', '.join(unknown)}.", genres=unknown)


async def missing_genres(codes: Collection[str]) -> set[str]:
    """The unknown ones among these genres."""
    wanted = {"_id": {"$in": list(codes)}, "retired": False}
    return set(codes) - {genre["_id"] async for genre in Genre.collection().find(wanted, {"_id": 1})}


async def name_genre(code: str, name: str) -> None:
    """Add or rename a genre."""
    await Genre.commit({"_id": code}, {"$set": {"name": name, "retired": False}}, upsert=True)


async def remove_genre(code: str) -> None:
    """Remove a genre that no film has. Raises NotFound and GenreInUse.

    It is retired first. That fails while a film with it is being written, and later films cannot use it. So a query
    then finds every film that has it.
    """
    idle = {"$not": {"$gt": now() - WRITTEN_WITHIN}}
    if not await Genre.commit({"_id": code, "retired": False, "named_at": idle}, {"$set": {"retired": True}}):
        if await Genre.collection().find_one({"_id": code}, {"_id": 1}):
            raise GenreInUse("A film with this genre is being saved, or was saved a minute ago.")
        raise NotFound(f"There is no genre {code}.")
    having = Movie.collection().find({"genres": code, "deleted": False}, {"title": 1})
    films = await having.sort([("sort_title", 1), ("_id", 1)]).limit(NAMED).to_list()
    if films:
        await Genre.commit({"_id": code}, {"$set": {"retired": False}})
        titles = [film["title"] for film in films]
        raise GenreInUse(f"Films have this genre: {', '.join(titles)}{' …' if len(titles) == NAMED else ''}.")
    await Genre.collection().delete_one({"_id": code, "retired": True})
