"""The schedule builder: preview a pattern, then publish it as a whole."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal

from chassis.http.problems import documented
from contracts.errors import Problem
from contracts.types import Id, Moment
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from catalog import store
from catalog.api.access import REFUSALS, Body, ShowtimeWriter, own_theater
from catalog.api.http import Money, Stored
from catalog.model.problems import ChangedMeanwhile, ScheduleChanged, ScheduleFaulty, ShowtimesClash
from catalog.model.schedule import MAX_ITEMS, Pattern, WallTime
from catalog.store import Item

managed = APIRouter(prefix="/api", tags=["catalog: showtimes"])


class Fault(BaseModel):
    """Why a showtime is impossible: the problem that scheduling it alone would return."""

    model_config = ConfigDict(extra="allow")

    code: str
    detail: str


class PlannedShowtime(BaseModel):
    """One showtime of a pattern, or its fault. `number` counts them from 1."""

    number: int
    auditorium_id: Id
    movie_id: Id
    local_start: WallTime
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    free_at: Moment | None = Field(None, description="End of the cleaning")
    sales_open_at: Moment | None = None
    sales_close_at: Moment | None = None
    price_from: Money | None = None
    fault: Fault | None = None


PLANNED = {"starts_at", "ends_at", "free_at", "sales_open_at", "sales_close_at"}


class SchedulePreviewResponse(BaseModel):
    """The preview of a pattern. `fingerprint` identifies everything that would be published."""

    items: list[PlannedShowtime]
    faulty: list[int]
    fingerprint: str


class PublishRequest(Body):
    """The previewed pattern, and the numbers of the showtimes to leave out."""

    pattern: Pattern
    fingerprint: str
    leave_out: Annotated[list[int], Field(max_length=MAX_ITEMS)] = []


class ScheduleResponse(Stored):
    """A schedule that was published or refused."""

    theater_id: Id
    state: Literal["reserving", "publishing", "published", "given_up"]
    size: int = Field(description="How many showtimes")
    begun_at: Moment


class PublishedScheduleResponse(ScheduleResponse):
    showtime_ids: list[Id]


@managed.post("/theaters/{theater_id}/schedules/preview", responses=REFUSALS)
async def preview_schedule(theater_id: Id, body: Pattern, staff: ShowtimeWriter) -> SchedulePreviewResponse:
    """Preview the pattern, with every clash and every nonexistent local time."""
    theater = await own_theater(staff, theater_id)
    items = await store.preview(theater, body)
    return SchedulePreviewResponse(
        items=[_shown(item) for item in items],
        faulty=[item.number for item in items if item.fault],
        fingerprint=_fingerprint(items),
    )


@managed.post(
    "/theaters/{theater_id}/schedules",
    status_code=201,
    responses=REFUSALS | documented(ScheduleFaulty, ScheduleChanged, ShowtimesClash, ChangedMeanwhile),
)
async def publish_schedule(theater_id: Id, body: PublishRequest, staff: ShowtimeWriter) -> PublishedScheduleResponse:
    """Publish the previewed schedule completely or not at all. Impossible showtimes must be left out by number."""
    theater = await own_theater(staff, theater_id)
    items = await store.preview(theater, body.pattern)
    wanted = [item for item in items if item.number not in body.leave_out]
    if faulty := [item for item in wanted if item.fault]:
        raise ScheduleFaulty(
            "; ".join(f"{item.local_start:%Y-%m-%d %H:%M}: {item.fault}" for item in faulty[:5]),
            faulty=[item.number for item in faulty],
        )
    if _fingerprint(items) != body.fingerprint:
        raise ScheduleChanged
    showtimes = [item.showtime for item in wanted if item.showtime]
    made = await store.publish(theater_id, showtimes, staff.user_id)
    ids = [showtime.id for showtime in showtimes]
    return PublishedScheduleResponse.model_validate(dict(made) | {"showtime_ids": ids})


@managed.get("/theaters/{theater_id}/schedules/{schedule_id}", responses=REFUSALS)
async def get_schedule(theater_id: Id, schedule_id: Id, staff: ShowtimeWriter) -> ScheduleResponse:
    """The state of a schedule."""
    await own_theater(staff, theater_id)
    return ScheduleResponse.model_validate(await store.schedule_of(theater_id, schedule_id))


def _shown(item: Item) -> PlannedShowtime:
    names = {"auditorium_id": item.showing.auditorium_id, "movie_id": item.showing.movie_id}
    planned: dict[str, Any] = {"number": item.number, "local_start": item.local_start, **names}
    if item.fault:
        planned["fault"] = _fault(item.fault)
    if item.showtime:
        planned |= item.showtime.model_dump(include=PLANNED)
        planned["price_from"] = Money(amount=item.showtime.price_from, currency=item.showtime.currency)
    return PlannedShowtime(**planned)


def _fault(problem: Problem) -> Fault:
    return Fault(code=problem.code, detail=problem.detail, **problem.members)


def _fingerprint(items: Sequence[Item]) -> str:
    """A short text that changes with everything that would be published."""
    digest = sha256()
    for item in items:
        written = item.showtime.model_dump_json(exclude={"id"}) if item.showtime else str(item.fault)
        digest.update(written.encode())
    return digest.hexdigest()
