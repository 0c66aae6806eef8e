"""A film's page, and changes of films by staff."""

import secrets
from datetime import datetime
from typing import Annotated, Any, Optional, Self

from chassis.clock import now
from chassis.http.problems import documented
from chassis.security.auth import require_everywhere
from contracts.types import Code, Id, Moment
from fastapi import APIRouter, Body, Depends, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, create_model, model_validator
from pymongo.errors import DuplicateKeyError

from catalog import store
from catalog.api.http import NOT_FOUND, REFUSED, UNCHANGED, CachedRoute, Stored
from catalog.model.movies import Credit, ExternalIds, Film, Status, slug, status_of
from catalog.model.problems import GenreUnknown, MovieExists, MovieOnSale
from catalog.store import Movie, PictureRef

router = APIRouter(prefix="/api", tags=["movies"], route_class=CachedRoute, responses=UNCHANGED)
managed = APIRouter(
    prefix="/api", tags=["movies"], dependencies=[Depends(require_everywhere("movies:write"))], responses=REFUSED
)


class Stars(BaseModel):
    """The summary of the reviews; `average` is null when there are none."""

    model_config = ConfigDict(from_attributes=True)

    average: float | None
    count: int

    @model_validator(mode="after")
    def _rounded(self) -> Self:
        self.average = round(self.average or 0, 2) if self.count else None
        return self


class AllStars(Stars):
    """`stars` has the number of reviews with one star, two, … five."""

    stars: list[int]


class _Movie(Stored):
    title: str
    original_title: str
    year: int | None = Field(description="Null while it is not known")
    release_date: str | None = None
    directors: list[str]
    runtime_minutes: int | None = Field(description="Null while it is not known")
    genres: list[Code]
    certificate: str
    original_language: str
    archived: bool = Field(False, exclude=True)
    showing_until: Moment | None = Field(description="Start of its last scheduled showtime")
    poster: PictureRef | None = Field(None, exclude=True)
    backdrop: PictureRef | None = Field(None, exclude=True)
    as_of: datetime = Field(default_factory=now, exclude=True)

    @computed_field
    @property
    def status(self) -> Status:
        return status_of(
            release_date=self.release_date, showing_until=self.showing_until, archived=self.archived, now=self.as_of
        )

    @computed_field
    @property
    def poster_url(self) -> str:
        return _picture_url(self.poster) or f"/api/movies/{self.id}/poster.svg"

    @computed_field
    @property
    def backdrop_url(self) -> str:
        return _picture_url(self.backdrop) or f"/api/movies/{self.id}/backdrop.svg"


class MovieSummary(_Movie):
    """A film in a list."""

    rating: Stars


class MovieResponse(_Movie):
    """A film with all details."""

    rating: AllStars
    cast: list[str]
    crew: list[Credit] = []
    languages: list[str] = []
    other_titles: list[str] = []
    subtitles: list[str] = []
    synopsis: str
    trailer_url: str | None = None
    external_ids: ExternalIds = {}


EXAMPLE = {
    "title": "Nosferatu",
    "original_title": "Nosferatu, eine Symphonie des Grauens",
    "release_date": "1922-03-04",
    "runtime_minutes": 94,
    "certificate": "PG",
    "genres": ["horror"],
    "original_language": "de",
    "subtitles": ["en"],
    "directors": ["F. W. Murnau"],
    "cast": ["Max Schreck", "Greta Schröder"],
    "crew": [{"name": "Albin Grau", "job": "Production design"}],
    "synopsis": "A clerk travels to a count. The count travels back.",
    "external_ids": {"tmdb": "653", "imdb": "tt0013442"},
}


class MovieRequest(Film, extra="forbid"):
    """A new film; without an `id` it gets a readable one."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: Id | None = None


_optional: dict[str, Any] = {
    name: (Optional[Annotated[(field.annotation, None, *field.metadata)]], None)  # noqa: UP045 - Annotated has no `|`
    for name, field in Film.model_fields.items()
}
_change: Any = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"certificate": "12A"}]})
MovieChanges = create_model("MovieChanges", __config__=_change, __doc__="The fields to change.", **_optional)


def _picture_url(picture: PictureRef | None) -> str | None:
    return f"/api/movies/pictures/{picture.picture_id}.webp" if picture else None


@router.get("/movies/{movie_id}", responses=NOT_FOUND)
async def get_movie(movie_id: Id) -> MovieResponse:
    """A film."""
    return MovieResponse.model_validate(await store.live_movie(movie_id))


@managed.post("/movies", status_code=201, responses=documented(MovieExists, GenreUnknown))
async def post_movie(new: MovieRequest, response: Response) -> MovieResponse:
    """Add a film."""
    await store.claim_genres(new.genres)
    readable = new.id or slug(new.title, new.year)
    for movie_id in [readable] if new.id else [readable, f"{readable}-{secrets.token_hex(3)}"]:
        movie = Movie.model_validate(new.model_dump() | {"_id": movie_id})
        if await store.publish_movie(movie):
            response.headers["Location"] = f"/api/movies/{movie_id}"
            return MovieResponse.model_validate(movie)
    raise MovieExists(f"There is a film {readable} already, or one with one of its ids in another catalog.")


@managed.patch("/movies/{movie_id}", responses=NOT_FOUND | documented(MovieExists, GenreUnknown))
async def patch_movie(movie_id: Id, changes: Annotated[MovieChanges, Body()]) -> MovieResponse:  # pyright: ignore[reportInvalidTypeForm]
    """Change a film. Omitted fields stay as they are."""
    wanted = changes.model_dump(exclude_unset=True, mode="json")
    await store.claim_genres(wanted.get("genres") or [])
    try:
        changed = await store.change_movie(movie_id, wanted)
    except ValidationError as error:
        raise RequestValidationError([fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]) from error
    except DuplicateKeyError as error:
        raise MovieExists("Another film has this id in another catalog.") from error
    return MovieResponse.model_validate(changed)


@managed.delete("/movies/{movie_id}", status_code=204, responses=NOT_FOUND | documented(MovieOnSale))
async def delete_movie(movie_id: Id) -> None:
    """Delete a film and cancel its future showtimes. A film with sold seats in future showtimes cannot be deleted."""
    await store.delete_movie(movie_id)
