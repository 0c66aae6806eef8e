"""Genres of films, managed by staff."""

from collections.abc import Iterable
from datetime import timedelta

from chassis.clock import now
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.types import Moment

from catalog.model.problems import GenreInUse, GenreUnknown, NotFound
from catalog.store.movies import movies

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


genres = Collection(Genre)


async def all_genres() -> list[Genre]:
    """All genres, sorted by code."""
    return [genre async for genre in genres.find({"retired": False}, sort=[("_id", 1)])]


async def claim_genres(codes: Iterable[str]) -> None:
    """Protect genres from removal for a while, before a film with them is written. Raises GenreUnknown."""
    wanted = set(codes)
    claimed = await genres.update_many({"_id": {"$in": list(wanted)}, "retired": False}, {"$set": {"named_at": now()}})
    # A claim in the same millisecond changes nothing, so fewer may have been changed than exist.
    if claimed < len(wanted) and (unknown := sorted(await missing_genres(wanted))):
        raise GenreUnknown(f"There is no genre {', '.join(unknown)}.", genres=unknown)


async def missing_genres(codes: Iterable[str]) -> set[str]:
    """The unknown ones among these genres."""
    wanted = set(codes)
    known = genres.rows({"_id": {"$in": list(wanted)}, "retired": False}, ["_id"])
    return wanted - {genre["_id"] async for genre in known}


async def name_genre(code: str, name: str) -> None:
    """Add or rename a genre."""
    await genres.update({"_id": code}, {"$set": {"name": name, "retired": False}}, upsert=True)


async def remove_genre(code: str) -> None:
    """Remove a genre that no film has. Raises NotFound and GenreInUse.

    It is retired first. That fails while a film with it is being written, and later films cannot use it. So a query
    then finds every film that has it.
    """
    idle = {"$not": {"$gt": now() - WRITTEN_WITHIN}}
    if not await genres.update({"_id": code, "retired": False, "named_at": idle}, {"$set": {"retired": True}}):
        if await genres.exists({"_id": code}):
            raise GenreInUse("A film with this genre is being saved, or was saved a minute ago.")
        raise NotFound(f"There is no genre {code}.")
    where, order = {"genres": code, "deleted": False}, [("sort_title", 1), ("_id", 1)]
    titles = [movie["title"] async for movie in movies.rows(where, ["title"], sort=order, limit=NAMED)]
    if titles:
        await genres.update({"_id": code}, {"$set": {"retired": False}})
        raise GenreInUse(f"Films have this genre: {', '.join(titles)}{' …' if len(titles) == NAMED else ''}.")
    await genres.delete({"_id": code, "retired": True})
