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
"""So long that many a hold is sold by then, in the same write, and one command does for all showtimes. A band that is
two seconds old is as good: whoever wants seats sees the seat map.
"""


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
    """What is said of one showtime within LINGER_S. `written` is what all who said it wait for."""

    def __init__(self) -> None:
        self._registers: dict[str, list[int]] = {}
        self._moment = datetime.min.replace(tzinfo=UTC)
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, claim_id: str, register: Register, value: list[int], moment: datetime) -> None:
        """Let a register grow."""
        place = f"claims.{claim_id}.{register}"
        self._registers[place] = max(self._registers.get(place, value), value)
        self._moment = max(self._moment, moment)

    def change(self) -> list[dict[str, Any]]:
        """The stages of the update that takes it all in."""
        grown = {place: {"$max": [f"${place}", {"$literal": value}]} for place, value in self._registers.items()}
        return [
            {"$set": grown | {"changed_at": {"$max": ["$changed_at", self._moment]}}},
            {"$set": {"claims": _but_long_ended(self._moment)}},
            {"$set": {"taken": _sum_of(_STANDING), "sold": _sum_of(_SOLD)}},
        ]


_unwritten: dict[str, _News] = {}
_writing: set[asyncio.Task[None]] = set()


async def mark_seats(showtime_id: str, claim_id: str, register: Register, value: list[int], moment: datetime) -> None:
    """Let a claim's register grow and everything be added up anew; an older value changes nothing.

    Returns when it is durable, which takes up to LINGER_S: what else is said meanwhile, of this showtime or another,
    goes along.
    """
    if not _unwritten:
        # Not a part of the first event's trace: the others would be missing in theirs.
        task = asyncio.get_running_loop().create_task(_write_soon(), context=Context())
        _writing.add(task)
        task.add_done_callback(_writing.discard)
    if (news := _unwritten.get(showtime_id)) is None:
        news = _unwritten[showtime_id] = _News()
    news.add(claim_id, register, value, moment)
    await asyncio.shield(news.written)  # who gives up leaves the others waiting


async def _write_soon() -> None:
    """One update for each showtime, all in one command. Who waits learns what became of the own one."""
    await asyncio.sleep(LINGER_S)
    gathered = dict(_unwritten)
    _unwritten.clear()
    collection = Occupancy.get_pymongo_collection()
    updates = (writes.merge(collection, showtime_id, news.change()) for showtime_id, news in gathered.items())
    for news, result in zip(gathered.values(), await asyncio.gather(*updates, return_exceptions=True), strict=True):
        if isinstance(result, BaseException):
            news.written.set_exception(result)
        else:
            news.written.set_result(None)


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
