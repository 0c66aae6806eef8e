"""Posters and backdrops: rendered from the film's data, or uploaded."""

from typing import Annotated, Any

from chassis.http.problems import documented
from chassis.security.auth import require_everywhere
from contracts.types import Id
from fastapi import APIRouter, Depends, Path, Request, Response

from catalog import pictures, store
from catalog.api.http import NOT_FOUND, REFUSED, UNCHANGED, CachedRoute
from catalog.model.problems import NotFound, PictureInvalid
from catalog.pictures import FORMATS, Kind, PictureReader

router = APIRouter(prefix="/api", tags=["pictures"], route_class=CachedRoute, responses=UNCHANGED)
managed = APIRouter(
    prefix="/api", tags=["pictures"], dependencies=[Depends(require_everywhere("movies:write"))], responses=REFUSED
)
DRAWN, UPLOADED = "public, max-age=86400, s-maxage=60", "public, max-age=31536000, immutable"

SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}
WEBP: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {}}}}
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            f"image/{name.lower()}": {"schema": {"type": "string", "contentMediaType": f"image/{name.lower()}"}}
            for name in FORMATS
        },
    }
}


def _picture_reader(request: Request) -> PictureReader:
    return request.app.state.picture_reader


Reader = Annotated[PictureReader, Depends(_picture_reader)]
PictureId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get("/movies/{movie_id}/poster.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_poster(movie_id: Id) -> Response:
    """A poster rendered from the film's data, 600 × 900."""
    movie = await store.live_movie(movie_id)
    return _svg(pictures.poster(movie_id, movie.title, movie.year, movie.directors, movie.art))


@router.get("/movies/{movie_id}/backdrop.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_backdrop(movie_id: Id) -> Response:
    """A wide picture without text, 1600 × 900."""
    movie = await store.live_movie(movie_id)
    return _svg(pictures.backdrop(movie_id, movie.title, movie.art))


@router.get("/movies/pictures/{picture_id}.webp", responses=NOT_FOUND | WEBP, response_class=Response)
async def get_picture(picture_id: PictureId) -> Response:
    """An uploaded picture. The content of an address never changes."""
    if (data := await store.picture(picture_id)) is None:
        raise NotFound(f"There is no picture {picture_id}.")
    return Response(data, media_type="image/webp", headers={"Cache-Control": UPLOADED})


@managed.put(
    "/movies/{movie_id}/{kind}", status_code=204, openapi_extra=UPLOAD, responses=NOT_FOUND | documented(PictureInvalid)
)
async def put_picture(movie_id: Id, kind: Kind, request: Request, reader: Reader) -> None:
    """Upload a film's poster or backdrop: the body is a JPEG, PNG or WebP file of at most 8 MB."""
    await store.check_movie(movie_id)
    encoded = await reader.read(await request.body(), kind)
    await store.set_picture(movie_id, kind, await store.store_picture(*encoded))


@managed.delete("/movies/{movie_id}/{kind}", status_code=204, responses=NOT_FOUND)
async def delete_picture(movie_id: Id, kind: Kind) -> None:
    """Remove a film's uploaded picture; the rendered one is used again."""
    await store.set_picture(movie_id, kind, None)


def _svg(picture: str) -> Response:
    return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": DRAWN})
