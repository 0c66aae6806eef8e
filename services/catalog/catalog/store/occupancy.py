"""How full each showtime is, as inventory's events tell."""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

from beanie import Document as Stored
from chassis import writes
from contracts.types import Moment

from catalog.model.occupancy import FORGET_ENDED_HOLD_AFTER, Register, millis
from catalog.store.reading import index

KEPT_S = 400 * 86_400
"""Longer than any showtime is on sale."""
LINGER_S = 2.0
"""So long that most holds are sold by then, in the same write. A band that is two seconds old is as good: whoever wants
seats sees the seat map.
"""
GATHER_S = 0.05
"""For the writes of several showtimes to go together."""


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


class _News:
    """What is said of one showtime within LINGER_S: it goes into one write, and all who said it wait for that."""

    def __init__(self, showtime_id: str) -> None:
        self._showtime_id = showtime_id
        self._registers: dict[str, list[int]] = {}
        self._moment = datetime.min.replace(tzinfo=UTC)
        # Not a part of the first event's trace: the others would be missing in theirs.
        self.written = asyncio.get_running_loop().create_task(self._write(), context=Context())

    def add(self, claim_id: str, register: Register, value: list[int], moment: datetime) -> None:
        """Let a register grow."""
        place = f"claims.{claim_id}.{register}"
        self._registers[place] = max(self._registers.get(place, value), value)
        self._moment = max(self._moment, moment)

    async def _write(self) -> None:
        await asyncio.sleep(LINGER_S)
        del _unwritten[self._showtime_id]
        grown = {place: {"$max": [f"${place}", {"$literal": value}]} for place, value in self._registers.items()}
        await writes.merge(
            Occupancy.get_pymongo_collection(),
            self._showtime_id,
            [
                {"$set": grown | {"changed_at": {"$max": ["$changed_at", self._moment]}}},
                {"$set": {"claims": _but_long_ended(self._moment)}},
                {"$set": {"taken": _sum_of(_STANDING), "sold": _sum_of(_SOLD)}},
            ],
            linger=GATHER_S,
        )


_unwritten: dict[str, _News] = {}


async def mark_seats(showtime_id: str, claim_id: str, register: Register, value: list[int], moment: datetime) -> None:
    """Let a claim's register grow and everything be added up anew; an older value changes nothing.

    Returns when it is durable, which takes LINGER_S: what else is said of the showtime meanwhile goes along, and one
    write adds up for all of it.
    """
    if (news := _unwritten.get(showtime_id)) is None:
        news = _unwritten[showtime_id] = _News(showtime_id)
    news.add(claim_id, register, value, moment)
    await asyncio.shield(news.written)


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
