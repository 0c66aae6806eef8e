"""What visitors read: films, theaters, auditoriums with their seats, showtimes. Nobody needs to sign in."""

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from typing import Annotated, Any, TypeVar

from chassis.clock import now
from chassis.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.problems import documented
from contracts.catalog import PlacedSeat, Price
from contracts.types import Amount, Code, Currency, Id, Moment
from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError, computed_field

from catalog import posters, store
from catalog.model import Art, NotFound, words_of
from catalog.store import Address, Auditorium, Movie, Position, SeatLayout, Showtime, Theater

JSON_SECONDS, PICTURE_SECONDS = 10, 86_400


class CachedRoute(APIRoute):
    """A route whose answers carry an ETag and may be kept for a while by anyone (RFC 9110, 8.8.3 and 13.1.2)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_cached(request: Request) -> Response:
            response = await handle(request)
            digest = blake2b(bytes(response.body), digest_size=12).hexdigest()
            response.headers["ETag"] = f'W/"{digest}"'
            response.headers.setdefault("Cache-Control", f"public, max-age={JSON_SECONDS}")
            if digest not in re.findall(r'"([^"]*)"', request.headers.get("if-none-match", "")):
                return response
            kept = {name: response.headers[name] for name in ("etag", "cache-control")}
            return Response(status_code=304, headers=kept)

        return handle_cached


router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)

Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=100)]
# Bounds keep the arithmetic on dates and what MongoDB can store far from their limits.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2200, 1, 1))]
Instant = Annotated[Moment, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
Text = Annotated[str, StringConstraints(max_length=300)]
NOT_FOUND = documented(NotFound)
SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}


class Stored(BaseModel):
    id: Id = Field(validation_alias="_id")


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


class Genre(BaseModel):
    code: Code
    name: str


class AuditoriumCard(Stored):
    name: str
    features: list[str]
    capacity: int


class TheaterDetail(Stored):
    """A theater with its auditoriums."""

    name: str
    address: Address
    position: Position
    time_zone: str
    currency: Currency
    features: list[str]
    auditoriums: list[AuditoriumCard]


class Layout(Stored):
    """Seats on a grid: `x`, `y` is a seat's left front corner; x to the right, y away from the screen."""

    columns: float
    rows: float
    text: str
    seats: list[PlacedSeat]


class AuditoriumDetail(AuditoriumCard):
    theater_id: Id
    categories: list[Code]
    layout: Layout


class Money(BaseModel):
    amount: Amount
    currency: Currency


class ShowtimeCard(Stored):
    """A showtime as a list shows it. `local_date` is the theater's; `price_from` is all-in, for an adult."""

    movie_id: Id
    movie_title: str
    certificate: str
    theater_id: Id
    theater_name: str
    city: str
    auditorium_id: Id
    auditorium_name: str
    time_zone: str
    local_date: date
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None
    price_from: Money


class ShowtimeDetail(ShowtimeCard):
    """A showtime with its layout and every price, all-in."""

    layout_id: Id
    currency: Currency
    prices: list[Price]


S = TypeVar("S", bound=Stored)
_BY_TEXT, _BY_TIME = TypeAdapter(tuple[Text, Id]), TypeAdapter(tuple[Instant, Id])


