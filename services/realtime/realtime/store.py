"""Realtime's own projection in MongoDB: one document per showtime, one per seat layout.

Every fact is written with `$max`, so any replica may write any event, twice or late, without reading first.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from beanie import Document
from chassis import writes
from pymongo import ASCENDING, IndexModel, UpdateOne

from realtime.model import Claims, News, SeatMap, UnknownShowtime

LINGER_S = 0.25
"""Nobody waits for the projection: what is newer than it, an instance has heard itself. Four commands a second cost
MongoDB a fifth of twenty; longer would gain little more, and an instance that has just started would know less.
"""


class Showtime(Document):
    """What is known of a showtime's seats; see model.py for the claims. Deleted by MongoDB at `keep_until`."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int = 0
    cancelled: bool = False
    claims: Claims = {}
    layout_id: str | None = None
    keep_until: datetime | None = None
    changed_at: datetime | None = None

    class Settings:
        name = "showtimes"
        indexes = (
            IndexModel([("keep_until", ASCENDING)], expireAfterSeconds=0),
            IndexModel([("changed_at", ASCENDING)]),
        )


class Layout(Document):
    """The seats of an auditorium; it never changes."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    seats: list[str]

    class Settings:
        name = "layouts"


DOCUMENTS = (Showtime, Layout)


async def learn(news: News, *, changed_at: datetime) -> None:
    """Merge news into the showtime's document, which may not exist yet."""
    registers = {
        f"claims.{claim_id}.{register}": value
        for claim_id, claim in news.claims.items()
        for register, value in claim.items()
    }
    facts = {"version": news.version, "cancelled": news.cancelled, "changed_at": changed_at, **registers}
    collection = Showtime.get_pymongo_collection()
    await writes.merge(collection, news.showtime_id, {"$max": facts}, linger=LINGER_S)


async def schedule(showtime_id: str, *, layout_id: str, keep_until: datetime, changed_at: datetime) -> None:
    """Enter a showtime, which its seats' events may have entered before."""
    known = {"$set": {"layout_id": layout_id, "keep_until": keep_until}, "$max": {"changed_at": changed_at}}
    await Showtime.get_pymongo_collection().update_one({"_id": showtime_id}, known, upsert=True)


async def add_layout(layout_id: str, seats: list[str]) -> None:
    """Enter a layout."""
    await Layout.get_pymongo_collection().update_one({"_id": layout_id}, {"$set": {"seats": seats}}, upsert=True)


async def seat_map(showtime_id: str) -> SeatMap:
    """The map as stored. Raises UnknownShowtime."""
    document = await Showtime.get_pymongo_collection().find_one({"_id": showtime_id})
    if document is None:
        raise UnknownShowtime
    layout = await Layout.get(document["layout_id"]) if document.get("layout_id") else None
    seat_map = SeatMap(showtime_id, seat_ids=frozenset(layout.seats if layout else ()))
    seat_map.learn(_news(document))
    return seat_map


async def everything_about(showtime_ids: Collection[str]) -> list[News]:
    """All that is stored of these showtimes' seats."""
    found = Showtime.get_pymongo_collection().find({"_id": {"$in": list(showtime_ids)}})
    return [_news(document) async for document in found]


async def claims_changed_since(moment: datetime) -> list[News]:
    """The showtimes in which something happened, for tidying."""
    found = Showtime.get_pymongo_collection().find({"changed_at": {"$gte": moment}})
    return [_news(document) async for document in found]


async def forget(showtime_id: str, claim_ids: Collection[str]) -> None:
    """Drop claims, but none that a sale has come to since it was read."""
    writes = [
        UpdateOne(
            {"_id": showtime_id, f"claims.{claim_id}.sold": {"$exists": False}},
            {"$unset": {f"claims.{claim_id}": ""}},
        )
        for claim_id in claim_ids
    ]
    if writes:
        await Showtime.get_pymongo_collection().bulk_write(writes, ordered=False)


def _news(document: dict[str, Any]) -> News:
    return News(
        document["_id"],
        document.get("version", 0),
        document.get("claims", {}),
        cancelled=document.get("cancelled", False),
    )
