"""Films: their documents and the writes that change them."""

from collections.abc import Mapping
from typing import Any

from chassis.clock import now
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.catalog import MovieChanged, MovieDeleted, MoviePublished
from contracts.types import Moment, Shape
from pymongo import IndexModel

from catalog.model.movies import CONTENT, Art, Film
from catalog.model.problems import NotFound
from catalog.model.ratings import Rating
from catalog.model.search import search_fields
from catalog.store.reading import index
from catalog.store.vocabulary import add_words

KINDS = ("poster", "backdrop")
PUBLISHED = frozenset({"title", "runtime_minutes", "certificate"})
"""The fields of a film that other services store."""
_FILTERS = ("deleted", "archived", "release_date", "showing_until", "certificate")
"""Fields in every sort index, so that the index alone decides which films match."""


def _where_set(place: str, **options: Any) -> IndexModel:
    return index(place, partialFilterExpression={place: {"$gt": ""}}, **options)


class PictureRef(Shape):
    """An uploaded picture: its id in `pictures`."""

    picture_id: str
    width: int
    height: int


class Counting(Shape):
    """A review that `rating` has counted, before the review itself records it."""

    review_id: str
    stars: int | None


class Figures(Rating):
    """A film's rating. `revision` counts its changes; see `store.ratings`."""

    revision: int = 0
    counting: Counting | None = None


class Movie(Aggregate, Film):
    """A film. Searches use `words` and `keys`; `showing_until` is the last start of its showtimes.

    `imported` is a provider's last data, so that the next import changes only what has changed there. Films from before
    2026-12 may have languages that are no longer accepted.
    """

    original_language: str
    languages: list[str] = []
    subtitles: list[str] = []

    art: Art | None = None
    poster: PictureRef | None = None
    backdrop: PictureRef | None = None
    showing_until: Moment | None = None
    rating: Figures = Figures()
    imported: dict[str, Any] = {}
    deleted: bool = False
    deleted_at: Moment | None = None
    sort_title: str = ""
    released: str = ""
    words: list[str] = []
    keys: list[str] = []

    class Settings:
        name = "movies"
        indexes = [
            index("words"),
            index("keys"),
            index("sort_title", "_id", *_FILTERS, name="by_title"),
            index("genres", "sort_title", "_id", *_FILTERS, name="by_genre"),
            index("released", "_id", *_FILTERS, name="by_release"),
            index("rating.average", "_id", *_FILTERS, name="by_rating"),
            index("deleted_at", partialFilterExpression={"deleted": True}),
            *(_where_set(f"{kind}.picture_id") for kind in KINDS),
            *(_where_set(f"external_ids.{catalog}", unique=True) for catalog in ("tmdb", "imdb")),
        ]


movies = Collection(Movie)


async def _derived(film: Film) -> dict[str, Any]:
    """Fields derived from a film's content, for sorting and search. Adds its words to the vocabulary."""
    found_by = search_fields(film.model_dump())
    await add_words(found_by.words)
    return {"released": film.release_date or str(film.year or ""), **found_by._asdict()}


def _published(film: Film) -> dict[str, Any]:
    """The fields that events contain, with an unknown runtime as 0."""
    return film.model_dump(include=set(PUBLISHED)) | {"runtime_minutes": film.runtime_minutes or 0}


async def publish_movie(movie: Movie) -> bool:
    """Insert a film with its event; False when its id, or its id in another catalog, is taken."""
    for name, value in (await _derived(movie)).items():
        setattr(movie, name, value)
    event = MoviePublished(movie_id=movie.id, **_published(movie))
    return await movies.insert(movie, events=[event])


async def live_movie(movie_id: str) -> Movie:
    """A film, unless it was deleted. Raises NotFound."""
    if movie := await movies.find_one({"_id": movie_id, "deleted": False}):
        return movie
    raise _missing(movie_id)


async def check_movie(movie_id: str) -> None:
    """Raises NotFound when there is no such film, or it was deleted."""
    if not await movies.exists({"_id": movie_id, "deleted": False}):
        raise _missing(movie_id)


def _missing(movie_id: str) -> NotFound:
    return NotFound(f"There is no movie {movie_id}.")


async def change_movie(movie_id: str, changes: Mapping[str, Any], **imported: Mapping[str, Any]) -> Movie:
    """Change a film's content, with an event when other services store the field; returns the changed film.

    `imported` is new data of a provider, by its name. Raises NotFound, pydantic's ValidationError when the
    result is not a valid film, and DuplicateKeyError when its id in another catalog is taken.
    """
    while True:
        movie = await live_movie(movie_id)
        before = movie.model_dump(mode="json", include=set(CONTENT))
        film = Film.model_validate(before | dict(changes))
        fields = {name: value for name, value in film.model_dump(mode="json").items() if before[name] != value}
        fields |= {f"imported.{name}": said for name, said in imported.items() if movie.imported.get(name) != said}
        if not fields:
            return movie
        derived = await _derived(film)
        event = MovieChanged(movie_id=movie_id, **_published(film))
        same = {"_id": movie_id, "version": movie.version, "deleted": False}
        if changed := await movies.update_and_get(
            same, {"$set": fields | derived}, events=[event] if PUBLISHED & fields.keys() else []
        ):
            return changed


async def set_picture(movie_id: str, kind: str, picture: PictureRef | None) -> None:
    """Set or remove a film's poster or backdrop. Raises NotFound."""
    shown = picture.model_dump() if picture else None
    if not await movies.update({"_id": movie_id, "deleted": False}, {"$set": {kind: shown}}):
        raise _missing(movie_id)


async def mark_deleted(movie_id: str) -> None:
    """Delete a film with an event. Raises NotFound."""
    gone = {"$set": {"deleted": True, "deleted_at": now()}, "$unset": {"external_ids": ""}}
    live = {"_id": movie_id, "deleted": False}
    if not await movies.update(live, gone, events=[MovieDeleted(movie_id=movie_id)]):
        raise _missing(movie_id)
