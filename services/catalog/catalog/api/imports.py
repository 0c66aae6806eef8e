"""Imports of films: started here, processed in the background, reported film by film."""

import asyncio
from typing import Annotated, Any, Literal, Self

from chassis.http.paging import Page, decode_cursor, encode_cursor
from chassis.http.problems import documented
from chassis.security.auth import Principal, require_everywhere
from contracts.types import Id, Moment, visible
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field, model_validator

from catalog import settings, store
from catalog.api.http import BY_TIME, NOT_FOUND, REFUSED, UNKEPT, Cursor, Limit, Stored, position
from catalog.model.film_files import read_films
from catalog.model.imports import Outcome, ProviderName
from catalog.model.problems import ImportInvalid, ImportNotSetUp

managed = APIRouter(prefix="/api", tags=["imports"], dependencies=[UNKEPT], responses=REFUSED)
Staff = Annotated[Principal, Depends(require_everywhere("movies:write"))]
TmdbId = Annotated[int, Field(gt=0, lt=10**9)]
EXAMPLE = '[{"title": "Nosferatu", "release_date": "1922-03-04", "runtime_minutes": 94, "certificate": "PG", …}]'
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A list of films, at most 8 MB and 5,000 films: docs/runbooks/import-films.md",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": EXAMPLE},
            "text/csv": {"schema": {"type": "string"}, "example": "title,release_date,runtime_minutes,genres\n…"},
        },
    }
}


class TmdbImportRequest(BaseModel):
    """The films to import from TMDB: by their ids there, or the first pages of a list with 20 films each."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"list": "now_playing", "pages": 2, "dry_run": True}, {"ids": [238, 240]}]},
    )

    list: Literal["now_playing", "upcoming", "popular", "top_rated"] | None = None
    pages: Annotated[int, Field(ge=1, le=100)] = 1
    ids: Annotated[tuple[TmdbId, ...], Field(max_length=1000)] = ()
    dry_run: bool = False

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not (self.list or self.ids):
            raise ValueError("say a list or ids")
        return self


class Progress(BaseModel):
    """The number of films to import, and the results so far."""

    total: int
    waiting: int
    added: int
    changed: int
    unchanged: int
    left_out: int
    failed: int


class ImportResponse(Stored):
    """An import. `fault` is the reason of a failure, or of a wait. A dry run changes nothing."""

    provider: ProviderName
    source: dict[str, Any]
    dry_run: bool
    state: Literal["receiving", "listing", "working", "done", "failed"]
    requested_by: str
    begun_at: Moment
    done_at: Moment | None = None
    fault: str | None = None
    progress: Progress

    @computed_field
    @property
    def items_url(self) -> str:
        """The address of the report with every film."""
        return f"/api/imports/{self.id}/items"


class ImportedFilmResponse(BaseModel):
    """The result for one film; `outcome` is null while it waits. `changes` has old and new values by field."""

    number: int
    ref: str
    outcome: Outcome | None = None
    movie_id: Id | None = None
    changes: dict[str, tuple[Any, Any]] = {}
    reason: str | None = None


@managed.post("/imports/tmdb", status_code=202, responses=documented(ImportNotSetUp))
async def import_from_tmdb(body: TmdbImportRequest, staff: Staff, response: Response) -> ImportResponse:
    """Import films from TMDB. A repeated import changes only what TMDB has changed."""
    if not settings.get().tmdb_token.get_secret_value():
        raise ImportNotSetUp("TMDB_TOKEN is not set.")
    source = body.model_dump(mode="json", exclude={"dry_run"})
    import_id = await store.start_import("tmdb", source, dry_run=body.dry_run, requested_by=staff.user_id)
    return await _started(import_id, response)


@managed.post("/imports/files", status_code=202, openapi_extra=FILE, responses=documented(ImportInvalid))
async def import_from_file(
    request: Request,
    staff: Staff,
    response: Response,
    *,
    dry_run: bool = False,
    name: Annotated[
        str, Query(max_length=200, description="The name in the list of imports"), AfterValidator(visible)
    ] = "",
) -> ImportResponse:
    """Import the films of a JSON or CSV file. A repeated import changes only what has changed in the file."""
    file = await asyncio.to_thread(read_films, await request.body())
    source = {"file": name, **file.read_as}
    import_id = await store.start_import("file", source, file.rows, dry_run=dry_run, requested_by=staff.user_id)
    return await _started(import_id, response)


@managed.get("/imports")
async def list_imports(_: Staff, cursor: Cursor = None, limit: Limit = 20) -> Page[ImportResponse]:
    """All imports, the newest first."""
    found = await store.imports_page(position(cursor, BY_TIME), limit + 1)
    counts = await store.counts_of([each.id for each in found])
    items, last = [_shown(each, counts) for each in found[:limit]], found[limit - 1 : limit]
    more = encode_cursor(last[0].begun_at.isoformat(), last[0].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@managed.get("/imports/{import_id}", responses=NOT_FOUND)
async def get_import(import_id: Id, _: Staff) -> ImportResponse:
    """The progress of an import."""
    return _shown(await store.import_of(import_id), await store.counts_of([import_id]))


@managed.get("/imports/{import_id}/items", responses=NOT_FOUND)
async def list_imported_films(
    import_id: Id, _: Staff, *, outcome: Outcome | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[ImportedFilmResponse]:
    """The result for each film, in the order of the list or file."""
    await store.import_of(import_id)
    after = decode_cursor(cursor, int)
    found = await store.items_page(import_id, outcome, after[0] if after else None, limit + 1)
    rows = found[:limit]
    more = encode_cursor(rows[-1]["number"]) if len(found) > limit else None
    return Page(items=[ImportedFilmResponse.model_validate(row) for row in rows], next_cursor=more)


async def _started(import_id: str, response: Response) -> ImportResponse:
    response.headers["Location"] = f"/api/imports/{import_id}"
    return _shown(await store.import_of(import_id), await store.counts_of([import_id]))


def _shown(found: store.Import, counts: dict[str, dict[str | None, int]]) -> ImportResponse:
    own = counts[found.id]
    outcomes = {name: own.get(name, 0) for name in ("added", "changed", "unchanged", "left_out", "failed")}
    progress = Progress(total=sum(own.values()), waiting=own.get(None, 0), **outcomes)
    return ImportResponse.model_validate(dict(found) | {"progress": progress})
