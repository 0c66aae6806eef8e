"""The schedule builder: a pattern becomes showtimes, all of them or none.

Publishing reserves first: the showtimes are inserted as drafts, which occupy their slots under the unique index but
appear in no list. When all are inserted, one write on the schedule decides that they
are published, and each draft becomes a showtime with its event. After a crash `resume` completes or rolls back,
depending on that one write.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import structlog
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.errors import Problem
from contracts.types import Moment
from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from catalog.model.days import Occurrence, local_on
from catalog.model.problems import AuditoriumClosed, ChangedMeanwhile, NotFound, ShowtimeOver
from catalog.model.schedule import Pattern, Placed, Showing, local_moment
from catalog.store.movies import Movie, movies
from catalog.store.prices import PriceList, price_lists_of
from catalog.store.reading import index
from catalog.store.showtimes import Showtime, Taken, announced, clash, conflicting, show_until, showtimes, taken_where
from catalog.store.theaters import Auditorium, Theater, auditoriums

log = structlog.get_logger()
A = TypeVar("A", bound=Aggregate)
WRITES_AT_ONCE, DUPLICATE_KEY = 16, 11000
LEFT_BEHIND_AFTER = timedelta(minutes=1)
"""Longer than any publication: twice the gateway's read timeout."""
LONGEST = timedelta(days=1)
"""The maximum length of a showtime, including cleaning."""


class Schedule(Aggregate):
    """A published pattern, or an attempt to publish one, with `size` showtimes."""

    theater_id: str
    state: Literal["reserving", "publishing", "published", "given_up"] = "reserving"
    size: int
    published_by: str
    begun_at: Moment

    class Settings:
        name = "schedules"
        indexes = [
            index("begun_at", partialFilterExpression={"state": {"$in": ["reserving", "publishing"]}}),
        ]


schedules = Collection(Schedule)


@dataclass(frozen=True)
class PlanningData:
    """A theater with the data for planning: auditoriums and films by id, and its price lists."""

    theater: Theater
    rooms: dict[str, Auditorium]
    movies: dict[str, Movie]
    tariffs: Sequence[PriceList]

    def showtime(self, wanted: Placed, local_start: datetime, occurrence: Occurrence | None) -> Showtime:
        """Plan a showtime without storing it.

        Raises AuditoriumClosed, LocalTimeInvalid, LocalTimeAmbiguous, ShowtimeOver, RuntimeUnknown, PriceMissing,
        PriceNotChargeable and SalesTimesInvalid.
        """
        room = self.rooms[wanted.auditorium_id]
        if room.closed:
            raise AuditoriumClosed
        starts_at = local_moment(local_start, ZoneInfo(self.theater.time_zone), occurrence)
        if starts_at <= now():
            raise ShowtimeOver("This start has passed.")
        return Showtime.of(
            new_id(),
            movie=self.movies[wanted.movie_id],
            theater=self.theater,
            auditorium=room,
            tariffs=self.tariffs,
            starts_at=starts_at,
            terms=wanted,
        )


async def planning_data_of(theater: Theater, wanted: Sequence[Placed]) -> PlanningData:
    """Read the theater's data for planning these showtimes. Raises NotFound for an auditorium or a film."""
    rooms = await _all(auditoriums, "auditorium", (each.auditorium_id for each in wanted), {"theater_id": theater.id})
    films = await _all(movies, "movie", (each.movie_id for each in wanted), {"deleted": {"$ne": True}})
    return PlanningData(theater, rooms, films, await price_lists_of(theater.id))


@dataclass
class Item:
    """One showtime of a preview, or its fault. `number` counts the pattern's showtimes from 1, day by day."""

    number: int
    local_start: datetime
    showing: Showing
    showtime: Showtime | None = None
    fault: Problem | None = None


async def preview(theater: Theater, pattern: Pattern) -> list[Item]:
    """Plan the pattern's showtimes in this theater. Raises NotFound for an auditorium or a film."""
    planning = await planning_data_of(theater, pattern.showings)
    plan = [(day, showing) for day in pattern.days() for showing in pattern.showings]
    items = [
        Item(number, local_on(day, time.fromisoformat(showing.starts), theater.day_starts), showing)
        for number, (day, showing) in enumerate(plan, 1)
    ]
    for item in items:
        try:
            item.showtime = planning.showtime(item.showing, item.local_start, pattern.occurrence)
        except Problem as fault:
            item.fault = fault
    await _find_clashes(items, list(planning.rooms))
    return items


async def _all(collection: Collection[A], kind: str, ids: Iterable[str], where: Mapping[str, Any]) -> dict[str, A]:
    """These documents by id. Raises NotFound when one is missing."""
    wanted = set(ids)
    known = {each.id: each async for each in collection.find({"_id": {"$in": list(wanted)}, **where})}
    if missing := sorted(wanted - known.keys()):
        raise NotFound(f"There is no {kind} {', '.join(missing)}.", missing=missing)
    return known


