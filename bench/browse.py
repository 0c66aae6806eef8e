"""python -m bench.browse [--quick]: measure browsing requests, answered by catalog or from the gateway's cache."""

import asyncio
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import uvloop
from catalog import migrations, settings, store
from catalog.model.prices import Tariff
from catalog.model.schedule import Terms, length_of
from catalog.store import Auditorium, Movie, Showtime, Theater
from catalog.store.movies import movies
from chassis.clock import now
from chassis.mongo.connection import connected
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

from bench import cpu, report
from bench.client import Client, Json
from bench.load import Latencies

PROCESSES = {"mongo", "rabbitmq", "identity", "catalog", "gateway"}
MOVIES, THEATERS, ROOMS, SHOWTIMES, ON = 2000, 50, 10, 100_000, 150
CLIENTS = 16
CITIES = ["Berlin", "Hamburg", "Leipzig", "Wien", "Graz", "London", "Leeds", "Zürich", "Basel", "Bern"]
GENRES = ["Drama", "Comedy", "Horror", "War", "Romance", "Thriller", "Animation", "Documentary"]
FORMATS, LANGUAGES, CERTIFICATES = ["2D", "2D", "2D", "3D", "IMAX"], ["en", "de", "fr"], ["U", "PG", "12A", "15", "18"]
NOT_CACHED = {"Cookie": "somebody=1"}
"""A request with a token bypasses the gateway's cache."""


def words(count: int, chance: random.Random) -> list[str]:
    """Generate invented words that can be pronounced."""
    syllables = [a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]
    return ["".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(count)]


def films(chance: random.Random) -> list[Json]:
    """Return this many films as rows of an import file; one is The Godfather."""
    titles, names = words(3000, chance), words(5000, chance)
    made = [
        {
            "id": f"film-{number}",
            "title": " ".join(chance.choices(titles, k=chance.randint(1, 3))).title(),
            "release_date": f"{chance.randint(1950, 2026)}-0{chance.randint(1, 9)}-15",
            "runtime_minutes": chance.randint(70, 180),
            "certificate": chance.choice(CERTIFICATES),
            "original_language": chance.choice(LANGUAGES),
            "genres": chance.sample(GENRES, 2),
            "directors": [" ".join(chance.sample(names, 2)).title()],
            "cast": [" ".join(chance.sample(names, 2)).title() for _ in range(10)],
            "synopsis": " ".join(chance.choices(titles, k=60)),
        }
        for number in range(MOVIES)
    ]
    made[0] |= {"title": "The Godfather", "cast": ["Marlon Brando", "Al Pacino"]}
    return made


async def stock(platform: Platform) -> None:
    """Import films; insert theaters, auditoriums and showtimes as catalog's documents, without events."""
    chance = random.Random(5)  # noqa: S311 - the same stock for each measurement
    await asyncio.to_thread(_import, platform, films(chance))
    chosen = settings.Settings(mongo_uri=platform.env["MONGO_URI"])
    async with connected(chosen, migrations.SCHEMA):
        theaters = [_theater(number, chance) for number in range(THEATERS)]
        rooms = [_room(theater, number) for theater in theaters for number in range(ROOMS)]
        await Theater.get_pymongo_collection().insert_many([_document(theater) for theater in theaters])
        await Auditorium.get_pymongo_collection().insert_many([_document(room) for room in rooms])
        on = [movie async for movie in movies.find({}, limit=ON)]
        showtimes = _showtimes(theaters, rooms, on, chance)
        while batch := list(itertools.islice(showtimes, 5000)):
            await Showtime.get_pymongo_collection().insert_many(batch, ordered=False)
            taken = [{"_id": each["_id"], "claims": {}, "taken": chance.randint(0, 200), "sold": 0} for each in batch]
            await store.Occupancy.get_pymongo_collection().insert_many(taken, ordered=False)
        until = {"$set": {"showing_until": now() + timedelta(days=40)}}
        await movies.update_many({"_id": {"$in": [movie.id for movie in on]}}, until)


