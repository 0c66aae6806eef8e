"""Theaters and their auditoriums: their documents and the writes that change them."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.mongo.outbox import Aggregate
from contracts.types import Code, Currency, Shape
from pydantic import Field
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from catalog.model.problems import AuditoriumExists, NotFound
from catalog.store.reading import Document, index


class Address(Shape):
    street: str
    postal_code: str
    city: str
    country: str


class Position(Shape):
    """WGS 84, degrees. Longitude comes first, as MongoDB requires."""

    longitude: float = Field(ge=-180, le=180)
    latitude: float = Field(ge=-90, le=90)


class Theater(Aggregate):
    """A theater. `language` is its visitors' language. Time zone and currency never change."""

    name: str
    address: Address
    position: Position
    time_zone: str
    currency: Currency
    language: str
    features: list[str] = []

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


async def change_theater(theater_id: str, changes: Mapping[str, Any]) -> Theater:
    """Change a theater's details. Raises NotFound."""
    document = await Theater.commit({"_id": theater_id}, {"$set": dict(changes)})
    if document is None:
        raise NotFound(f"There is no theater {theater_id}.")
    return Theater.parse(document)


async def add_auditorium(auditorium: Auditorium) -> None:
    """Insert an auditorium. Raises AuditoriumExists."""
    if not await Auditorium.add(auditorium):
        raise AuditoriumExists


async def change_auditorium(auditorium_id: str, changes: Mapping[str, Any]) -> Auditorium:
    """Change an auditorium, but not its seats. Raises NotFound and AuditoriumExists."""
    try:
        document = await Auditorium.commit({"_id": auditorium_id}, {"$set": dict(changes)})
    except DuplicateKeyError as error:
        raise AuditoriumExists from error
    if document is None:
        raise NotFound(f"There is no auditorium {auditorium_id}.")
    return Auditorium.parse(document)


async def auditoriums_of(theater_ids: Sequence[str]) -> list[Document]:
    """The auditoriums of these theaters, sorted by name."""
    found = Auditorium.collection().find({"theater_id": {"$in": list(theater_ids)}}, {"outbox": 0})
    return await found.sort([("theater_id", 1), ("name", 1)]).to_list()


async def theaters_near(
    place: Position,
    within_km: float,
    after: tuple[float, str] | None,
    limit: int,
    where: Mapping[str, Any] | None = None,
) -> list[Document]:
    """Up to `limit` theaters sorted by `distance_m` (meters), starting after that distance and id."""
    search: dict[str, Any] = {
        "near": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "key": "position",
        "distanceField": "distance_m",
        "maxDistance": within_km * 1000,
        "query": where or {},
    }
    beyond: list[Document] = []
    if after:
        search["minDistance"] = after[0]
        beyond = [{"$match": {"$or": [{"distance_m": {"$gt": after[0]}}, {"_id": {"$gt": after[1]}}]}}]
    order = {"$sort": {"distance_m": 1, "_id": 1}}
    stages = [{"$geoNear": search}, *beyond, order, {"$limit": limit}, {"$project": {"outbox": 0}}]
    return await (await Theater.collection().aggregate(stages)).to_list()
