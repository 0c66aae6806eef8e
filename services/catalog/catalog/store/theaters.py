"""Theaters and their auditoriums: their documents and the writes that change them."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from contracts.catalog import Seller
from contracts.types import Code, Currency, Shape
from pydantic import Field
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from catalog.model.days import DAY_STARTS
from catalog.model.problems import AuditoriumExists, NotFound
from catalog.store.reading import existing, index, page


class Address(Shape):
    street: str
    postal_code: str
    city: str
    country: str

    @property
    def one_line(self) -> str:
        """The address without the country, for mails and calendars of visitors."""
        return f"{self.street}, {self.postal_code} {self.city}"


class Position(Shape):
    """WGS 84, degrees. Longitude comes first, as MongoDB requires."""

    longitude: float = Field(ge=-180, le=180)
    latitude: float = Field(ge=-90, le=90)


class Theater(Aggregate):
    """A theater. `language` is its visitors' language. Time zone and currency never change.

    Showtimes that start before `day_starts` belong to the business day before.
    """

    name: str
    address: Address
    position: Position
    time_zone: str
    currency: Currency
    language: str
    features: list[str] = []
    day_starts: str = DAY_STARTS
    seller: Seller | None = None

    class Settings:
        name = "theaters"
        indexes = [
            index("name", "_id", name="by_name"),
            index("address.city", "name", "_id"),
            IndexModel([("position", "2dsphere")]),
        ]


class Auditorium(Aggregate):
    """An auditorium with the layout for new showtimes, its version `layout_number`.

    No showtimes can be added to a closed one.
    """

    theater_id: str
    name: str
    features: list[str] = []
    cleaning_minutes: int = 20
    closed: bool = False
    layout_id: str
    layout_number: int = 1
    capacity: int
    categories: list[Code]

    class Settings:
        name = "auditoriums"
        indexes = [index("theater_id", "name", unique=True)]


theaters = Collection(Theater)
auditoriums = Collection(Auditorium)


async def theater_of(theater_id: str) -> Theater:
    """A theater. Raises NotFound."""
    return await existing(theaters, "theater", theater_id)


async def auditorium_of(auditorium_id: str) -> Auditorium:
    """An auditorium. Raises NotFound."""
    return await existing(auditoriums, "auditorium", auditorium_id)


async def add_theater(theater: Theater) -> None:
    """Insert a theater."""
    await theaters.insert(theater)


async def change_theater(theater_id: str, changes: Mapping[str, Any]) -> None:
    """Change a theater's details. Raises NotFound."""
    if not await theaters.update({"_id": theater_id}, {"$set": changes}):
        raise NotFound(f"There is no theater {theater_id}.")


async def add_auditorium(auditorium: Auditorium) -> None:
    """Insert an auditorium. Raises AuditoriumExists."""
    if not await auditoriums.insert(auditorium):
        raise AuditoriumExists


async def change_auditorium(auditorium_id: str, changes: Mapping[str, Any]) -> None:
    """Change an auditorium, but not its seats. Raises NotFound and AuditoriumExists."""
    try:
        is_changed = await auditoriums.update({"_id": auditorium_id}, {"$set": changes})
    except DuplicateKeyError as error:
        raise AuditoriumExists from error
    if not is_changed:
        raise NotFound(f"There is no auditorium {auditorium_id}.")


async def auditoriums_of(theater_ids: Sequence[str]) -> list[Auditorium]:
    """The auditoriums of these theaters, sorted by name."""
    where = {"theater_id": {"$in": list(theater_ids)}}
    return [each async for each in auditoriums.find(where, sort=[("theater_id", 1), ("name", 1)])]


async def theaters_page(
    where: Mapping[str, Any], after: tuple[str, str] | None, limit: int, *, hint: str | None = None
) -> list[Row]:
    """Up to `limit` theaters sorted by name, starting after that name and id."""
    return await page(theaters, where, by="name", after=after, limit=limit, hint=hint)


async def theaters_near(
    place: Position,
    within_km: float,
    after: tuple[float, str] | None,
    limit: int,
    where: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Up to `limit` theaters sorted by `distance_m` (meters), starting after that distance and id."""
    search: dict[str, Any] = {
        "near": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "key": "position",
        "distanceField": "distance_m",
        "maxDistance": within_km * 1000,
        "query": where or {},
    }
    beyond: list[Row] = []
    if after:
        search["minDistance"] = after[0]
        beyond = [{"$match": {"$or": [{"distance_m": {"$gt": after[0]}}, {"_id": {"$gt": after[1]}}]}}]
    order = {"$sort": {"distance_m": 1, "_id": 1}}
    stages = [{"$geoNear": search}, *beyond, order, {"$limit": limit}, {"$project": {"outbox": 0}}]
    return [theater async for theater in theaters.aggregate(stages)]
