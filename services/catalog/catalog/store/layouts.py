"""Versions of seat layouts."""

from chassis.ids import new_id
from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from contracts.catalog import Aisle, PlacedSeat, Point, ScreenSide, SeatLayoutPublished

from catalog.model.layout import Layout, format_layout
from catalog.model.problems import ChangedMeanwhile, NotFound
from catalog.store.reading import existing, index
from catalog.store.theaters import auditoriums


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


seat_layouts = Collection(SeatLayout)


async def publish_layout(layout: SeatLayout) -> bool:
    """Insert a seat layout with its event; False when its id, or its number in the auditorium, is taken."""
    fields = layout.model_dump(include=set(SeatLayoutPublished.model_fields))
    return await seat_layouts.insert(layout, events=[SeatLayoutPublished(layout_id=layout.id, **fields)])


async def publish_version(auditorium_id: str, layout: Layout, text: str) -> SeatLayout:
    """Publish an auditorium's next layout version, for showtimes that are scheduled from now on.

    An unchanged text returns the newest version, so a repeated request completes one that was interrupted between its
    two writes. Raises NotFound, and ChangedMeanwhile after a concurrent publication.
    """
    made = await newest_layout(auditorium_id)
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
    await auditoriums.update(older, {"$set": now_used | {"categories": categories}})


async def layout_of(layout_id: str) -> SeatLayout:
    """A layout. Raises NotFound."""
    return await existing(seat_layouts, "layout", layout_id)


async def newest_layout(auditorium_id: str) -> SeatLayout:
    """The auditorium's newest layout. Raises NotFound."""
    if found := await seat_layouts.find_one({"auditorium_id": auditorium_id}, sort=[("number", -1)]):
        return found
    raise NotFound(f"There is no auditorium {auditorium_id}.")


async def layout_version(auditorium_id: str, number: int) -> SeatLayout:
    """One version of the auditorium's layout. Raises NotFound."""
    if found := await seat_layouts.find_one({"auditorium_id": auditorium_id, "number": number}):
        return found
    raise NotFound(f"The auditorium has no layout {number}.")


async def layout_versions(auditorium_id: str) -> list[Row]:
    """Number and text of all versions, newest first."""
    found = seat_layouts.rows({"auditorium_id": auditorium_id}, ("number", "text"), sort=[("number", -1)])
    return [version async for version in found]
