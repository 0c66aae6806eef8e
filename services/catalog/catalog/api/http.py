"""Shared by all routes: cached answers, paging, parameter types."""

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, TypeVar

from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.mongo.collection import Row
from contracts.types import Amount, Currency, Id, Moment
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from catalog.model import NotFound
from catalog.store import Position

FRESH = "public, max-age=5, stale-while-revalidate=10"
"""For answers that all visitors share. While the gateway refreshes one, it serves the old one."""


class CachedRoute(APIRoute):
    """A route whose answers have an ETag and may be cached by anyone (RFC 9110, 8.8.3 and 13.1.2)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_cached(request: Request) -> Response:
            response = await handle(request)
            digest = blake2b(bytes(response.body), digest_size=12).hexdigest()
            response.headers["ETag"] = f'W/"{digest}"'
            response.headers.setdefault("Cache-Control", FRESH)
            if digest not in re.findall(r'"([^"]*)"', request.headers.get("if-none-match", "")):
                return response
            kept = {name: response.headers[name] for name in ("etag", "cache-control")}
            return Response(status_code=304, headers=kept)

        return handle_cached


async def _unkept(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


UNKEPT = Depends(_unkept)
"""For answers that belong to one person."""

Cursor = Annotated[str | None, Query(max_length=4000, description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=100)]
# These bounds stay clear of the limits of date arithmetic and of MongoDB's dates.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2200, 1, 1))]
Instant = Annotated[Moment, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
Text = Annotated[str, StringConstraints(max_length=300)]
Near = Annotated[
    str | None,
    Query(pattern=r"^-?\d{1,2}(\.\d{1,9})?,-?\d{1,3}(\.\d{1,9})?$", description="Latitude,longitude (WGS 84)"),
]
WithinKm = Annotated[float, Query(gt=0, le=1000)]
City = Annotated[str, Query(min_length=1, max_length=100, description="As in the theater's address")]
NOT_FOUND = documented(NotFound)
REFUSED = documented(Unauthenticated, Forbidden)
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The caller's copy with this ETag is still valid."}}


class Stored(BaseModel):
    """A response that shows a document, read from the document's object or from a row."""

    model_config = ConfigDict(from_attributes=True)

    id: Id = Field(validation_alias=AliasChoices("id", "_id"))


class Money(BaseModel):
    amount: Amount
    currency: Currency


S = TypeVar("S", bound=Stored)


class CursorOrder(NamedTuple):
    """A sort order: the type of its values in a cursor's JSON, and the types of a position."""

    spelled: type
    position: TypeAdapter[tuple[Any, str]]


BY_TEXT = CursorOrder(str, TypeAdapter(tuple[Text, Id]))
BY_TIME = CursorOrder(str, TypeAdapter(tuple[Instant, Id]))
BY_COUNT = CursorOrder(int, TypeAdapter(tuple[Annotated[int, Field(ge=0, le=10**9)], Id]))
BY_MEASURE = CursorOrder(float, TypeAdapter(tuple[Annotated[float, Field(ge=0, le=3e7, allow_inf_nan=False)], Id]))


def place_of(near: str) -> Position:
    """Parse coordinates. Raises FastAPI's validation error for impossible ones."""
    latitude, _, longitude = near.partition(",")
    try:
        return Position(latitude=float(latitude), longitude=float(longitude))
    except ValidationError as error:
        raise RequestValidationError([{"loc": ("query", "near"), "msg": "these coordinates do not exist"}]) from error


def position(cursor: str | None, order: CursorOrder) -> tuple[Any, str] | None:
    """The position after which a page starts. Raises CursorInvalid."""
    if (parts := decode_cursor(cursor, order.spelled, str)) is None:
        return None
    try:
        return order.position.validate_python(parts)
    except ValidationError as error:
        raise CursorInvalid from error


def page_of(
    found: list[Row],
    limit: int,
    key: Callable[[Row], str | float],
    shape: Callable[[Row], S],
) -> Page[S]:
    """A page of `found`, which has one row more than the page size when there is a next page."""
    rows = found[:limit]
    more = encode_cursor(key(rows[-1]), rows[-1]["_id"]) if len(found) > limit else None
    return Page[S](items=[shape(row) for row in rows], next_cursor=more)
