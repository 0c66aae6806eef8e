"""Changes that affect a film and its showtimes."""

from contextlib import suppress
from datetime import timedelta
from zoneinfo import ZoneInfo

from chassis.clock import now
from chassis.mongo.collection import Row

from catalog.model.problems import MovieOnSale, ShowtimeOver
from catalog.store.movies import live_movie, mark_deleted, movies
from catalog.store.occupancy import occupancy_of
from catalog.store.showtimes import SCHEDULED, cancel, showtimes

NAMED = 5
"""The number of showtimes named in the sentence; the problem's members have all."""
LATE = timedelta(hours=1)
"""Longer than a request that started to schedule a film before its deletion."""


async def delete_movie(movie_id: str) -> None:
    """Delete a film. Raises NotFound, and MovieOnSale, which names the future showtimes with sold seats.

    Seats sold between the check and the write are refunded like all tickets of a cancelled showtime: the handler of
    the deletion event cancels future showtimes.
    """
    movie, ahead = await live_movie(movie_id), await _future_showtimes(movie_id)
    seats = await occupancy_of([showtime["_id"] for showtime in ahead])
    sold = [showtime | {"sold": count} for showtime in ahead if (count := seats.get(showtime["_id"], (0, 0))[1])]
    if sold:
        named = "; ".join(map(_named, sold[:NAMED]))
        more = f" and {len(sold) - NAMED} more" if len(sold) > NAMED else ""
        raise MovieOnSale(
            f"{movie.title} cannot be deleted because seats are sold for {named}{more}.",
            showtimes=[{"showtime_id": showtime["_id"], "sold": showtime["sold"]} for showtime in sold],
        )
    await mark_deleted(movie_id)


async def cancel_future_showtimes(movie_id: str) -> None:
    """Cancel the future showtimes of a deleted film."""
    for showtime in await _future_showtimes(movie_id):
        with suppress(ShowtimeOver):
            await cancel(showtime["_id"], "other")


async def cancel_late_showtimes() -> None:
    """Cancel showtimes that were being scheduled while their film was deleted."""
    async for movie in movies.rows({"deleted": True, "deleted_at": {"$gt": now() - LATE}}, ["_id"]):
        await cancel_future_showtimes(movie["_id"])


async def _future_showtimes(movie_id: str) -> list[Row]:
    wanted = {**SCHEDULED, "movie_id": movie_id, "starts_at": {"$gt": now()}}
    fields = ("theater_name", "auditorium_name", "starts_at", "time_zone")
    return [each async for each in showtimes.rows(wanted, fields, sort=[("starts_at", 1), ("_id", 1)])]


def _named(showtime: Row) -> str:
    local = showtime["starts_at"].astimezone(ZoneInfo(showtime["time_zone"]))
    return f"{showtime['theater_name']}, {showtime['auditorium_name']}, {local:%Y-%m-%d %H:%M} ({showtime['sold']})"


async def update_future_showtimes(movie_id: str) -> None:
    """Update the film's title and certificate in its future showtimes.

    The film is read again afterwards, because of two concurrent updates the one with the older data must not win.
    """
    printed: dict[str, str] | None = None
    while film := await movies.row({"_id": movie_id}, ("title", "certificate")):
        if printed == (printed := {"movie_title": film["title"], "certificate": film["certificate"]}):
            return
        ahead = {"state": {"$in": ["draft", "scheduled"]}, "movie_id": movie_id, "starts_at": {"$gt": now()}}
        await showtimes.update_many(ahead, {"$set": printed})
