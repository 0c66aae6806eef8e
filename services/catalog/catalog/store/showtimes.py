"""Showtimes: their documents and the writes that change them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from chassis.outbox import Aggregate
from contracts.catalog import Price, ShowtimeScheduled
from contracts.types import Amount, Currency, Moment

from catalog.model import SALES_OPEN_BEFORE, price_from, price_table
from catalog.model.browse import Daypart, daypart_of
from catalog.store.movies import Movie
from catalog.store.reading import index
from catalog.store.theaters import Auditorium, Theater

_FILTERS = ("starts_at", "daypart", "format", "language", "theater_id", "movie_id")
"""Which films are on is answered from the index alone."""


class Showtime(Aggregate):
    """A film in an auditorium at a time, with what a list of showtimes prints and what selling it takes."""

    movie_id: str
    movie_title: str
    certificate: str
    theater_id: str
    theater_name: str
    city: str
    auditorium_id: str
    auditorium_name: str
    layout_id: str
    capacity: int
    time_zone: str
    local_date: str
    daypart: Daypart
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None = None
    currency: Currency
    prices: list[Price]
    price_from: Amount

    class Settings:
        name = "showtimes"
        indexes = [
            index("starts_at", "_id"),
            index("movie_id", "starts_at", "_id"),
            index("theater_id", "starts_at", "_id"),
            index("movie_id", "theater_id", "starts_at", "_id"),
            index("auditorium_id", "starts_at", unique=True),
            index("city", "local_date", *_FILTERS),
            index("theater_id", "local_date", *_FILTERS),
            index("local_date", *_FILTERS),
        ]

    @classmethod
    def of(
        cls,
        showtime_id: str,
        *,
        movie: Movie,
        theater: Theater,
        auditorium: Auditorium,
        starts_at: datetime,
        ends_at: datetime,
    ) -> "Showtime":
        """A showtime at the theater's prices, in the film's own language. Raises PriceMissing."""
        prices = price_table(theater.prices, auditorium.categories)
        local = starts_at.astimezone(ZoneInfo(theater.time_zone))
        return cls(
            id=showtime_id,
            movie_id=movie.id,
            movie_title=movie.title,
            certificate=movie.certificate,
            theater_id=theater.id,
            theater_name=theater.name,
            city=theater.address.city,
            auditorium_id=auditorium.id,
            auditorium_name=auditorium.name,
            layout_id=auditorium.layout_id,
            capacity=auditorium.capacity,
            time_zone=theater.time_zone,
            local_date=local.date().isoformat(),
            daypart=daypart_of(local.time()),
            starts_at=starts_at,
            ends_at=ends_at,
            sales_open_at=starts_at - SALES_OPEN_BEFORE,
            sales_close_at=starts_at,
            format="2D",
            language=movie.original_language,
            subtitles=None if movie.original_language == theater.language else theater.language,
            currency=theater.currency,
            prices=prices,
            price_from=price_from(prices),
        )


async def schedule(showtime: Showtime) -> bool:
    """Enter a showtime and say so; False when its id, or its auditorium at that minute, is taken.

    The film's `showing_until` moves first: should the showtime then not be written, the film is merely listed.
    """
    later = {"_id": showtime.movie_id, "showing_until": {"$not": {"$gte": showtime.starts_at}}}
    await Movie.commit(later, {"$set": {"showing_until": showtime.starts_at}}, projection={"_id": 1})
    fields = showtime.model_dump(include=set(ShowtimeScheduled.model_fields))
    return await Showtime.add(showtime, events=[ShowtimeScheduled(showtime_id=showtime.id, **fields)])
