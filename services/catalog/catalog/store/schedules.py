"""The schedule builder: a pattern becomes showtimes, all of them or none.

Publishing reserves first: the showtimes are inserted as drafts, which occupy their slots under the unique index but
appear in no list. When all are inserted, one write on the schedule decides that they
are published, and each draft becomes a showtime with its event. After a crash `resume` completes or rolls back,
depending on that one write.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import structlog
from beanie.odm.utils.dump import get_dict
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.outbox import Aggregate
from contracts.errors import Problem
from contracts.types import Moment
from pymongo.errors import BulkWriteError

from catalog.model.problems import AuditoriumClosed, ChangedMeanwhile, NotFound, ShowtimeOver
from catalog.model.schedule import Occurrence, Pattern, Placed, Showing, local_moment
from catalog.store.movies import Movie
from catalog.store.prices import PriceList, price_lists_of
from catalog.store.reading import Document, index
from catalog.store.showtimes import Showtime, announced, clash, in_the_way, show_until
from catalog.store.theaters import Auditorium, Theater

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


@dataclass(frozen=True)
class PlanningData:
    """A theater with the data for planning: auditoriums and films by id, and its price lists."""

    theater: Theater
    rooms: dict[str, Auditorium]
    movies: dict[str, Movie]
    tariffs: Sequence[PriceList]

    def showtime(self, wanted: Placed, local_start: datetime, occurrence: Occurrence | None) -> Showtime:
        """Plan a showtime without storing it.

        Raises AuditoriumClosed, LocalTimeInvalid, LocalTimeAmbiguous, ShowtimeOver, PriceMissing, SalesTimesInvalid.
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
    rooms = await _all(Auditorium, {each.auditorium_id for each in wanted}, {"theater_id": theater.id})
    movies = await _all(Movie, {each.movie_id for each in wanted}, {"deleted": {"$ne": True}})
    return PlanningData(theater, rooms, movies, await price_lists_of(theater.id))


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
        Item(number, datetime.combine(day, time.fromisoformat(showing.starts)), showing)
        for number, (day, showing) in enumerate(plan, 1)
    ]
    for item in items:
        try:
            item.showtime = planning.showtime(item.showing, item.local_start, pattern.occurrence)
        except Problem as fault:
            item.fault = fault
    await _find_clashes(items, list(planning.rooms))
    return items


async def _all(kind: type[A], ids: Collection[str], where: Document) -> dict[str, A]:
    """These documents by id. Raises NotFound when one is missing."""
    found = kind.collection().find({"_id": {"$in": list(ids)}, **where}, {"outbox": 0})
    known = {document["_id"]: kind.parse(document) async for document in found}
    if missing := sorted(set(ids) - known.keys()):
        raise NotFound(f"There is no {kind.__name__.lower()} {', '.join(missing)}.", missing=missing)
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
    taken: dict[tuple[str, int], Document] = {}
    async for document in Showtime.collection().find(around, {"prices": 0, "outbox": 0}):
        taken |= {(document["auditorium_id"], slot): document for slot in document["slots"]}
    for item, showtime in planned:
        wanted = [(showtime.auditorium_id, slot) for slot in showtime.slots or []]
        in_the_way = {taken[slot]["_id"]: taken[slot] for slot in wanted if slot in taken}
        if in_the_way:
            item.fault, item.showtime = clash(list(in_the_way.values())), None
        else:
            document = {**showtime.model_dump(), "_id": showtime.id}
            taken |= dict.fromkeys(wanted, document)


