"""Showtimes and their prices: public, and for staff to schedule, reschedule and cancel."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from chassis.clock import now
from chassis.http.paging import Page
from chassis.http.problems import documented
from chassis.mongo.collection import Row
from contracts.booking import TICKETS_FOR_ONE
from contracts.catalog import CancelReason, OrphanRule, Price, RefundPolicy
from contracts.types import Currency, Id, Moment
from fastapi import APIRouter, Query
from pydantic import Field

from catalog import store
from catalog.api.access import REFUSALS, Body, ShowtimeWriter, own_auditorium, own_showtime, own_theater
from catalog.api.http import (
    BY_TIME,
    NOT_FOUND,
    CachedRoute,
    Cursor,
    Instant,
    Limit,
    Money,
    Stored,
    page_of,
    position,
)
from catalog.model.days import Occurrence
from catalog.model.occupancy import Availability, availability
from catalog.model.problems import (
    AuditoriumClosed,
    ChangedMeanwhile,
    DryRunRequired,
    LocalTimeAmbiguous,
    LocalTimeInvalid,
    PriceMissing,
    PriceNotChargeable,
    RuntimeUnknown,
    SalesTimesInvalid,
    ShowtimeOver,
    ShowtimesClash,
)
from catalog.model.schedule import LocalStart, Placed, check_sales, local_moment
from catalog.store import Showtime

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)
managed = APIRouter(prefix="/api", tags=["catalog: showtimes"])

OCCURRENCE: Any = Field(None, description="Which of two equal local times the start is, when clocks are set back")


class ShowtimeSummary(Stored):
    """A showtime in a list. `local_date` is the theater's business day; `price_from` is all-in, for an adult."""

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
    occurrence: Occurrence | None = OCCURRENCE
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None
    price_from: Money
    availability: Annotated[Availability, Field(description="How full it is; some seconds old")]
    state: Literal["scheduled", "cancelled"]


class ShowtimeResponse(ShowtimeSummary):
    """A showtime with its layout and every price, all-in."""

    layout_id: Id
    orphan_rule: OrphanRule = Field("off", description="Whether a selection may leave a single free seat")
    currency: Currency
    prices: list[Price]
    refund_policy: RefundPolicy


class ShowtimeRequest(Placed):
    """A new showtime. `local_start` is the theater's local time."""

    local_start: LocalStart
    occurrence: Occurrence | None = None


class RescheduleRequest(Body):
    """New times of the showtime and its sales. By default sales end as long before the start as now."""

    local_start: LocalStart | None = None
    occurrence: Occurrence | None = None
    sales_open_at: Instant | None = None
    sales_close_minutes: Annotated[int, Field(ge=-10_080, le=600)] | None = None


class CancelRequest(Body):
    reason: CancelReason


