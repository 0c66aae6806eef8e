"""Attendance: people with sold seats, from events of inventory and booking."""

from collections.abc import AsyncIterator
from datetime import datetime

from beanie import Document as Stored
from chassis.clock import now
from chassis.mongo import writes
from chassis.recent import Recent
from contracts.types import Moment

from catalog.store.reading import Document, index
from catalog.store.showtimes import Showtime

OVER_KEPT_S = 60 * 86_400
"""An event of the booking may still arrive late."""

_films: Recent[str] = Recent()
"""The film of a showtime, which never changes."""


class Attendance(Stored):
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


async def note_booking(booking_id: str, user_id: str, showtime_id: str) -> None:
    """Store a booking with sold seats. An earlier end stays: events may overtake each other."""
    if (movie_id := _films.get(showtime_id)) is None:
        showtime = await Showtime.collection().find_one({"_id": showtime_id}, {"movie_id": 1})
        if showtime is None:
            return
        _films.keep(showtime_id, movie_id := showtime["movie_id"])
    known = {"user_id": user_id, "movie_id": movie_id, "showtime_id": showtime_id}
    await writes.merge(Attendance.get_pymongo_collection(), booking_id, {"$set": known})


async def end_booking(booking_id: str) -> None:
    """Mark a booking as ended."""
    await Attendance.get_pymongo_collection().update_one({"_id": booking_id}, {"$set": {"over_at": now()}}, upsert=True)


async def has_attended(user_id: str, movie_id: str, moment: datetime) -> bool:
    """Whether the person had a ticket for a showtime of the film that ended before the given time."""
    booked = {"user_id": user_id, "movie_id": movie_id, "over_at": None}
    ids = await Attendance.get_pymongo_collection().distinct("showtime_id", booked)
    seen = {"_id": {"$in": ids}, "ends_at": {"$lte": moment}}
    return await Showtime.collection().find_one(seen, {"_id": 1}) is not None


async def attendances_of(user_id: str) -> AsyncIterator[Document]:
    """The showtimes that the person attended."""
    found = Attendance.get_pymongo_collection().find({"user_id": user_id}, sort=[("_id", 1)])
    async for document in found:
        booking_id = document.pop("_id")
        yield {"booking_id": booking_id} | document


async def forget_attendances(user_id: str) -> None:
    """Delete a person's attendance."""
    await Attendance.get_pymongo_collection().delete_many({"user_id": user_id})
