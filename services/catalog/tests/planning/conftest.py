"""A separate theater for each test, planned through the endpoints as staff do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from catalog import store
from catalog.store import Movie
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.collection import Row
from chassis.testing.signer import Signer

Json = dict[str, Any]
EVERYTHING = ["catalog:write", "theaters:write", "prices:write", "showtimes:write"]
SEATS = "A  ssss\nB  ssvv\nC  wcss\n"
ADDRESS = {"street": "Ring 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
PRICES = {
    "standard": {"adult": 1200, "child": 800},
    "vip": {"adult": 1600},
    "wheelchair": {"adult": 1200},
    "companion": {"adult": 1200, "companion": 0},
}
PRICE_LIST = {
    "name": "usual",
    "prices": PRICES,
    "surcharges": [{"name": "3D", "amount": 300, "formats": ["3D"]}],
    "booking_fee": 100,
    "tax_basis_points": 700,
    "valid_from": "2026-01-01",
}


@dataclass
class Manager:
    """The manager of a theater with one auditorium: requests as this person."""

    client: httpx.AsyncClient
    headers: dict[str, str]
    theater: Json
    room: Json
    movie_id: str

    @property
    def theater_id(self) -> str:
        return self.theater["id"]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.theater["time_zone"])

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request as the manager."""
        return await self.client.request(method, f"/api{path}", json=body, headers=self.headers, **options)

    def evening(self, days: int = 7, clock: str = "20:15") -> str:
        """Return a local time some days ahead."""
        day = now().astimezone(self.zone).date() + timedelta(days=days)
        return f"{day}T{clock}"

    def at(self, local: str) -> datetime:
        """Return the moment of a local time that occurs once."""
        return datetime.fromisoformat(local).replace(tzinfo=self.zone)

    async def try_showtime(self, local_start: str | None = None, **fields: Any) -> httpx.Response:
        """Request a showtime."""
        body = {
            "auditorium_id": self.room["id"],
            "movie_id": self.movie_id,
            "local_start": local_start or self.evening(),
        }
        return await self.call("POST", "/showtimes", body | fields)

    async def showtime(self, local_start: str | None = None, **fields: Any) -> Json:
        """Schedule a showtime, which must succeed."""
        answer = await self.try_showtime(local_start, **fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def pattern(self, *clocks: str, days: int = 3, **fields: Any) -> Json:
        """Return a pattern of one film that begins in a week."""
        first = now().astimezone(self.zone).date() + timedelta(days=7)
        placed = {"auditorium_id": self.room["id"], "movie_id": self.movie_id}
        return {
            "first_day": first.isoformat(),
            "last_day": (first + timedelta(days=days - 1)).isoformat(),
            "showings": [placed | {"starts": clock} for clock in clocks or ["20:15"]],
        } | fields

    async def room_taken(self) -> list[Row]:
        """Return all showtimes of the auditorium, in any state."""
        return (
            await store.Showtime.get_pymongo_collection()
            .find({"auditorium_id": self.room["id"]})
            .sort("starts_at", 1)
            .to_list()
        )


NewManager = Callable[..., Awaitable[Manager]]


@pytest.fixture(scope="module", autouse=True)
async def _tidy(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Delete the theaters, because other tests count them."""
    before = await store.Theater.get_pymongo_collection().distinct("_id")
    yield
    theaters = await store.Theater.get_pymongo_collection().distinct("_id", {"_id": {"$nin": before}})
    theirs = {"theater_id": {"$in": theaters}}
    rooms = await store.Auditorium.get_pymongo_collection().distinct("_id", theirs)
    await store.SeatLayout.get_pymongo_collection().delete_many({"auditorium_id": {"$in": rooms}})
    for kind in (store.Auditorium, store.PriceList, store.Schedule, store.Showtime):
        await kind.get_pymongo_collection().delete_many(theirs)
    await store.Theater.get_pymongo_collection().delete_many({"_id": {"$in": theaters}})


@pytest.fixture(scope="module")
async def movie_id(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """A film of 90 minutes."""
    film = {
        "title": "Der Golem",
        "original_title": "Der Golem",
        "year": 1920,
        "directors": ["Paul Wegener"],
        "cast": ["Lyda Salmonova"],
        "runtime_minutes": 90,
        "genres": ["horror"],
        "certificate": "PG",
        "original_language": "de",
        "synopsis": "A rabbi makes a man of clay.",
    }
    await store.publish_movie(Movie.model_validate({"_id": "golem-1920", **film}))
    yield "golem-1920"
    await Movie.get_pymongo_collection().delete_one({"_id": "golem-1920"})


@pytest.fixture
def new_manager(client: httpx.AsyncClient, signer: Signer, movie_id: str) -> NewManager:
    """Return a function that creates a theater in a time zone."""

    async def make(time_zone: str = "Europe/Berlin", seats: str = SEATS, currency: str = "EUR") -> Manager:
        admin = signer.headers("admin-1", EVERYTHING)
        theater = {
            "name": f"Capitol {new_id()[-4:]}",
            "address": ADDRESS,
            "position": {"latitude": 52.5, "longitude": 13.4},
            "time_zone": time_zone,
            "currency": currency,
            "language": "de",
        }
        made = await client.post("/api/theaters", json=theater, headers=admin)
        assert made.status_code == 201, made.text
        theater_id = made.json()["id"]
        headers = signer.headers("manager-1", EVERYTHING[1:], theaters=[theater_id])
        room = await client.post(
            f"/api/theaters/{theater_id}/auditoriums", json={"name": "Saal 1", "text": seats}, headers=headers
        )
        assert room.status_code == 201, room.text
        prices = await client.post(f"/api/theaters/{theater_id}/price-lists", json=PRICE_LIST, headers=headers)
        assert prices.status_code == 201, prices.text
        return Manager(client, headers, made.json(), room.json(), movie_id)

    return make


@pytest.fixture
async def manager(new_manager: NewManager) -> Manager:
    """The manager of a theater in Berlin."""
    return await new_manager()