@router.get("/showtimes")
async def list_showtimes(
    *,
    movie_id: Id | None = None,
    theater_id: Id | None = None,
    starts_from: Annotated[Instant | None, Query(alias="from", description="Default: now")] = None,
    to: Annotated[Instant | None, Query(description="Starts before this")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ShowtimeSummary]:
    """Showtimes by start."""
    where: Row = {"movie_id": movie_id, "theater_id": theater_id}
    where = {name: value for name, value in where.items() if value}
    where["starts_at"] = {"$gte": starts_from or now(), **({"$lt": to} if to else {})}
    found = await store.showtimes_page(where, position(cursor, BY_TIME), limit + 1)
    seats = await store.occupancy_of([showtime["_id"] for showtime in found])
    return page_of(
        found,
        limit,
        lambda last: last["starts_at"].isoformat(),
        lambda showtime: ShowtimeSummary.model_validate(listed_showtime(showtime, seats)),
    )


@router.get("/showtimes/{showtime_id}", responses=NOT_FOUND)
async def get_showtime(showtime_id: Id) -> ShowtimeResponse:
    """A showtime with its prices, even a cancelled one."""
    return await showtime_shown(await store.published(showtime_id))


@managed.post(
    "/showtimes",
    status_code=201,
    responses=REFUSALS
    | documented(
        LocalTimeInvalid,
        LocalTimeAmbiguous,
        ShowtimeOver,
        AuditoriumClosed,
        RuntimeUnknown,
        ShowtimesClash,
        PriceMissing,
        PriceNotChargeable,
        SalesTimesInvalid,
    ),
)
async def schedule_showtime(body: ShowtimeRequest, staff: ShowtimeWriter) -> ShowtimeResponse:
    """Schedule a showtime with the theater's prices of that day. It is on sale as soon as its sales open."""
    room = await own_auditorium(staff, body.auditorium_id)
    planning = await store.planning_data_of(await own_theater(staff, room.theater_id), [body])
    showtime = planning.showtime(body, body.local_start, body.occurrence)
    await store.schedule(showtime)
    return await showtime_shown(showtime)


@managed.patch(
    "/showtimes/{showtime_id}",
    responses=REFUSALS
    | documented(
        LocalTimeInvalid,
        LocalTimeAmbiguous,
        ShowtimeOver,
        ShowtimesClash,
        SalesTimesInvalid,
        ChangedMeanwhile,
        DryRunRequired,
    ),
)
async def reschedule_showtime(showtime_id: Id, body: RescheduleRequest, staff: ShowtimeWriter) -> ShowtimeResponse:
    """Reschedule a showtime or its sales. Seats and prices stay; tickets remain valid.

    With more than 50 tickets, another start needs a dry run: `POST /api/bookings/house-changes`.
    """
    before = await own_showtime(staff, showtime_id)
    changes = _moved(before, body, (await store.theater_of(before.theater_id)).day_starts)
    if all(getattr(before, name) == value for name, value in changes.items()):
        return await showtime_shown(before)
    if changes["starts_at"] != before.starts_at:
        await _check_tickets(before)
    return await showtime_shown(await store.reschedule(before, changes))


@managed.post("/showtimes/{showtime_id}/cancel", responses=REFUSALS | documented(ShowtimeOver, DryRunRequired))
async def cancel_showtime(showtime_id: Id, body: CancelRequest, staff: ShowtimeWriter) -> ShowtimeResponse:
    """Cancel a showtime: sales end and every ticket is refunded, including fees. Repeating it changes nothing.

    With more than 50 tickets, it needs a dry run: `POST /api/bookings/house-changes`.
    """
    await _check_tickets(await own_showtime(staff, showtime_id))
    return await showtime_shown(await store.cancel(showtime_id, body.reason))


async def _check_tickets(showtime: Showtime) -> None:
    """Raises DryRunRequired when a second person must confirm a change: see booking's dry run."""
    _, sold = (await store.occupancy_of([showtime.id])).get(showtime.id, (0, 0))
    if showtime.state == "scheduled" and sold > TICKETS_FOR_ONE:
        raise DryRunRequired(tickets=sold)


def _moved(before: Showtime, body: RescheduleRequest, day_starts: str) -> dict[str, Any]:
    """The new times of the showtime and of its sales, as fields.

    Raises LocalTimeInvalid, LocalTimeAmbiguous, ShowtimeOver and SalesTimesInvalid.
    """
    starts_at = before.starts_at
    if body.local_start:
        starts_at = local_moment(body.local_start, ZoneInfo(before.time_zone), body.occurrence)
    shift = starts_at - before.starts_at
    if shift and starts_at <= now():
        raise ShowtimeOver("This start has passed.")
    close_at = before.sales_close_at + shift
    if body.sales_close_minutes is not None:
        close_at = starts_at + timedelta(minutes=body.sales_close_minutes)
    open_at, ends_at = body.sales_open_at or before.sales_open_at, before.ends_at + shift
    check_sales(open_at, close_at, ends_at)
    when = store.times(starts_at, ends_at, before.free_at + shift, before.time_zone, day_starts)
    return when | {"sales_open_at": open_at, "sales_close_at": close_at}


async def showtime_shown(showtime: Showtime) -> ShowtimeResponse:
    """A showtime for visitors."""
    seats = await store.occupancy_of([showtime.id])
    return ShowtimeResponse.model_validate(listed_showtime(dict(showtime) | {"_id": showtime.id}, seats))


def listed_showtime(showtime: Row, seats: Mapping[str, tuple[int, int]]) -> Row:
    """A showtime's row as its list entry; `seats` are taken and sold ones by showtime."""
    taken, _ = seats.get(showtime["_id"], (0, 0))
    return showtime | {
        "price_from": {"amount": showtime["price_from"], "currency": showtime["currency"]},
        "availability": availability(taken, showtime["capacity"]),
    }
