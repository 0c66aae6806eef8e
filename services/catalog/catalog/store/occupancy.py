"""How full each showtime is, as inventory's events tell."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from beanie import Document as Stored
from contracts.types import Moment

from catalog.model.occupancy import FORGET_ENDED_HOLD_AFTER, Register, millis
from catalog.store.reading import index

KEPT_S = 400 * 86_400
"""Longer than any showtime is on sale."""


class Occupancy(Stored):
    """Claims on a showtime's seats by their id (`model.occupancy`), and what they come to, in seats."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    claims: dict[str, dict[str, list[int]]]
    taken: int
    sold: int
    changed_at: Moment

    class Settings:
        name = "occupancies"
        indexes = [index("_id", "taken", "sold"), index("changed_at", expireAfterSeconds=KEPT_S)]


async def mark_seats(showtime_id: str, claim_id: str, register: Register, value: list[int], moment: datetime) -> None:
    """Let a claim's register grow and add everything up anew, in one write; an older value changes nothing."""
    place = f"claims.{claim_id}.{register}"
    await Occupancy.get_pymongo_collection().update_one(
        {"_id": showtime_id},
        [
            {"$set": {place: {"$max": [f"${place}", {"$literal": value}]}, "changed_at": moment}},
            {"$set": {"claims": _but_long_ended(moment)}},
            {"$set": {"taken": _sum_of(_STANDING), "sold": _sum_of(_SOLD)}},
        ],
        upsert=True,
    )


async def occupancy_of(showtime_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Seats taken and sold of each of these showtimes that anything was said about; answered from the index alone."""
    wanted = {"_id": {"$in": list(showtime_ids)}}
    found = Occupancy.get_pymongo_collection().find(wanted, {"taken": 1, "sold": 1}).hint("_id_1_taken_1_sold_1")
    return {each["_id"]: (each["taken"], each["sold"]) async for each in found}


def _seats(register: str) -> dict[str, Any]:
    return {"$arrayElemAt": [f"$$claim.v.{register}", 1]}


# A late payment may still sell the seats of a hold that was given back; only what was said after a sale, and may end
# one, ends it.
_SALE_ENDED = {"$gt": ["$$claim.v.released", [1, {"$arrayElemAt": ["$$claim.v.sold", 0]}]]}
_SOLD = {"$cond": [{"$or": [{"$not": ["$$claim.v.sold"]}, _SALE_ENDED]}, 0, _seats("sold")]}
_STANDING = {
    "$switch": {
        "branches": [
            {"case": {"$gt": ["$$claim.v.sold", None]}, "then": _SOLD},
            {"case": {"$gt": ["$$claim.v.released", None]}, "then": 0},
            {"case": {"$gt": ["$$claim.v.blocked", None]}, "then": _seats("blocked")},
        ],
        "default": _seats("held"),
    }
}


def _sum_of(seats: dict[str, Any]) -> dict[str, Any]:
    return {"$sum": {"$map": {"input": {"$objectToArray": "$claims"}, "as": "claim", "in": seats}}}


def _but_long_ended(moment: datetime) -> dict[str, Any]:
    """Holds that ended long ago are let go; sales stay, so that nothing replayed days later can bring them back."""
    ended = {
        "$and": [
            {"$not": ["$$claim.v.sold"]},
            {"$gt": ["$$claim.v.released", None]},
            {"$lt": [{"$arrayElemAt": ["$$claim.v.released", 1]}, millis(moment - FORGET_ENDED_HOLD_AFTER)]},
        ]
    }
    kept = {"$filter": {"input": {"$objectToArray": "$claims"}, "as": "claim", "cond": {"$not": [ended]}}}
    return {"$arrayToObject": kept}
