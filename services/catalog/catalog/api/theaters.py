"""Theaters and their auditoriums with seats; public."""

from chassis.http.paging import Page
from chassis.mongo.collection import Row
from contracts.catalog import Seller
from contracts.types import Code, Currency, Id
from fastapi import APIRouter
from pydantic import Field

from catalog import store
from catalog.api.http import (
    BY_MEASURE,
    BY_TEXT,
    NOT_FOUND,
    CachedRoute,
    City,
    Cursor,
    Limit,
    Near,
    Stored,
    WithinKm,
    page_of,
    place_of,
    position,
)
from catalog.model import Layout
from catalog.model.days import DAY_STARTS, DayStart
from catalog.store import Address, Auditorium, Position

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)


class AuditoriumSummary(Stored):
    name: str
    features: list[str]
    capacity: int
    closed: bool = Field(False, description="No new showtimes")


class TheaterResponse(Stored):
    """A theater with its auditoriums."""

    name: str
    address: Address
    position: Position
    time_zone: str
    currency: Currency
    features: list[str]
    day_starts: DayStart = DAY_STARTS
    seller: Seller | None = None
    auditoriums: list[AuditoriumSummary]
    distance_m: float | None = Field(None, description="Distance from `near`")


class LayoutResponse(Stored, Layout):
    """One version of an auditorium's layout, as JSON and as text."""

    version: int = Field(1, validation_alias="number")
    text: str


class AuditoriumResponse(AuditoriumSummary):
    theater_id: Id
    cleaning_minutes: int = 20
    categories: list[Code]
    layout: LayoutResponse


@router.get("/theaters")
async def list_theaters(
    *,
    city: City | None = None,
    near: Near = None,
    within_km: WithinKm = 50,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[TheaterResponse]:
    """Theaters with their auditoriums, sorted by name, or by distance from `near`."""
    found = await theaters_page({"address.city": city} if city else {}, near, within_km, cursor, limit)
    rooms = await store.auditoriums_of([theater["_id"] for theater in found[:limit]])
    key = "distance_m" if near else "name"
    return page_of(found, limit, lambda last: last[key], lambda theater: _theater(theater, rooms))


@router.get("/theaters/{theater_id}", responses=NOT_FOUND)
async def get_theater(theater_id: Id) -> TheaterResponse:
    """A theater with its auditoriums."""
    return await theater_shown(theater_id)


@router.get("/auditoriums/{auditorium_id}", responses=NOT_FOUND)
async def get_auditorium(auditorium_id: Id) -> AuditoriumResponse:
    """An auditorium with its seats."""
    return await auditorium_shown(auditorium_id)


async def theaters_page(where: Row, near: str | None, within_km: float, cursor: str | None, limit: int) -> list[Row]:
    """Up to `limit` theaters and one more, sorted by name, or by distance from `near`."""
    if near:
        return await store.theaters_near(place_of(near), within_km, position(cursor, BY_MEASURE), limit + 1, where)
    hint = "by_name" if "_id" in where else None
    return await store.theaters_page(where, position(cursor, BY_TEXT), limit + 1, hint=hint)


async def theater_shown(theater_id: str) -> TheaterResponse:
    """A theater for visitors. Raises NotFound."""
    theater, rooms = await store.theater_of(theater_id), await store.auditoriums_of([theater_id])
    return TheaterResponse.model_validate(dict(theater) | {"auditoriums": rooms})


async def auditorium_shown(auditorium_id: str) -> AuditoriumResponse:
    """An auditorium for visitors. Raises NotFound."""
    room = await store.auditorium_of(auditorium_id)
    return AuditoriumResponse.model_validate(dict(room) | {"layout": await store.layout_of(room.layout_id)})


def _theater(theater: Row, rooms: list[Auditorium]) -> TheaterResponse:
    own = [room for room in rooms if room.theater_id == theater["_id"]]
    return TheaterResponse.model_validate(theater | {"auditoriums": own})
