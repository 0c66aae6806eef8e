"""Films and their showtimes together."""

from chassis.clock import now

from catalog.store.movies import Movie
from catalog.store.showtimes import Showtime


async def rename_showtimes(movie_id: str) -> None:
    """Showtimes ahead print the film's title and certificate as they are now.

    The film is read again afterwards: of two who do this at once, the one who read it earlier must not write last.
    """
    printed: dict[str, str] | None = None
    while film := await Movie.collection().find_one({"_id": movie_id}, {"title": 1, "certificate": 1}):
        if printed == (printed := {"movie_title": film["title"], "certificate": film["certificate"]}):
            return
        ahead = {"state": {"$in": ["draft", "scheduled"]}, "movie_id": movie_id, "starts_at": {"$gt": now()}}
        await Showtime.collection().update_many(ahead, {"$set": printed})
