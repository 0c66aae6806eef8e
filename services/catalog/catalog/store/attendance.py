"""Attendance: people with sold seats, from events of inventory and booking."""

from collections.abc import AsyncIterator, MutableMapping
from datetime import datetime

from beanie import Document
from chassis.clock import now
from chassis.mongo.collection import Collection, Row
from contracts.types import Moment

from catalog.store.reading import index
from catalog.store.showtimes import showtimes

OVER_KEPT_S = 60 * 86_400
"""An event of the booking may still arrive late."""


class Attendance(Document):
    """A person's booking of a showtime, by the booking's id. `over_at`: it was cancelled or exchanged.

    Most ended bookings were never confirmed; MongoDB deletes ended ones after a while.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    user_id: str | None = None
    movie_id: str | None = None
    showtime_id: str | None = None
    over_at: Moment | None = None

    class Settings:
        name = "attendances"
        indexes = [
            index("user_id", "movie_id", partialFilterExpression={"user_id": {"$gt": ""}}),
            index("over_at", expireAfterSeconds=OVER_KEPT_S),
        ]


attendances = Collection(Attendance)


async def record_attendance(booking_id: str, user_id: str, showtime_id: str, films: MutableMapping[str, str]) -> None:
    """Store a booking with sold seats. An earlier end stays: events may overtake each other.

    `films` caches the film of a showtime, which never changes.
    """
    if (movie_id := films.get(showtime_id)) is None:
        showtime = await showtimes.row({"_id": showtime_id}, ["movie_id"])
        if showtime is None:
            return
        films[showtime_id] = movie_id = showtime["movie_id"]
    known = {"user_id": user_id, "movie_id": movie_id, "showtime_id": showtime_id}
    await attendances.merge(booking_id, {"$set": known})


async def end_attendance(booking_id: str) -> None:
    """Mark a booking as ended."""
    await attendances.merge(booking_id, {"$set": {"over_at": now()}})


async def has_attended(user_id: str, movie_id: str, moment: datetime) -> bool:
    """Whether the person had a ticket for a showtime of the film that ended before the given time."""
    booked = {"user_id": user_id, "movie_id": movie_id, "over_at": None}
    ids = await attendances.distinct("showtime_id", booked)
    return await showtimes.exists({"_id": {"$in": ids}, "ends_at": {"$lte": moment}})


async def attendances_of(user_id: str) -> AsyncIterator[Row]:
    """The showtimes that the person attended."""
    async for visit in attendances.find({"user_id": user_id}, sort=[("_id", 1)]):
        yield {"booking_id": visit.id} | visit.model_dump(exclude={"id"})


async def erase_attendances(user_id: str) -> None:
    """Delete a person's attendance."""
    await attendances.delete_many({"user_id": user_id})
