"""What a theater charges: the table for everybody, the lists that it comes from for staff."""

from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from chassis.clock import now
from chassis.ids import new_id
from chassis.problems import documented
from contracts.catalog import Price
from contracts.types import Currency, Id
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from catalog import store
from catalog.api.access import REFUSALS, Body, PriceWriter, own_theater
from catalog.api.http import NOT_FOUND, CachedRoute, Stored, document_of
from catalog.model.prices import Format, Label, Tariff, valid_on
from catalog.model.problems import ChangedMeanwhile, PriceListExists, PriceMissing
from catalog.model.schedule import LocalTime, WallTime

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)
managed = APIRouter(prefix="/api", tags=["catalog: prices"])


class PriceTable(BaseModel):
    """All-in prices in minor units, for a showtime that begins then."""

    theater_id: Id
    currency: Currency
    local_start: WallTime
    format: str
    prices: list[Price]


class PriceListBody(Body, Tariff):
    """A price list as staff write it."""

    name: Label


class PriceListChange(PriceListBody):
    """The new content, and the version of the list that it was made from."""

    version: Annotated[int, Field(ge=1)]


class PriceListView(Stored, Tariff):
    """A price list. `version` is to be given back with a change."""

    theater_id: Id
    name: str
    currency: Currency
    version: int


class PriceLists(BaseModel):
    """A theater's price lists by the day on which they begin."""

    items: list[PriceListView]


@router.get("/theaters/{theater_id}/prices", responses=NOT_FOUND | documented(PriceMissing))
async def get_prices(
    theater_id: Id,
    at: Annotated[LocalTime | None, Query(description="The theater's local time, without it now")] = None,
    screening_format: Annotated[Format, Query(alias="format")] = "2D",
) -> PriceTable:
    """What tickets cost, taxes and fees included, for a showtime that is scheduled now to begin at a time."""
    theater = store.Theater.parse(await document_of(store.Theater, theater_id))
    local = at or now().astimezone(ZoneInfo(theater.time_zone)).replace(tzinfo=None, second=0, microsecond=0)
    tariff = valid_on(local.date(), await store.price_lists_of(theater_id))
    table = [price for category in _priced(tariff) for price in tariff.table([category], screening_format, local)]
    return PriceTable(
        theater_id=theater_id, currency=theater.currency, local_start=local, format=screening_format, prices=table
    )


def _priced(tariff: Tariff) -> Sequence[str]:
    return [category for category, amounts in tariff.prices.items() if "adult" in amounts]


@managed.get("/theaters/{theater_id}/price-lists", responses=REFUSALS)
async def list_price_lists(theater_id: Id, staff: PriceWriter) -> PriceLists:
    """The theater's price lists."""
    theater = await own_theater(staff, theater_id)
    return PriceLists(items=[_shown(each, theater) for each in await store.price_lists_of(theater_id)])


@managed.post("/theaters/{theater_id}/price-lists", status_code=201, responses=REFUSALS | documented(PriceListExists))
async def add_price_list(theater_id: Id, body: PriceListBody, staff: PriceWriter) -> PriceListView:
    """Enter a price list. It counts for what is scheduled from then on; showtimes keep the prices they have."""
    theater = await own_theater(staff, theater_id)
    made = store.PriceList(id=new_id(), theater_id=theater_id, **body.model_dump())
    await store.add_price_list(made)
    return _shown(made.model_copy(update={"version": 1}), theater)


@managed.put(
    "/theaters/{theater_id}/price-lists/{price_list_id}",
    responses=REFUSALS | documented(PriceListExists, ChangedMeanwhile),
)
async def change_price_list(
    theater_id: Id, price_list_id: Id, body: PriceListChange, staff: PriceWriter
) -> PriceListView:
    """Put another content in its place."""
    theater = await own_theater(staff, theater_id)
    content = Tariff.model_validate(body.model_dump(exclude={"name", "version"}))
    changed = await store.change_price_list(price_list_id, theater_id, body.name, content, body.version)
    return _shown(changed, theater)


@managed.delete("/theaters/{theater_id}/price-lists/{price_list_id}", status_code=204, responses=REFUSALS)
async def remove_price_list(theater_id: Id, price_list_id: Id, staff: PriceWriter) -> None:
    """Take it out of use. Showtimes keep the prices they have."""
    await own_theater(staff, theater_id)
    await store.remove_price_list(price_list_id, theater_id)


def _shown(price_list: store.PriceList, theater: store.Theater) -> PriceListView:
    fields = price_list.model_dump(include=set(PriceListView.model_fields))
    return PriceListView.model_validate(fields | {"_id": price_list.id, "currency": theater.currency})
