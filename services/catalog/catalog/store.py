"""Movies, theaters, auditoriums, seat layouts and showtimes: their documents, and the writes that change them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pymongo
from chassis.outbox import Aggregate
from contracts.catalog import MoviePublished, PlacedSeat, Price, SeatLayoutPublished, ShowtimeScheduled
from contracts.types import Amount, Code, Currency, Moment, Shape
from pydantic import Field
from pymongo import IndexModel

from catalog.model import SALES_OPEN_BEFORE, Art, Layout, format_layout, price_from, price_table, sort_title, words_of

Document = dict[str, Any]


def _index(*keys: str, **options: Any) -> IndexModel:
    return IndexModel([(key, pymongo.ASCENDING) for key in keys], **options)


class Movie(Aggregate):
    """A film. `words` is what a search looks at, `showing_until` the last start of its showtimes."""

    title: str
    original_title: str
    year: int
    directors: list[str]
    cast: list[str]
    runtime_minutes: int = Field(gt=0, lt=1000)
    genres: list[Code]
    certificate: str
    original_language: str
    synopsis: str
    art: Art | None = None
    sort_title: str = ""
    words: list[str] = []
    showing_until: Moment | None = None

    class Settings:
        name = "movies"
        indexes = [_index("sort_title", "_id"), _index("genres", "sort_title", "_id"), _index("words")]


class Address(Shape):
    street: str
    postal_code: str
    city: str
    country: str


class Position(Shape):
    """WGS 84, degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Theater(Aggregate):
    """A house. `language` is what its visitors read, `prices` category × ticket type in minor units, all-in."""

    name: str
    address: Address
    position: Position
    time_zone: str
    currency: Currency
    language: str
    features: list[str] = []
    prices: dict[Code, dict[Code, Amount]]

    class Settings:
        name = "theaters"
        indexes = [_index("name", "_id")]


class SeatLayout(Aggregate):
    """One version of an auditorium's seats, as clients need them and as a person types them. It never changes."""

    auditorium_id: str
    text: str
    columns: float
    rows: float
    seats: list[PlacedSeat]

    class Settings:
        name = "seat_layouts"

    @classmethod
    def of(cls, layout_id: str, auditorium_id: str, layout: Layout) -> "SeatLayout":
        """The document of a layout that was read from text."""
        return cls(
            id=layout_id,
            auditorium_id=auditorium_id,
            text=format_layout(layout),
            columns=layout.columns,
            rows=layout.rows,
            seats=list(layout.seats),
        )


class Auditorium(Aggregate):
    """A room of a theater with the layout that new showtimes get."""

    theater_id: str
    name: str
    features: list[str] = []
    layout_id: str
    capacity: int
    categories: list[Code]

    class Settings:
        name = "auditoriums"
        indexes = [_index("theater_id", "name")]


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
    time_zone: str
    local_date: str
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
            _index("starts_at", "_id"),
            _index("movie_id", "starts_at", "_id"),
            _index("theater_id", "starts_at", "_id"),
            _index("movie_id", "theater_id", "starts_at", "_id"),
            _index("auditorium_id", "starts_at", unique=True),
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
            time_zone=theater.time_zone,
            local_date=starts_at.astimezone(ZoneInfo(theater.time_zone)).date().isoformat(),
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


DOCUMENTS = [Movie, Theater, SeatLayout, Auditorium, Showtime]


async def publish_movie(movie: Movie) -> bool:
    """Enter a film and say so; False when its id is taken."""
    movie.sort_title = sort_title(movie.title)
    movie.words = words_of(movie.title, movie.original_title, *movie.directors, *movie.cast)
    event = MoviePublished(
        movie_id=movie.id, title=movie.title, runtime_minutes=movie.runtime_minutes, certificate=movie.certificate
    )
    return await Movie.add(movie, events=[event])


async def publish_layout(layout: SeatLayout) -> bool:
    """Enter a seat layout and say so; False when its id is taken."""
    event = SeatLayoutPublished(
        layout_id=layout.id,
        auditorium_id=layout.auditorium_id,
        columns=layout.columns,
        rows=layout.rows,
        seats=layout.seats,
    )
    return await SeatLayout.add(layout, events=[event])


async def schedule(showtime: Showtime) -> bool:
    """Enter a showtime and say so; False when its id, or its auditorium at that minute, is taken.

    The film's `showing_until` moves first: should the showtime then not be written, the film is merely listed.
    """
    later = {"_id": showtime.movie_id, "showing_until": {"$not": {"$gte": showtime.starts_at}}}
    await Movie.commit(later, {"$set": {"showing_until": showtime.starts_at}})
    fields = showtime.model_dump(include=set(ShowtimeScheduled.model_fields))
    return await Showtime.add(showtime, events=[ShowtimeScheduled(showtime_id=showtime.id, **fields)])


async def ids_of(kind: type[Aggregate], ids: Sequence[str]) -> set[str]:
    """Which of these ids exist."""
    return {document["_id"] async for document in kind.collection().find({"_id": {"$in": list(ids)}}, {"_id": 1})}


async def get(kind: type[Aggregate], document_id: str) -> Document | None:
    """One raw document without its outbox."""
    return await kind.collection().find_one({"_id": document_id}, {"outbox": 0})


async def page(
    kind: type[Aggregate],
    where: Mapping[str, Any],
    *,
    by: str,
    after: tuple[Any, str] | None,
    limit: int,
    without: Sequence[str] = (),
) -> list[Document]:
    """Up to `limit` documents in the order of `by` and id, beginning after that position; some fields left out."""
    conditions: list[Mapping[str, Any]] = [where] if where else []
    if after:
        # The first condition gives the index its bound, the second one drops the rows that share the value.
        conditions += [{by: {"$gte": after[0]}}, {"$or": [{by: {"$gt": after[0]}}, {"_id": {"$gt": after[1]}}]}]
    found = kind.collection().find({"$and": conditions} if conditions else {}, dict.fromkeys(("outbox", *without), 0))
    return await found.sort([(by, 1), ("_id", 1)]).limit(limit).to_list()


async def genres() -> list[str]:
    """Every genre that a film has, in alphabetical order."""
    return sorted(await Movie.collection().distinct("genres"))


async def auditoriums_of(theater_ids: Sequence[str]) -> list[Document]:
    """The auditoriums of some theaters by name."""
    found = Auditorium.collection().find({"theater_id": {"$in": list(theater_ids)}}, {"outbox": 0})
    return await found.sort([("theater_id", 1), ("name", 1)]).to_list()