async def publish(theater_id: str, showtimes: Sequence[Showtime], published_by: str) -> Schedule:
    """Publish all showtimes or none. Raises ShowtimesClash, and ChangedMeanwhile when it took too long."""
    schedule = Schedule(theater_id=theater_id, size=len(showtimes), published_by=published_by, begun_at=now())
    await Schedule.add(schedule)
    drafts = [each.model_copy(update={"state": "draft", "schedule_id": schedule.id}) for each in showtimes]
    if refused := await _reserve(drafts):
        await _decide(schedule.id, "given_up")
        await _drop_drafts(schedule.id)
        clashes = {found["_id"]: found for each in refused for found in await _others(each)}
        raise clash(list(clashes.values()))
    if not await _decide(schedule.id, "publishing"):
        await _drop_drafts(schedule.id)
        raise ChangedMeanwhile
    await _finish(schedule.id)
    return schedule.model_copy(update={"state": "published"})


async def _reserve(drafts: Sequence[Showtime]) -> list[Showtime]:
    """Insert the drafts whose slots are free; returns the others."""
    documents = [get_dict(draft, to_db=True) | {"version": 1, "outbox": []} for draft in drafts]
    try:
        await Showtime.collection().insert_many(documents, ordered=False)
    except BulkWriteError as error:
        faults = error.details["writeErrors"]
        if any(fault["code"] != DUPLICATE_KEY for fault in faults):
            raise
        return [drafts[fault["index"]] for fault in faults]
    return []


async def _others(draft: Showtime) -> list[Document]:
    found = await in_the_way(draft.auditorium_id, draft.slots or [])
    return [each for each in found if each.get("schedule_id") != draft.schedule_id]


async def _decide(schedule_id: str, state: Literal["publishing", "given_up"]) -> bool:
    """Decide about the drafts in one write; False when the opposite has been decided."""
    undecided = {"_id": schedule_id, "state": "reserving"}
    return await Schedule.commit(undecided, {"$set": {"state": state}}, projection={"_id": 1}) is not None


async def _drop_drafts(schedule_id: str) -> None:
    await Showtime.collection().delete_many({"schedule_id": schedule_id, "state": "draft"})


async def _finish(schedule_id: str) -> None:
    """Turn the remaining drafts into showtimes, with their events."""
    found = Showtime.collection().find({"schedule_id": schedule_id, "state": "draft"}, {"outbox": 0})
    drafts = [Showtime.parse(document) async for document in found]
    for movie_id in {draft.movie_id for draft in drafts}:
        await show_until(movie_id, max(draft.starts_at for draft in drafts if draft.movie_id == movie_id))
    turn = asyncio.Semaphore(WRITES_AT_ONCE)

    async def announce(draft: Showtime) -> None:
        async with turn:
            is_draft = {"_id": draft.id, "state": "draft"}
            await Showtime.commit(
                is_draft, {"$set": {"state": "scheduled"}}, events=[announced(draft)], projection={"_id": 1}
            )

    await asyncio.gather(*map(announce, drafts))
    await Schedule.commit({"_id": schedule_id, "state": "publishing"}, {"$set": {"state": "published"}})


async def resume() -> None:
    """Complete schedules that a crash left unfinished, and delete drafts that were inserted too late."""
    old = {"state": {"$in": ["reserving", "publishing"]}, "begun_at": {"$lt": now() - LEFT_BEHIND_AFTER}}
    left = [document["_id"] async for document in Schedule.collection().find(old, {"_id": 1})]
    for schedule_id in left:
        await _decide(schedule_id, "given_up")
    for schedule_id in {*left, *await Showtime.collection().distinct("schedule_id", {"state": "draft"})}:
        schedule = await Schedule.collection().find_one({"_id": schedule_id}, {"state": 1})
        if schedule and schedule["state"] == "given_up":
            await _drop_drafts(schedule_id)
        elif schedule_id in left:
            await _finish(schedule_id)
            log.info("schedule_finished", schedule_id=schedule_id)


async def schedule_of(theater_id: str, schedule_id: str) -> Document:
    """A schedule of the theater. Raises NotFound."""
    if document := await Schedule.collection().find_one({"_id": schedule_id, "theater_id": theater_id}, {"outbox": 0}):
        return document
    raise NotFound(f"There is no schedule {schedule_id}.")
