"""Versions of seat layouts."""

from chassis.ids import new_id
from chassis.mongo.outbox import Aggregate
from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide, SeatLayoutPublished

from catalog.model.layout import Layout, format_layout
from catalog.model.problems import ChangedMeanwhile, NotFound
from catalog.store.reading import Document, index
from catalog.store.theaters import Auditorium


class SeatLayout(Aggregate):
    """One version of an auditorium's layout, as JSON for clients and as text. It never changes.

    `number` counts the auditorium's versions from 1.
    """

    auditorium_id: str
    number: int = 1
    text: str
    columns: float
    rows: float
    seats: list[PlacedSeat]
    screen: ScreenSide = "top"
    focal_point: Point
    aisles: list[Aisle] = []

    class Settings:
        name = "seat_layouts"
        indexes = [index("auditorium_id", "number", unique=True)]

    @classmethod
    def of(cls, layout_id: str, auditorium_id: str, layout: Layout, text: str = "", number: int = 1) -> "SeatLayout":
        """The document of a layout, with the typed or generated text."""
        written = text or format_layout(layout)
        return cls(id=layout_id, auditorium_id=auditorium_id, number=number, text=written, **dict(layout))


async def publish_layout(layout: SeatLayout) -> bool:
    """Insert a seat layout with its event; False when its id, or its number in the auditorium, is taken."""
    fields = layout.model_dump(include=set(SeatLayoutPublished.model_fields))
    return await SeatLayout.add(layout, events=[SeatLayoutPublished(layout_id=layout.id, **fields)])


async def publish_version(auditorium_id: str, layout: Layout, text: str) -> SeatLayout:
    """Publish an auditorium's next layout version, for showtimes that are scheduled from now on.

    An unchanged text returns the newest version, so a repeated request completes one that was interrupted between its
    two writes. Raises NotFound, and ChangedMeanwhile after a concurrent publication.
    """
    made = SeatLayout.parse(await newest_layout(auditorium_id))
    if made.text != text:
        made = SeatLayout.of(new_id(), auditorium_id, layout, text, made.number + 1)
        if not await publish_layout(made):
            raise ChangedMeanwhile
    await use_version(made, layout.categories)
    return made


async def use_version(made: SeatLayout, categories: list[str]) -> None:
    """Use this version for new showtimes of the auditorium, unless a newer one is used."""
    now_used = {"layout_id": made.id, "layout_number": made.number, "capacity": len(made.seats)}
    older = {"_id": made.auditorium_id, "layout_number": {"$lt": made.number}}
    await Auditorium.commit(older, {"$set": now_used | {"categories": categories}})


async def newest_layout(auditorium_id: str) -> Document:
    """The auditorium's newest layout. Raises NotFound."""
    found = SeatLayout.collection().find({"auditorium_id": auditorium_id}, {"outbox": 0}).sort("number", -1).limit(1)
    for document in await found.to_list():
        return document
    raise NotFound(f"There is no auditorium {auditorium_id}.")


async def layout_version(auditorium_id: str, number: int) -> Document:
    """One version of the auditorium's layout. Raises NotFound."""
    where = {"auditorium_id": auditorium_id, "number": number}
    if document := await SeatLayout.collection().find_one(where, {"outbox": 0}):
        return document
    raise NotFound(f"The auditorium has no layout {number}.")


async def layout_versions(auditorium_id: str) -> list[Document]:
    """All versions, newest first, without their seats."""
    found = SeatLayout.collection().find({"auditorium_id": auditorium_id}, {"outbox": 0, "seats": 0, "aisles": 0})
    return await found.sort("number", -1).to_list()
