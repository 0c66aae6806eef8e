"""Films: their documents and the writes that change them."""

from chassis.outbox import Aggregate
from contracts.catalog import MoviePublished
from contracts.types import Code, Moment
from pydantic import Field

from catalog.model import Art, sort_title, words_of
from catalog.store.reading import index


class Movie(Aggregate):
    """A film. `words` is what a search looks at, `showing_until` the last start of its showtimes."""

    title: str
    original_title: str
    year: int
    directors: list[str]
    cast: list[str]
    runtime_minutes: int = Field(gt=0, lt=1000)
    genres: list[Code]
    certificate: str
    original_language: str
    synopsis: str
    art: Art | None = None
    sort_title: str = ""
    words: list[str] = []
    showing_until: Moment | None = None

    class Settings:
        name = "movies"
        indexes = [index("sort_title", "_id"), index("genres", "sort_title", "_id"), index("words")]


async def publish_movie(movie: Movie) -> bool:
    """Enter a film and say so; False when its id is taken."""
    movie.sort_title = sort_title(movie.title)
    movie.words = words_of(movie.title, movie.original_title, *movie.directors, *movie.cast)
    event = MoviePublished(
        movie_id=movie.id, title=movie.title, runtime_minutes=movie.runtime_minutes, certificate=movie.certificate
    )
    return await Movie.add(movie, events=[event])


async def genres() -> list[str]:
    """Every genre that a film has, in alphabetical order."""
    return sorted(await Movie.collection().distinct("genres"))
