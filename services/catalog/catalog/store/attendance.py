"""Who has been to what: people with a confirmed booking, as booking's events tell."""

from datetime import datetime

from beanie import Document as Stored

from catalog.store.reading import index
from catalog.store.showtimes import Showtime


class Attendance(Stored):
    """A person's booking of a showtime, by the booking's id. One that is `over` was taken back or exchanged."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    user_id: str | None = None
    movie_id: str | None = None
    showtime_id: str | None = None
    over: bool = False

    class Settings:
        name = "attendances"
        indexes = [index("user_id", "movie_id")]


async def note_booking(booking_id: str, user_id: str, showtime_id: str) -> None:
    """A booking is confirmed. Whether it is over already is left as it stands: events overtake each other."""
    showtime = await Showtime.collection().find_one({"_id": showtime_id}, {"movie_id": 1})
    if showtime is None:
        return
    known = {"user_id": user_id, "movie_id": showtime["movie_id"], "showtime_id": showtime_id}
    await Attendance.get_pymongo_collection().update_one({"_id": booking_id}, {"$set": known}, upsert=True)


async def end_booking(booking_id: str) -> None:
    """A booking does not stand any more."""
    await Attendance.get_pymongo_collection().update_one({"_id": booking_id}, {"$set": {"over": True}}, upsert=True)


async def has_attended(user_id: str, movie_id: str, moment: datetime) -> bool:
    """Whether the person had a ticket for a showtime of the film that is over by then."""
    booked = {"user_id": user_id, "movie_id": movie_id, "over": {"$ne": True}}
    ids = await Attendance.get_pymongo_collection().distinct("showtime_id", booked)
    seen = {"_id": {"$in": ids}, "ends_at": {"$lte": moment}}
    return await Showtime.collection().find_one(seen, {"_id": 1}) is not None


async def forget_attendances(user_id: str) -> None:
    """A person is gone."""
    await Attendance.get_pymongo_collection().delete_many({"user_id": user_id})
