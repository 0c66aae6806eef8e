"""The demo's films, reviews, theaters and the showtimes of the next days: `python -m catalog.demo`.

A repeated run adds only what is missing: ids are derived from the data, and a day's showtimes from its date.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.catalog import OrphanRule

from catalog import store
from catalog.model import Terms, parse_layout, plan_day
from catalog.model.problems import ShowtimesClash
from catalog.store import Auditorium, Genre, Movie, PriceList, Review, SeatLayout, Showtime, Theater
from catalog.store.genres import genres
from catalog.store.layouts import seat_layouts
from catalog.store.movies import movies
from catalog.store.prices import price_lists
from catalog.store.reviews import reviews
from catalog.store.showtimes import showtimes
from catalog.store.theaters import auditoriums, theaters

log = structlog.get_logger()
FOLDER = Path(__file__).parent
DAYS = 7
LEAD = timedelta(hours=2)
"""The earliest start of an added showtime from now, so that there is time to select seats."""
WRITES_AT_ONCE = 16

A = TypeVar("A", bound=Aggregate)


@dataclass(frozen=True)
class Room:
    """An auditorium with its seats and its schedule: opening, last start (local), films by day and by evening."""

    auditorium: Auditorium
    layout: SeatLayout
    theater: Theater
    price_list: PriceList
    format: str
    orphan_rule: OrphanRule
    opens: time
    last: time
    daytime: list[Movie]
    evening: list[Movie]


def read_movies() -> list[Movie]:
    """The films of movies.toml."""
    return [Movie.model_validate(entry) for entry in _read("movies.toml")["movie"]]


def genres_of(films: Iterable[Movie]) -> list[Genre]:
    """The genres of these films."""
    codes = sorted({code for film in films for code in film.genres})
    return [Genre.model_validate({"_id": code, "name": code.replace("-", " ").capitalize()}) for code in codes]


def read_reviews() -> list[Review]:
    """The reviews of reviews.toml. Their ids are derived from film and author."""
    return [
        _review(movie_id, byline, entry)
        for movie_id, by_author in _read("reviews.toml").items()
        for byline, entry in by_author.items()
    ]


def _review(movie_id: str, byline: str, entry: dict[str, Any]) -> Review:
    writer = "demo-" + byline.lower().replace(" ", "-").rstrip(".")
    written_at = datetime.combine(entry.pop("written"), time(19), UTC)
    return Review(
        id=f"{movie_id}-{writer}", movie_id=movie_id, user_id=writer, byline=byline, written_at=written_at, **entry
    )


def read_rooms(films: Iterable[Movie]) -> list[Room]:
    """The auditoriums of theaters.toml, each with the seats of its file in layouts/."""
    by_id = {film.id: film for film in films}
    return [
        _room(room, Theater.model_validate(house), _price_list(house), by_id)
        for house in _read("theaters.toml")["theater"]
        for room in house["auditorium"]
    ]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text())


def _price_list(house: dict[str, Any]) -> PriceList:
    """A theater's price list, with the theater's id."""
    return PriceList(id=house["id"], theater_id=house["id"], **house["price_list"])


def _room(entry: dict[str, Any], theater: Theater, price_list: PriceList, films: dict[str, Movie]) -> Room:
    text = (FOLDER / "layouts" / f"{entry['id']}.txt").read_text()
    seats = parse_layout(text)
    # Other seats need another layout: a version never changes.
    layout = SeatLayout.of(f"{entry['id']}-{sha256(text.encode()).hexdigest()[:8]}", entry["id"], seats, text)
    auditorium = Auditorium(
        id=entry["id"],
        theater_id=theater.id,
        name=entry["name"],
        features=entry["features"],
        layout_id=layout.id,
        capacity=len(seats.seats),
        categories=seats.categories,
    )
    daytime, evening = ([films[movie_id] for movie_id in entry[part]] for part in ("daytime", "evening"))
    return Room(
        auditorium,
        layout,
        theater,
        price_list,
        entry.get("format", "2D"),
        entry.get("orphan_rule", "off"),
        entry["opens"],
        entry["last"],
        daytime,
        evening,
    )


def plan(room: Room, now: datetime) -> list[Showtime]:
    """The auditorium's showtimes of the days from today on that start late enough."""
    zone = ZoneInfo(room.theater.time_zone)
    today = now.astimezone(zone).date()
    slots = [
        slot
        for n in range(DAYS)
        for slot in plan_day(
            today + timedelta(days=n),
            zone,
            opens=room.opens,
            last=room.last,
            daytime=room.daytime,
            evening=room.evening,
        )
    ]
    return [
        Showtime.of(
            f"{room.auditorium.id}-{slot.starts_at:%Y%m%dT%H%MZ}",
            movie=slot.film,
            theater=room.theater,
            auditorium=room.auditorium,
            tariffs=[room.price_list],
            starts_at=slot.starts_at,
            terms=_terms(room, slot.film),
        )
        for slot in slots
        if slot.starts_at >= now + LEAD
    ]


def _terms(room: Room, film: Movie) -> Terms:
    """Showing a film in its own language, with subtitles where visitors read another one."""
    is_foreign = film.original_language != room.theater.language
    subtitles = room.theater.language if is_foreign else None
    return Terms(format=room.format, subtitles=subtitles, orphan_rule=room.orphan_rule)


async def load(now: datetime) -> dict[str, int]:
    """Insert what is missing, with events; returns the number of added documents by kind."""
    films = read_movies()
    rooms = read_rooms(films)
    houses = {room.theater.id: room.theater for room in rooms}.values()
    tariffs = {room.price_list.id: room.price_list for room in rooms}.values()
    planned = [showtime for room in rooms for showtime in plan(room, now)]
    added = {
        "genre": await _add_missing(genres, genres_of(films), genres.insert),
        "movie": await _add_missing(movies, films, store.publish_movie),
        "review": await _add_missing(reviews, read_reviews(), store.add_review),
        "theater": await _add_missing(theaters, houses, theaters.insert),
        "pricelist": await _add_missing(price_lists, tariffs, price_lists.insert),
        "seatlayout": await _add_missing(seat_layouts, [room.layout for room in rooms], store.publish_layout),
        "auditorium": await _add_missing(auditoriums, [room.auditorium for room in rooms], auditoriums.insert),
        "showtime": await _add_missing(showtimes, planned, _schedule),
    }
    log.info("demo_loaded", **added)
    return added


async def _schedule(showtime: Showtime) -> bool:
    """Insert a showtime unless its time is taken."""
    try:
        await store.schedule(showtime)
    except ShowtimesClash as clash:
        log.info("demo_showtime_left_out", showtime_id=showtime.id, reason=clash.detail)
        return False
    return True


async def _add_missing(collection: Collection[A], wanted: Iterable[A], write: Callable[[A], Awaitable[bool]]) -> int:
    ids = [each.id for each in wanted]
    present = {row["_id"] async for row in collection.rows({"_id": {"$in": ids}}, ["_id"])}
    turn = asyncio.Semaphore(WRITES_AT_ONCE)

    async def add(each: A) -> bool:
        async with turn:
            return await write(each)

    return sum(await asyncio.gather(*(add(each) for each in wanted if each.id not in present)))
