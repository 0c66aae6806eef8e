"""Seat maps are published again: those of the release before 2026-12 by a migration, and all of them on demand."""

import asyncio
import sys

from chassis.clock import now
from chassis.ids import new_id
from chassis.testing.bus import Bus
from contracts.inventory import SeatMapUpdated

from .conftest import ShowtimeClient
from .stage import GUEST


async def test_the_seat_map_of_the_release_before_is_published(showtime: ShowtimeClient, bus: Bus):
    from inventory import migrations  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.model import Hold  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415

    hold = Hold(id=new_id(), holder=GUEST, seats=["A1"], expires_at=now(), cap_at=now()).model_dump(exclude_none=True)
    old = {
        "holds": [hold | {"pinned": True}],
        "taken": {"A1": {"by": hold["id"], "state": "held"}, "A2": {"by": "b1", "state": "sold"}},
    }
    await ShowtimeDocument.get_pymongo_collection().update_one(
        {"_id": showtime.showtime_id}, {"$set": old, "$unset": {"is_stale": "", "closed": ""}}
    )
    for _ in range(2):
        await migrations.publish_seat_maps(ShowtimeDocument.get_pymongo_collection().database)
    published = await bus.wait_for(SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id)
    assert published.sold == ["A2"]


async def test_all_seat_maps_are_published_again_on_demand(showtime: ShowtimeClient, bus: Bus):
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415 - its settings come from inventory_env

    await showtime.held("A1")
    published = await bus.wait_for(SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inventory.republish", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert (
        out.decode().strip()
        == f"{await ShowtimeDocument.get_pymongo_collection().count_documents({})} seat maps will be published"
    )
    again = await bus.wait_for(
        SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id and e.version > published.version
    )
    assert again.held == published.held == ["A1"]
