"""The occupancy of each showtime, copied from inventory's snapshots."""

from collections.abc import Sequence

from beanie import Document
from chassis.clock import now
from chassis.mongo.collection import Collection
from contracts.types import Moment

from catalog.store.reading import index

KEPT_S = 400 * 86_400
"""Longer than any showtime's sales."""


class Occupancy(Document):
    """The number of a showtime's taken seats, and of sold ones among them, as of inventory's `version`.

    Documents from before 2026-12 have no version, so that the first snapshot replaces them.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    version: int
    taken: int
    sold: int
    changed_at: Moment

    class Settings:
        name = "occupancies"
        indexes = [index("_id", "taken", "sold"), index("changed_at", expireAfterSeconds=KEPT_S)]


occupancies = Collection(Occupancy)


async def save_occupancy(showtime_id: str, version: int, *, taken: int, sold: int) -> None:
    """Store the numbers of taken and sold seats, unless a newer version is stored."""
    occupancy = {"version": version, "taken": taken, "sold": sold, "changed_at": now()}
    is_older = {"_id": showtime_id, "version": {"$not": {"$gte": version}}}
    change = {"$set": occupancy, "$unset": {"claims": ""}}
    is_stored = await occupancies.update(is_older, change)
    if not is_stored and not await occupancies.insert(Occupancy(id=showtime_id, **occupancy)):
        # An older one may have been inserted in between.
        await occupancies.update(is_older, change)


async def occupancy_of(showtime_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The numbers of taken and sold seats of these showtimes, if known; from the index alone."""
    wanted = {"_id": {"$in": list(showtime_ids)}}
    found = occupancies.rows(wanted, ("taken", "sold"), hint="_id_1_taken_1_sold_1")
    return {each["_id"]: (each["taken"], each["sold"]) async for each in found}
