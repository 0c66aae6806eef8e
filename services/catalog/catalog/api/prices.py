"""Prices of a theater: the price table for everybody, price lists for staff."""

from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from chassis.clock import now
from chassis.http.problems import documented
from chassis.ids import new_id
from contracts.catalog import Price
from contracts.types import Currency, Id
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from catalog import store
from catalog.api.access import REFUSALS, Body, PriceWriter, own_theater
from catalog.api.http import NOT_FOUND, CachedRoute, Stored
from catalog.model.days import business_day
from catalog.model.prices import Format, Label, Tariff, check_chargeable, check_fees, valid_on
from catalog.model.problems import ChangedMeanwhile, PriceListExists, PriceMissing, PriceNotChargeable
from catalog.model.schedule import LocalTime, WallTime

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)
managed = APIRouter(prefix="/api", tags=["catalog: prices"])


class PriceTableResponse(BaseModel):
    """All-in prices in minor units, for a showtime with this start."""

    theater_id: Id
    currency: Currency
    local_start: WallTime
    format: str
    prices: list[Price]


class PriceListRequest(Body, Tariff):
    """The content of a price list."""

    name: Label


class PriceListUpdateRequest(PriceListRequest):
    """The new content, and the version of the list that it is based on."""

    version: Annotated[int, Field(ge=1)]


class PriceListResponse(Stored, Tariff):
    """A price list. A change must send back its `version`."""

    theater_id: Id
    name: str
    currency: Currency
    version: int


class PriceListsResponse(BaseModel):
    """A theater's price lists, sorted by their first day."""

    items: list[PriceListResponse]


@router.get("/theaters/{theater_id}/prices", responses=NOT_FOUND | documented(PriceMissing))
async def get_prices(
    theater_id: Id,
    at: Annotated[LocalTime | None, Query(description="The theater's local time; default: now")] = None,
    screening_format: Annotated[Format, Query(alias="format")] = "2D",
) -> PriceTableResponse:
    """Ticket prices, including taxes and fees, for a showtime that is scheduled now with this start."""
    theater = await store.theater_of(theater_id)
    local = at or now().astimezone(ZoneInfo(theater.time_zone)).replace(tzinfo=None, second=0, microsecond=0)
    tariff = valid_on(business_day(local, theater.day_starts), await store.price_lists_of(theater_id))
    table = tariff.table(_priced(tariff), screening_format, local, theater.day_starts)
    return PriceTableResponse(
        theater_id=theater_id, currency=theater.currency, local_start=local, format=screening_format, prices=table
    )


def _priced(tariff: Tariff) -> Sequence[str]:
    return [category for category, amounts in tariff.prices.items() if "adult" in amounts]


@managed.get("/theaters/{theater_id}/price-lists", responses=REFUSALS)
async def list_price_lists(theater_id: Id, staff: PriceWriter) -> PriceListsResponse:
    """The theater's price lists."""
    theater = await own_theater(staff, theater_id)
    return PriceListsResponse(items=[_shown(each, theater) for each in await store.price_lists_of(theater_id)])


@managed.post(
    "/theaters/{theater_id}/price-lists",
    status_code=201,
    responses=REFUSALS | documented(PriceListExists, PriceNotChargeable),
)
async def add_price_list(theater_id: Id, body: PriceListRequest, staff: PriceWriter) -> PriceListResponse:
    """Add a price list. It applies to showtimes scheduled from then on; existing showtimes keep their prices."""
    theater = await own_theater(staff, theater_id)
    check_chargeable(body.amounts(), theater.currency)
    check_fees(body.refund_policy, theater.currency)
    made = store.PriceList(id=new_id(), theater_id=theater_id, **body.model_dump())
    await store.add_price_list(made)
    return _shown(made.model_copy(update={"version": 1}), theater)


@managed.put(
    "/theaters/{theater_id}/price-lists/{price_list_id}",
    responses=REFUSALS | documented(PriceListExists, PriceNotChargeable, ChangedMeanwhile),
)
async def change_price_list(
    theater_id: Id, price_list_id: Id, body: PriceListUpdateRequest, staff: PriceWriter
) -> PriceListResponse:
    """Replace the content of a price list."""
    theater = await own_theater(staff, theater_id)
    check_chargeable(body.amounts(), theater.currency)
    check_fees(body.refund_policy, theater.currency)
    content = Tariff.model_validate(body.model_dump(exclude={"name", "version"}))
    changed = await store.change_price_list(price_list_id, theater_id, body.name, content, body.version)
    return _shown(changed, theater)


@managed.delete("/theaters/{theater_id}/price-lists/{price_list_id}", status_code=204, responses=REFUSALS)
async def remove_price_list(theater_id: Id, price_list_id: Id, staff: PriceWriter) -> None:
    """Remove a price list. Existing showtimes keep their prices."""
    await own_theater(staff, theater_id)
    await store.remove_price_list(price_list_id, theater_id)


def _shown(price_list: store.PriceList, theater: store.Theater) -> PriceListResponse:
    return PriceListResponse.model_validate(dict(price_list) | {"currency": theater.currency})