async def _find_clashes(items: Sequence[Item], auditorium_ids: Sequence[str]) -> None:
    """Add the conflicts of each item: with existing showtimes and with earlier items."""
    planned = [(item, item.showtime) for item in items if item.showtime]
    if not planned:
        return
    first = min(showtime.starts_at for _, showtime in planned)
    last = max(showtime.free_at for _, showtime in planned)
    around = {
        "auditorium_id": {"$in": list(auditorium_ids)},
        "starts_at": {"$gt": first - LONGEST, "$lt": last},
        "slots": {"$type": "int"},
    }
    taken = {(each.auditorium_id, slot): each for each in await taken_where(around) for slot in each.slots}
    for item, showtime in planned:
        wanted = [(showtime.auditorium_id, slot) for slot in showtime.slots or []]
        clashes = {taken[slot].id: taken[slot] for slot in wanted if slot in taken}
        if clashes:
            item.fault, item.showtime = clash(list(clashes.values())), None
        else:
            taken |= dict.fromkeys(wanted, Taken.model_validate(showtime))


async def publish(theater_id: str, showtimes: Sequence[Showtime], published_by: str) -> Schedule:
    """Publish all showtimes or none. Raises ShowtimesClash, and ChangedMeanwhile when it took too long."""
    schedule = Schedule(theater_id=theater_id, size=len(showtimes), published_by=published_by, begun_at=now())
    await schedules.insert(schedule)
    drafts = [each.model_copy(update={"state": "draft", "schedule_id": schedule.id}) for each in showtimes]
    if refused := await _reserve(drafts):
        await _decide(schedule.id, "given_up")
        await _drop_drafts(schedule.id)
        clashes = {found.id: found for each in refused for found in await _others(each)}
        raise clash(list(clashes.values()))
    if not await _decide(schedule.id, "publishing"):
        await _drop_drafts(schedule.id)
        raise ChangedMeanwhile
    await _finish(schedule.id)
    return schedule.model_copy(update={"state": "published"})


async def _reserve(drafts: Sequence[Showtime]) -> list[Showtime]:
    """Insert the drafts whose slots are free; returns the others."""
    documents = [draft.model_dump(by_alias=True) | {"version": 1, "outbox": []} for draft in drafts]
    try:
        await showtimes.bulk_write([InsertOne(document) for document in documents])
    except BulkWriteError as error:
        faults = error.details["writeErrors"]
        if any(fault["code"] != DUPLICATE_KEY for fault in faults):
            raise
        return [drafts[fault["index"]] for fault in faults]
    return []


async def _others(draft: Showtime) -> list[Taken]:
    found = await conflicting(draft.auditorium_id, draft.slots or [])
    return [each for each in found if each.schedule_id != draft.schedule_id]


async def _decide(schedule_id: str, state: Literal["publishing", "given_up"]) -> bool:
    """Decide about the drafts in one write; False when the opposite has been decided."""
    return await schedules.update({"_id": schedule_id, "state": "reserving"}, {"$set": {"state": state}})


async def _drop_drafts(schedule_id: str) -> None:
    await showtimes.delete_many({"schedule_id": schedule_id, "state": "draft"})


async def _finish(schedule_id: str) -> None:
    """Turn the remaining drafts into showtimes, with their events."""
    drafts = [draft async for draft in showtimes.find({"schedule_id": schedule_id, "state": "draft"})]
    for movie_id in {draft.movie_id for draft in drafts}:
        await show_until(movie_id, max(draft.starts_at for draft in drafts if draft.movie_id == movie_id))
    turn = asyncio.Semaphore(WRITES_AT_ONCE)

    async def announce(draft: Showtime) -> None:
        async with turn:
            is_draft = {"_id": draft.id, "state": "draft"}
            await showtimes.update(is_draft, {"$set": {"state": "scheduled"}}, events=[announced(draft)])

    await asyncio.gather(*map(announce, drafts))
    await schedules.update({"_id": schedule_id, "state": "publishing"}, {"$set": {"state": "published"}})


async def resume() -> None:
    """Complete schedules that a crash left unfinished, and delete drafts that were inserted too late."""
    old = {"state": {"$in": ["reserving", "publishing"]}, "begun_at": {"$lt": now() - LEFT_BEHIND_AFTER}}
    left = [schedule["_id"] async for schedule in schedules.rows(old, ["_id"])]
    for schedule_id in left:
        await _decide(schedule_id, "given_up")
    for schedule_id in {*left, *await showtimes.distinct("schedule_id", {"state": "draft"})}:
        schedule = await schedules.get(schedule_id)
        if schedule and schedule.state == "given_up":
            await _drop_drafts(schedule_id)
        elif schedule_id in left:
            await _finish(schedule_id)
            log.info("schedule_finished", schedule_id=schedule_id)


async def schedule_of(theater_id: str, schedule_id: str) -> Schedule:
    """A schedule of the theater. Raises NotFound."""
    if schedule := await schedules.find_one({"_id": schedule_id, "theater_id": theater_id}):
        return schedule
    raise NotFound(f"There is no schedule {schedule_id}.")
