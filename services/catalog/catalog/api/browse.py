"""Browsing: search and filters of films, and a film's showtimes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import groupby
from typing import Annotated, Any

from chassis.clock import now
from chassis.http.paging import Page
from chassis.mongo.collection import Row
from contracts.types import Code, Id, LanguageTag, Moment
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from catalog import store
from catalog.api.http import (
    BY_MEASURE,
    BY_TEXT,
    NOT_FOUND,
    UNCHANGED,
    CachedRoute,
    City,
    Cursor,
    Day,
    Limit,
    Money,
    Near,
    Stored,
    WithinKm,
    page_of,
    place_of,
    position,
)
from catalog.api.movies import MovieSummary
from catalog.api.showtimes import OCCURRENCE, listed_showtime
from catalog.api.theaters import theaters_page
from catalog.model import words_of
from catalog.model.browse import Daypart, Sort
from catalog.model.days import Occurrence
from catalog.model.movies import Status
from catalog.model.occupancy import Availability
from catalog.model.prices import Format
from catalog.store import Address, Position, ShowtimeFilter

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute, responses=UNCHANGED)
THEATERS_NEAR = 100
Words = Annotated[
    str,
    Query(
        max_length=100,
        description="Words of title, people or genres, or their prefixes; case, accents, spaces and punctuation make "
        "no difference; typos are corrected",
    ),
]
Certificate = Annotated[str, StringConstraints(min_length=1, max_length=20)]
Key = Callable[[Row], str | float]
KEYS: dict[Sort, Key] = {
    "relevance": lambda movie: movie["place"],
    "title": lambda movie: movie["sort_title"],
    "newest": lambda movie: movie["released"],
    "rating": lambda movie: movie["rating"]["average"],
}


class Screening(Stored):
    """A showtime of a film in a theater. `availability` is some seconds old."""

    auditorium_id: Id
    auditorium_name: str
    starts_at: Moment
    occurrence: Occurrence | None = OCCURRENCE
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None
    daypart: Daypart
    price_from: Money
    availability: Availability


class ScreeningDay(BaseModel):
    """A business day of the theater: its showtimes until the next day starts, usually at 05:00."""

    local_date: date
    showtimes: list[Screening]


class TheaterShowtimesResponse(Stored):
    """A theater's showtimes of one film, day by day."""

    name: str
    address: Address
    position: Position
    time_zone: str
    distance_m: float | None = Field(None, description="Distance from `near`")
    days: list[ScreeningDay]


def showtime_filter(
    *,
    city: City | None = None,
    theater_id: Id | None = None,
    date: Annotated[Day | None, Query(description="A business day of the theater")] = None,
    daypart: Annotated[Daypart | None, Query(description="Start before 12:00, 17:00, 21:00 or 5:00")] = None,
    format: Annotated[Format | None, Query(description="For example 3D")] = None,  # noqa: A002 - the parameter's name
    language: Annotated[LanguageTag | None, Query(description="Spoken, a BCP 47 tag")] = None,
) -> ShowtimeFilter:
    """Query parameters that filter by showtimes."""
    local_date = date.isoformat() if date else None
    return ShowtimeFilter(city, theater_id, local_date, daypart, format, language)


FilterAsked = Annotated[ShowtimeFilter, Depends(showtime_filter)]


@router.get("/movies")
async def list_movies(
    showtimes: FilterAsked,
    *,
    q: Words = "",
    status: Status | None = None,
    genre: Code | None = None,
    certificate: Certificate | None = None,
    near: Near = None,
    within_km: WithinKm = 50,
    sort: Annotated[Sort | None, Query(description="Default: by relevance to `q`, else by title")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[MovieSummary]:
    """Films, filtered by text and by future showtimes (city, day, place …)."""
    asked: dict[str, Any] = {"genres": genre, "certificate": certificate}
    where = {name: value for name, value in asked.items() if value is not None}
    if status:
        where |= store.in_status(status, now())
    if near and not showtimes.theater_id:
        around = await store.theaters_near(place_of(near), within_km, None, THEATERS_NEAR)
        showtimes = replace(showtimes, theater_id=tuple(theater["_id"] for theater in around))
    if showtimes.is_set:
        where["_id"] = {"$in": await store.movies_showing(showtimes, now())}
    words = words_of(q)
    by: Sort = sort if sort and (words or sort != "relevance") else "relevance" if words else "title"
    after = position(cursor, BY_MEASURE if by == "rating" else BY_TEXT)
    found = await store.movies_page(where, by, after, limit + 1, words)
    return page_of(found, limit, KEYS[by], MovieSummary.model_validate)


@router.get("/movies/{movie_id}/showtimes", responses=NOT_FOUND)
async def list_movie_showtimes(
    movie_id: Id,
    wanted: FilterAsked,
    *,
    near: Near = None,
    within_km: WithinKm = 50,
    days: Annotated[int, Query(ge=1, le=14, description="Number of days from today, when `date` is missing")] = 7,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=20, description="So many theaters")] = 10,
) -> Page[TheaterShowtimesResponse]:
    """A film's future showtimes by theater and day; theaters are sorted by name, or by distance from `near`."""
    moment = now()
    showing_it = await store.theaters_showing(movie_id, wanted, moment, days)
    if not showing_it:
        await store.check_movie(movie_id)
    theaters = await theaters_page({"_id": {"$in": showing_it}}, near, within_km, cursor, limit)
    ids = [theater["_id"] for theater in theaters[:limit]]
    showtimes = await store.showtimes_at(movie_id, ids, wanted, moment, days)
    seats = await store.occupancy_of([showtime["_id"] for showtime in showtimes])
    listed = [listed_showtime(showtime, seats) for showtime in showtimes]
    return page_of(
        theaters,
        limit,
        lambda last: last["distance_m" if near else "name"],
        lambda theater: _theater_showtimes(theater, [each for each in listed if each["theater_id"] == theater["_id"]]),
    )


def _theater_showtimes(theater: Row, showtimes: list[Row]) -> TheaterShowtimesResponse:
    # After a change of the theater's setting, days may overlap.
    by_day = sorted(showtimes, key=_local_date)
    days = [
        ScreeningDay(local_date=date.fromisoformat(day), showtimes=[Screening.model_validate(each) for each in of_day])
        for day, of_day in groupby(by_day, key=_local_date)
    ]
    return TheaterShowtimesResponse.model_validate(theater | {"days": days})


def _local_date(showtime: Row) -> str:
    return showtime["local_date"]
