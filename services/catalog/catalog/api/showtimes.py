"""Showtimes and what they cost. Nobody needs to sign in."""

from datetime import date
from typing import Annotated, Any

from chassis.clock import now
from chassis.paging import Page
from contracts.catalog import Price
from contracts.types import Currency, Id, Moment
from fastapi import APIRouter, Query

from catalog import store
from catalog.api.http import (
    BY_TIME,
    NOT_FOUND,
    CachedRoute,
    Cursor,
    Instant,
    Limit,
    Money,
    Stored,
    document_of,
    page_of,
    position,
)
from catalog.store import Showtime

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)


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
    return await showtimes_page(where, cursor, limit)


@router.get("/showtimes/{showtime_id}", responses=NOT_FOUND)
async def get_showtime(showtime_id: Id) -> ShowtimeDetail:
    """A showtime with its prices."""
    return ShowtimeDetail.model_validate(_with_money(await document_of(Showtime, showtime_id)))


async def showtimes_page(where: dict[str, Any], cursor: str | None, limit: int) -> Page[ShowtimeCard]:
    """A page of showtimes by start."""
    after = position(cursor, BY_TIME)
    found = await store.page(Showtime, where, by="starts_at", after=after, limit=limit + 1, without=["prices"])
    return page_of(
        found,
        limit,
        lambda last: last["starts_at"].isoformat(),
        lambda showtime: ShowtimeCard.model_validate(_with_money(showtime)),
    )


def _with_money(showtime: store.Document) -> store.Document:
    return showtime | {"price_from": {"amount": showtime["price_from"], "currency": showtime["currency"]}}