@router.get("/movies")
async def list_movies(
    q: Annotated[str, Query(max_length=100, description="Words, or their beginnings, of title or people")] = "",
    genre: Code | None = None,
    now_showing: bool = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[MovieCard]:
    """Films by title."""
    conditions: list[dict[str, Any]] = [{"words": {"$regex": f"^{re.escape(word)}"}} for word in words_of(q)[:8]]
    if genre:
        conditions.append({"genres": genre})
    if now_showing:
        conditions.append({"showing_until": {"$gt": now()}})
    where = {"$and": conditions} if conditions else {}
    after = _position(cursor, _BY_TEXT)
    found = await store.page(Movie, where, by="sort_title", after=after, limit=limit + 1)
    return _page(found, limit, lambda last: last["sort_title"], MovieCard.model_validate)


@router.get("/movies/{movie_id}", responses=NOT_FOUND)
async def get_movie(movie_id: Id) -> MovieDetail:
    """A film."""
    return MovieDetail.model_validate(await _get(Movie, movie_id))


@router.get("/movies/{movie_id}/showtimes", responses=NOT_FOUND)
async def list_movie_showtimes(
    movie_id: Id,
    date: Annotated[Day | None, Query(description="A day at the theater; without it, all from now on")] = None,
    theater_id: Id | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ShowtimeCard]:
    """A film's showtimes by start."""
    await _get(Movie, movie_id)
    where: dict[str, Any] = {"movie_id": movie_id, **({"theater_id": theater_id} if theater_id else {})}
    if date:
        # A local day lies within these bounds in every time zone (UTC+14 to UTC-12); they make use of the index.
        midnight = datetime.combine(date, time(), UTC)
        within = {"$gte": midnight - timedelta(hours=14), "$lt": midnight + timedelta(hours=36)}
        where |= {"local_date": date.isoformat(), "starts_at": within}
    else:
        where["starts_at"] = {"$gte": now()}
    return await _showtimes(where, cursor, limit)


@router.get("/movies/{movie_id}/poster.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_poster(movie_id: Id) -> Response:
    """A poster, 600 × 900."""
    movie = await _get(Movie, movie_id)
    return _picture(posters.poster(movie_id, movie["title"], movie["year"], movie["directors"], _art(movie)))


@router.get("/movies/{movie_id}/backdrop.svg", responses=NOT_FOUND | SVG, response_class=Response)
async def get_backdrop(movie_id: Id) -> Response:
    """A wide picture without words, 1600 × 900."""
    movie = await _get(Movie, movie_id)
    return _picture(posters.backdrop(movie_id, movie["title"], _art(movie)))


@router.get("/genres")
async def list_genres() -> list[Genre]:
    """Every genre that a film has."""
    return [Genre(code=code, name=code.replace("-", " ").capitalize()) for code in await store.genres()]


@router.get("/theaters")
async def list_theaters(cursor: Cursor = None, limit: Limit = 20) -> Page[TheaterDetail]:
    """Theaters by name, with their auditoriums."""
    found = await store.page(Theater, {}, by="name", after=_position(cursor, _BY_TEXT), limit=limit + 1)
    rooms = await store.auditoriums_of([theater["_id"] for theater in found[:limit]])
    return _page(found, limit, lambda last: last["name"], lambda theater: _theater(theater, rooms))


@router.get("/theaters/{theater_id}", responses=NOT_FOUND)
async def get_theater(theater_id: Id) -> TheaterDetail:
    """A theater with its auditoriums."""
    return _theater(await _get(Theater, theater_id), await store.auditoriums_of([theater_id]))


@router.get("/auditoriums/{auditorium_id}", responses=NOT_FOUND)
async def get_auditorium(auditorium_id: Id) -> AuditoriumDetail:
    """An auditorium with its seats."""
    room = await _get(Auditorium, auditorium_id)
    return AuditoriumDetail.model_validate(room | {"layout": await _get(SeatLayout, room["layout_id"])})


@router.get("/showtimes")
async def list_showtimes(
    *,
    movie_id: Id | None = None,
    theater_id: Id | None = None,
    starts_from: Annotated[Instant | None, Query(alias="from", description="Without it, from now on")] = None,
    to: Annotated[Instant | None, Query(description="Starts before this")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ShowtimeCard]:
    """Showtimes by start."""
    where: dict[str, Any] = {"movie_id": movie_id, "theater_id": theater_id}
    where = {name: value for name, value in where.items() if value}
    where["starts_at"] = {"$gte": starts_from or now(), **({"$lt": to} if to else {})}
    return await _showtimes(where, cursor, limit)


@router.get("/showtimes/{showtime_id}", responses=NOT_FOUND)
async def get_showtime(showtime_id: Id) -> ShowtimeDetail:
    """A showtime with its prices."""
    return ShowtimeDetail.model_validate(_with_money(await _get(Showtime, showtime_id)))


async def _get(kind: type[store.Aggregate], document_id: str) -> store.Document:
    if document := await store.get(kind, document_id):
        return document
    raise NotFound(f"There is no {kind.__name__.lower()} {document_id}.")


async def _showtimes(where: dict[str, Any], cursor: str | None, limit: int) -> Page[ShowtimeCard]:
    after = _position(cursor, _BY_TIME)
    found = await store.page(Showtime, where, by="starts_at", after=after, limit=limit + 1, without=["prices"])
    return _page(
        found,
        limit,
        lambda last: last["starts_at"].isoformat(),
        lambda showtime: ShowtimeCard.model_validate(_with_money(showtime)),
    )


def _position(cursor: str | None, kind: TypeAdapter[tuple[Any, str]]) -> tuple[Any, str] | None:
    if (parts := decode_cursor(cursor, str, str)) is None:
        return None
    try:
        return kind.validate_python(parts)
    except ValidationError as error:
        raise CursorInvalid from error


def _page(
    found: list[store.Document], limit: int, key: Callable[[store.Document], str], shape: Callable[[store.Document], S]
) -> Page[S]:
    """A page of `found`, which holds one row more than the page when there is a next one."""
    rows = found[:limit]
    more = encode_cursor(key(rows[-1]), rows[-1]["_id"]) if len(found) > limit else None
    return Page[S](items=[shape(row) for row in rows], next_cursor=more)


def _theater(theater: store.Document, rooms: list[store.Document]) -> TheaterDetail:
    own = [room for room in rooms if room["theater_id"] == theater["_id"]]
    return TheaterDetail.model_validate(theater | {"auditoriums": own})


def _with_money(showtime: store.Document) -> store.Document:
    return showtime | {"price_from": {"amount": showtime["price_from"], "currency": showtime["currency"]}}


def _art(movie: store.Document) -> Art | None:
    return Art.model_validate(movie["art"]) if movie.get("art") else None


def _picture(svg: str) -> Response:
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": f"public, max-age={PICTURE_SECONDS}"})
