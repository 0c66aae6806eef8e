"""Who has been to what: people whose seats were sold, as inventory's and booking's events tell."""

from collections.abc import AsyncIterator
from datetime import datetime

from beanie import Document as Stored
from chassis import writes
from chassis.clock import now
from chassis.recent import Recent
from contracts.types import Moment

from catalog.store.reading import Document, index
from catalog.store.showtimes import Showtime

OVER_KEPT_S = 60 * 86_400
"""An event of the booking may still come late."""

_films: Recent[str] = Recent()
"""Of showtimes: it stays the same."""


class Attendance(Stored):
    """A person's booking of a showtime, by the booking's id. `over_at`: it was taken back or exchanged.

    Most bookings that are over were never confirmed; what is over is let go after a while.
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
    """A booking has its seats. Whether it is over already is left as it stands: events overtake each other."""
    if (movie_id := _films.get(showtime_id)) is None:
        showtime = await Showtime.collection().find_one({"_id": showtime_id}, {"movie_id": 1})
        if showtime is None:
            return
        _films.keep(showtime_id, movie_id := showtime["movie_id"])
    known = {"user_id": user_id, "movie_id": movie_id, "showtime_id": showtime_id}
    await writes.merge(Attendance.get_pymongo_collection(), booking_id, {"$set": known})


async def end_booking(booking_id: str) -> None:
    """A booking does not stand any more."""
    await Attendance.get_pymongo_collection().update_one({"_id": booking_id}, {"$set": {"over_at": now()}}, upsert=True)


async def has_attended(user_id: str, movie_id: str, moment: datetime) -> bool:
    """Whether the person had a ticket for a showtime of the film that is over by then."""
    booked = {"user_id": user_id, "movie_id": movie_id, "over_at": None}
    ids = await Attendance.get_pymongo_collection().distinct("showtime_id", booked)
    seen = {"_id": {"$in": ids}, "ends_at": {"$lte": moment}}
    return await Showtime.collection().find_one(seen, {"_id": 1}) is not None


async def attendances_of(user_id: str) -> AsyncIterator[Document]:
    """Where the person has been, by their bookings."""
    found = Attendance.get_pymongo_collection().find({"user_id": user_id}, sort=[("_id", 1)])
    async for document in found:
        booking_id = document.pop("_id")
        yield {"booking_id": booking_id} | document


async def forget_attendances(user_id: str) -> None:
    """A person is gone."""
    await Attendance.get_pymongo_collection().delete_many({"user_id": user_id})
