"""The occupancy of a showtime, from inventory's snapshots in any order."""

import asyncio
import random

import pytest
from catalog import store
from catalog.model.occupancy import availability
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.inventory import SeatMapUpdated

pytestmark = pytest.mark.usefixtures("client")


async def test_held_sold_and_blocked_seats_count_as_taken(bus):
    showtime = new_id()
    seats = {"held": ["A1"], "sold": ["A2", "A3"], "blocked": ["A4", "A5", "A6"]}
    await bus.publish(SeatMapUpdated(showtime_id=showtime, version=3, **seats))

    async def occupancy():
        return (await store.occupancy_of([showtime])).get(showtime)

    assert await until(occupancy) == (6, 2)


@pytest.mark.parametrize("seed", range(10))
async def test_concurrent_repeated_and_reordered_snapshots_leave_the_newest(seed):
    showtime, versions = new_id(), list(range(1, 12)) * 2
    random.Random(seed).shuffle(versions)  # noqa: S311 - an order to repeat, not a secret
    saving = (store.save_occupancy(showtime, version, taken=version, sold=version - 1) for version in versions)
    await asyncio.gather(*saving)
    assert await store.occupancy_of([showtime]) == {showtime: (11, 10)}
    await store.save_occupancy(showtime, 10, taken=0, sold=0)
    await store.save_occupancy(showtime, 11, taken=0, sold=0)
    assert await store.occupancy_of([showtime, "unknown"]) == {showtime: (11, 10)}


async def test_the_first_snapshot_replaces_a_document_of_the_version_before():
    showtime, occupancies = new_id(), store.Occupancy.get_pymongo_collection()
    claims = {"h": {"held": [0, 3]}, "b": {"sold": [1, 2]}}
    await occupancies.insert_one({"_id": showtime, "claims": claims, "taken": 5, "sold": 2, "changed_at": now()})
    assert await store.occupancy_of([showtime]) == {showtime: (5, 2)}, "it is correct until then"
    await store.save_occupancy(showtime, 1, taken=1, sold=1)
    document = await occupancies.find_one({"_id": showtime}) or {}
    assert set(document) == {"_id", "version", "taken", "sold", "changed_at"}
    assert await store.occupancy_of([showtime]) == {showtime: (1, 1)}


def test_bands():
    bands = {taken: availability(taken, 100) for taken in (0, 49, 50, 89, 90, 99, 100, 101)}
    assert bands == {
        0: "plenty", 49: "plenty", 50: "filling", 89: "filling", 90: "few_left", 99: "few_left", 100: "sold_out",
        101: "sold_out",
    }  # fmt: skip
