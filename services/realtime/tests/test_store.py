"""The stored copy of inventory's snapshots."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from beanie import init_beanie
from chassis.ids import new_id
from chassis.mongo.migrations import ensure_ready
from contracts.inventory import SeatMapUpdated
from pymongo import AsyncMongoClient
from realtime import store
from realtime.migrations import SCHEMA
from realtime.model import Snapshot, UnknownShowtime

from .test_model import seats_of

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
async def database(mongo_uri):
    async with AsyncMongoClient(mongo_uri, tz_aware=True) as mongo:
        await ensure_ready(mongo.usher_realtime, SCHEMA, "")
        await init_beanie(mongo.usher_realtime, document_models=list(store.DOCUMENTS), skip_indexes=True)
        yield


def updated(showtime_id: str, version: int, **seats: list[str]) -> SeatMapUpdated:
    return SeatMapUpdated.model_validate({"showtime_id": showtime_id, "version": version, **seats})


async def stored(showtime_id: str) -> tuple[int, dict[str, str]]:
    seat_map = await store.seat_map(showtime_id)
    return seat_map.snapshot_version, seats_of(seat_map)


@pytest.mark.parametrize("seed", range(10))
async def test_concurrent_repeated_and_reordered_snapshots_leave_the_newest(database, seed):
    showtime = new_id()
    snapshots = [updated(showtime, version, held=[f"A{version}"], sold=["B1"]) for version in range(1, 12)] * 2
    random.Random(seed).shuffle(snapshots)  # noqa: S311 - an order to repeat, not a secret
    await asyncio.gather(*map(store.save_snapshot, snapshots))
    assert await stored(showtime) == (11, {"A11": "held", "B1": "sold"})
    await store.save_snapshot(updated(showtime, 10, held=["A9"]))
    await store.save_snapshot(updated(showtime, 11))
    assert await stored(showtime) == (11, {"A11": "held", "B1": "sold"})


async def test_a_snapshot_keeps_what_else_is_known_in_any_order(database):
    early, late = new_id(), new_id()
    await store.save_snapshot(updated(early, 1, blocked=["A1"]))
    for showtime in (early, late):
        await store.schedule(showtime, layout_id=f"layout-{showtime}", keep_until=LATER)
        await store.add_layout(f"layout-{showtime}", ["A1", "A2"])
        await store.cancel(showtime)
    await store.save_snapshot(updated(late, 1, blocked=["A1"]))
    maps = [(await store.seat_map(showtime)).message() for showtime in (early, late)]
    for seat_map in maps:
        assert (seat_map["seats"], seat_map["capacity"], seat_map["cancelled"]) == ({"A1": "blocked"}, 2, True)


@pytest.mark.parametrize("version", [7, 8, 9])
async def test_the_first_snapshot_replaces_a_document_of_the_version_before(database, version):
    """Its `version` was inventory's as well, and may be that of the first snapshot."""
    showtime, collection = new_id(), store.ShowtimeDocument.get_pymongo_collection()
    claims = {"h": {"held": [0, ["A1"], 1]}, "b": {"sold": [1, ["A2"]]}}
    await collection.insert_one({"_id": showtime, "version": 8, "claims": claims, "layout_id": "l", "cancelled": True})
    assert await stored(showtime) == (0, {})
    await store.save_snapshot(updated(showtime, version, sold=["A3"]))
    assert await collection.find_one({"_id": showtime}) == {
        "_id": showtime,
        "snapshot_version": version,
        "held": [],
        "sold": ["A3"],
        "blocked": [],
        "layout_id": "l",
        "cancelled": True,
    }


async def test_only_newer_snapshots_and_cancellations_are_read_again(database):
    same, newer, cancelled, unknown = (new_id() for _ in range(4))
    for showtime in (same, newer, cancelled):
        await store.save_snapshot(updated(showtime, 5, held=["A1"]))
    await store.cancel(cancelled)
    found = await store.newer_snapshots({same: 5, newer: 4, cancelled: 5, unknown: 0})
    assert sorted(found, key=lambda each: each.is_cancelled) == [
        Snapshot(newer, 5, {"A1": "held"}),
        Snapshot(cancelled, 5, {"A1": "held"}, is_cancelled=True),
    ]


async def test_an_unknown_showtime_is_said_to_be_unknown(database):
    with pytest.raises(UnknownShowtime):
        await store.seat_map("nobody-knows")