def _import(platform: Platform, made: list[Json]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(made, file)
        file.flush()
        command = [sys.executable, "-m", "catalog.importing", "file", file.name]
        subprocess.run(command, env=platform.env, check=True, capture_output=True)


def _document(aggregate: Any) -> Json:
    return aggregate.model_dump(by_alias=True) | {"version": 1, "outbox": []}


def _theater(number: int, chance: random.Random) -> Theater:
    return Theater.model_validate({
        "_id": f"theater-{number}",
        "name": f"Odeon {number:02}",
        "address": {"street": "Ring 1", "postal_code": "1", "city": CITIES[number % len(CITIES)], "country": "DE"},
        "position": {"longitude": chance.uniform(5, 16), "latitude": chance.uniform(46, 54)},
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "language": "de",
    })  # fmt: skip


def _room(theater: Theater, number: int) -> Auditorium:
    return Auditorium.model_validate({
        "_id": f"{theater.id}-{number}",
        "theater_id": theater.id,
        "name": f"Hall {number}",
        "layout_id": "bench-hall",
        "capacity": 200,
        "categories": ["standard"],
    })  # fmt: skip


def _showtimes(
    theaters: list[Theater], rooms: list[Auditorium], on: list[Movie], chance: random.Random
) -> Iterator[Json]:
    """Return each auditorium's showtimes, five a day from tomorrow. They have no slots: nothing is planned here."""
    prices = {"standard": {"adult": 1250, "child": 800}}
    tariff = Tariff.model_validate({"prices": prices, "valid_from": "2000-01-01"})
    by_id = {theater.id: theater for theater in theaters}
    tomorrow = now().replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for room in rooms:
        movie, theater = on[0], by_id[room.theater_id]
        pattern = _document(
            Showtime.of("x", movie=movie, theater=theater, auditorium=room, tariffs=[tariff], starts_at=tomorrow,
                        terms=Terms())
        )  # fmt: skip
        zone = str(ZoneInfo(theater.time_zone))
        for number in range(SHOWTIMES // len(rooms)):
            movie = chance.choice(on)
            start = tomorrow + timedelta(days=number // 5, hours=3 * (number % 5))
            end = start + length_of(movie)
            when = store.times(start, end, end + timedelta(minutes=20), zone, "05:00")
            yield pattern | when | {
                "_id": f"{room.id}-{number}", "movie_id": movie.id, "movie_title": movie.title, "slots": None,
                "format": chance.choice(FORMATS), "language": chance.choice(LANGUAGES),
            }  # fmt: skip


def questions() -> dict[str, list[list[str]]]:
    """Return what visitors do. Each task is a list of addresses that are requested one after another."""
    day = (now() + timedelta(days=3)).date().isoformat()
    movies = [f"film-{number}" for number in range(40)]
    typed = [["/api/movies?q=" + "the%20godfather"[: 6 + size]] for size in range(1, 10)]
    return {
        "films now showing": [["/api/movies?status=now_showing"], ["/api/movies?status=now_showing&sort=rating"]],
        "films of a city": [[f"/api/movies?city={city}"] for city in map(quote, CITIES)],
        "films of a city and day": [[f"/api/movies?city={city}&date={day}"] for city in map(quote, CITIES)],
        "films in IMAX, anywhere and whenever": [["/api/movies?format=IMAX"]],
        "films near a place": [[f"/api/movies?near=52.{n},13.4&within_km=200&date={day}"] for n in range(10)],
        "films of a genre, the newest": [[f"/api/movies?genre={genre.lower()}&sort=newest"] for genre in GENRES],
        "films coming soon": [["/api/movies?status=coming_soon"]],
        "search as one types": typed,
        "search with a typo": [["/api/movies?q=godfahter"], ["/api/movies?q=godfahter%20pacino"]],
        "theaters": [["/api/theaters"], ["/api/theaters?near=52.5,13.4&within_km=500"]],
        "a film's page: film, showtimes in a city": [
            [f"/api/movies/{movie}", f"/api/movies/{movie}/showtimes?city={city}"]
            for movie in movies
            for city in CITIES[:3]
        ],
        "a film's page, all theaters": [[f"/api/movies/{movie}/showtimes?days=3"] for movie in movies],
        "a showtime": [[f"/api/showtimes/theater-{n}-{room}-7"] for n in range(20) for room in range(3)],
    }


async def visits(
    platform: Platform, work: list[list[str]], clients: int, seconds: float, headers: dict[str, str]
) -> dict[str, Any]:
    """Run clients that do one task after another. Returns the rate, the latencies and the cost of a task."""
    took, chance = Latencies(), random.Random(7)  # noqa: S311 - guards nothing
    end = time.perf_counter() + seconds

    async def visitor() -> None:
        async with await Client.to(platform.url) as client:
            while (began := time.perf_counter()) < end:
                for path in chance.choice(work):
                    await client.fetch(path, headers)
                took.append((time.perf_counter() - began) * 1000)

    before = cpu.read(platform)
    await asyncio.gather(*(visitor() for _ in range(clients)))
    passed, spent = before.until(cpu.read(platform))
    each = {name: spent[name] / len(took) for name in ("catalog", "mongo", "gateway")}
    return {"per_second": len(took) / passed, **took.summary(), "cpu": each}


async def measure(platform: Platform, *, quick: bool) -> dict[str, Any]:
    """Measure everything on one platform."""
    seconds = 2.0 if quick else 5.0
    await stock(platform)
    asked = questions()
    everything = [piece for name, pieces in asked.items() for piece in pieces if "page" not in name]
    pages = asked["a film's page: film, showtimes in a city"]
    result: dict[str, Any] = {"load": {}, "alone": {}}
    for name, work in {"browse, all of the below": everything, "a film's page": pages}.items():
        for kind, headers in {"not cached": NOT_CACHED, "cached": {}}.items():
            await visits(platform, work, CLIENTS, 1, headers)  # to warm up
            result["load"][f"{name}, {kind}"] = await visits(platform, work, CLIENTS, seconds, headers)
    for name, work in asked.items():
        result["alone"][name] = await visits(platform, work, 1, seconds / 2, NOT_CACHED)
    return result


def markdown(began: report.Circumstances, result: dict[str, Any]) -> str:
    """Format the result as tables."""
    heading = (
        f"# What browsing costs\n\nCommit {began.commit}, {began.at}, {began.machine}; load of the machine before it"
        f" began: {began.load_before}.\nThrough the gateway, with {MOVIES:,} films ({ON} of them on), {THEATERS}"
        f" theaters and {SHOWTIMES:,} showtimes. The clients share the machine's cores. *Not cached*: each request has"
        " a token, so catalog itself answers it. The last columns are CPU-ms of the processes for one piece of work.\n"
        f"A film's page is two requests: the film, and its showtimes of seven days in a city."
    )
    tables = [
        _table(f"{CLIENTS} clients", result["load"]),
        _table("one client, not cached", result["alone"]),
    ]
    return "\n\n".join([heading, *tables]) + "\n"


def _table(title: str, rows: dict[str, Any]) -> str:
    lines = [f"| {title} | a second | p50 ms | p99 ms | catalog | mongo | gateway |", "| --- " * 7 + "|"]
    lines += [
        f"| {name} | {row['per_second']:.0f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | "
        + " | ".join(f"{row['cpu'][process]:.2f}" for process in ("catalog", "mongo", "gateway"))
        + " |"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run."""
    quick = "--quick" in sys.argv[1:]
    began = report.Circumstances.now()
    with Platform(environment=NO_LIMITS, only=PROCESSES) as platform:
        result = uvloop.run(measure(platform, quick=quick))
    text = markdown(began, result)
    print(text)
    report.RESULTS.joinpath("browse.md").write_text(text)


if __name__ == "__main__":
    main()
