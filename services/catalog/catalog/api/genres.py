"""The genres of films."""

from typing import Annotated

from chassis.http.problems import documented
from chassis.security.auth import require_everywhere
from contracts.types import Code, Name
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from catalog import store
from catalog.api.http import NOT_FOUND, REFUSED, UNCHANGED, CachedRoute
from catalog.model.problems import GenreInUse

router = APIRouter(prefix="/api", tags=["genres"], route_class=CachedRoute, responses=UNCHANGED)
managed = APIRouter(
    prefix="/api", tags=["genres"], dependencies=[Depends(require_everywhere("movies:write"))], responses=REFUSED
)


class GenreRequest(BaseModel):
    """The name of a genre."""

    name: Annotated[Name, Field(examples=["Film noir"])]


class GenreResponse(GenreRequest):
    code: Code


@router.get("/genres")
async def list_genres() -> list[GenreResponse]:
    """All genres, sorted by code."""
    return [GenreResponse(code=genre.id, name=genre.name) for genre in await store.all_genres()]


@managed.put("/genres/{code}")
async def put_genre(code: Code, genre: GenreRequest) -> GenreResponse:
    """Add or rename a genre."""
    await store.name_genre(code, genre.name)
    return GenreResponse(code=code, name=genre.name)


@managed.delete("/genres/{code}", status_code=204, responses=NOT_FOUND | documented(GenreInUse))
async def delete_genre(code: Code) -> None:
    """Remove an unused genre."""
    await store.remove_genre(code)
