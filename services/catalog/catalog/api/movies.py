"""A film's own page and its pictures."""

from typing import Any

from contracts.types import Code, Id, Moment
from fastapi import APIRouter, Response
from pydantic import Field, computed_field

from catalog import posters, store
from catalog.api.http import NOT_FOUND, CachedRoute, Stored, document_of
from catalog.model import Art
from catalog.store import Movie

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)
PICTURE_SECONDS = 86_400

SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}


class MovieCard(Stored):
    """A film as a list shows it."""

    title: str
    original_title: str
    year: int
    directors: list[str]
    runtime_minutes: int
    genres: list[Code]
    certificate: str
    original_language: str
    showing_until: Moment | None = Field(description="Start of its last showtime that is planned")

    @computed_field
    @property
    def poster_url(self) -> str:
        return f"/api/movies/{self.id}/poster.svg"

    @computed_field
    @property
    def backdrop_url(self) -> str:
        return f"/api/movies/{self.id}/backdrop.svg"


class MovieDetail(MovieCard):
    """A film's own page."""

    cast: list[str]
    synopsis: str


@router.get("/movies/{movie_id}", responses=NOT_FOUND)
async def get_movie(movie_id: Id) -> MovieDetail:
    """A film."""
    return MovieDetail.model_validate(await document_of(Movie, movie_id))


@router.get("/movies/{movie_id}/poster.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_poster(movie_id: Id) -> Response:
    """A poster, 600 × 900."""
    movie = await document_of(Movie, movie_id)
    return _picture(posters.poster(movie_id, movie["title"], movie["year"], movie["directors"], _art(movie)))


@router.get("/movies/{movie_id}/backdrop.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_backdrop(movie_id: Id) -> Response:
    """A wide picture without words, 1600 × 900."""
    movie = await document_of(Movie, movie_id)
    return _picture(posters.backdrop(movie_id, movie["title"], _art(movie)))


def _art(movie: store.Document) -> Art | None:
    return Art.model_validate(movie["art"]) if movie.get("art") else None


def _picture(svg: str) -> Response:
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": f"public, max-age={PICTURE_SECONDS}"})
