"""Theaters, auditoriums and seat layouts: their documents and the writes that change them."""

from collections.abc import Sequence
from typing import Any

from chassis.outbox import Aggregate
from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide, SeatLayoutPublished
from contracts.types import Amount, Code, Currency, Shape
from pydantic import Field
from pymongo import IndexModel

from catalog.model import Layout, format_layout
from catalog.store.reading import Document, index


class Address(Shape):
    street: str
    postal_code: str
    city: str
    country: str


class Position(Shape):
    """WGS 84, degrees. Longitude comes first: that is how MongoDB reads a place."""

    longitude: float = Field(ge=-180, le=180)
    latitude: float = Field(ge=-90, le=90)


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
        indexes = [index("name", "_id"), IndexModel([("position", "2dsphere")])]


class SeatLayout(Aggregate):
    """One version of an auditorium's seats, as clients need them and as a person types them. It never changes."""

    auditorium_id: str
    text: str
    columns: float
    rows: float
    seats: list[PlacedSeat]
    screen: ScreenSide = "top"
    focal_point: Point
    aisles: list[Aisle] = []

    class Settings:
        name = "seat_layouts"

    @classmethod
    def of(cls, layout_id: str, auditorium_id: str, layout: Layout) -> "SeatLayout":
        """The document of a layout that was read from text."""
        return cls(id=layout_id, auditorium_id=auditorium_id, text=format_layout(layout), **dict(layout))


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
        indexes = [index("theater_id", "name")]


async def publish_layout(layout: SeatLayout) -> bool:
    """Enter a seat layout and say so; False when its id is taken."""
    fields = layout.model_dump(include=set(SeatLayoutPublished.model_fields))
    return await SeatLayout.add(layout, events=[SeatLayoutPublished(layout_id=layout.id, **fields)])


async def auditoriums_of(theater_ids: Sequence[str]) -> list[Document]:
    """The auditoriums of some theaters by name."""
    found = Auditorium.collection().find({"theater_id": {"$in": list(theater_ids)}}, {"outbox": 0})
    return await found.sort([("theater_id", 1), ("name", 1)]).to_list()


async def theaters_near(
    place: Position, within_km: float, after: tuple[float, str] | None, limit: int
) -> list[Document]:
    """Up to `limit` theaters by their distance in metres, `distance_m`, beginning after that distance and id."""
    search: dict[str, Any] = {
        "near": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "key": "position",
        "distanceField": "distance_m",
        "maxDistance": within_km * 1000,
    }
    beyond: list[Document] = []
    if after:
        search["minDistance"] = after[0]
        beyond = [{"$match": {"$or": [{"distance_m": {"$gt": after[0]}}, {"_id": {"$gt": after[1]}}]}}]
    order = {"$sort": {"distance_m": 1, "_id": 1}}
    stages = [{"$geoNear": search}, *beyond, order, {"$limit": limit}, {"$project": {"outbox": 0}}]
    return await (await Theater.collection().aggregate(stages)).to_list()
