"""Approved changes of showtimes: catalog makes each once, or says why it is impossible."""

from datetime import timedelta
from typing import Any

import pytest
from catalog import store
from catalog.store import showtimes
from chassis.clock import now
from chassis.ids import new_id
from contracts.booking import HouseChangeApproved
from contracts.catalog import ShowtimeCancelled, ShowtimeChangeRefused, ShowtimeRescheduled

from .test_showtimes import moment


def approved(showtime: dict[str, Any], **facts: Any) -> HouseChangeApproved:
    known = {"change_id": new_id(), "showtime_id": showtime["id"], "kind": "cancel"}
    return HouseChangeApproved.model_validate(known | facts)


async def test_an_approved_move_is_made_once(manager, bus):
    showtime = await manager.showtime()
    starts_at = moment(showtime["starts_at"]) + timedelta(days=1)
    change = approved(showtime, kind="move", starts_at=starts_at)
    await bus.publish(change)
    moved = await bus.wait_for(ShowtimeRescheduled, lambda e: e.change_id == change.change_id)
    close_before = moment(showtime["starts_at"]) - moment(showtime["sales_close_at"])
    assert (moved.starts_at, moved.sales_close_at) == (starts_at, starts_at - close_before)
    back = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening()})
    assert back.status_code == 200
    await store.make_change(change)
    shown = (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()
    assert shown["starts_at"] == showtime["starts_at"], "an approval that arrives again does not move it again"
    assert len(bus.events(ShowtimeRescheduled, lambda e: e.change_id == change.change_id)) == 1


async def test_without_the_guard_a_repeated_approval_moves_it_again(manager, monkeypatch: pytest.MonkeyPatch):
    showtime = await manager.showtime()
    change = approved(showtime, kind="move", starts_at=moment(showtime["starts_at"]) + timedelta(days=1))
    monkeypatch.setattr(showtimes, "_decided", lambda _: {})
    await store.make_change(change)
    await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening()})
    await store.make_change(change)
    shown = (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()
    assert shown["starts_at"] != showtime["starts_at"]


async def test_an_impossible_change_is_refused_with_the_reason(manager, bus):
    first, second = [await manager.showtime(manager.evening(clock=clock)) for clock in ("14:00", "18:00")]
    clash = approved(first, kind="move", starts_at=moment(second["starts_at"]))
    late = approved(first, kind="move", starts_at=moment(first["starts_at"]) - timedelta(days=60))
    cancelled = [approved(second, reason="technical"), approved(second, reason="other")]
    for change, code in ((clash, "showtimes_clash"), (late, "sales_times_invalid")):
        await bus.publish(change)
        refused = await bus.wait_for(ShowtimeChangeRefused, lambda e, change=change: e.change_id == change.change_id)
        assert refused.code == code
        assert refused.detail
    for change in cancelled:
        await bus.publish(change)
    made = await bus.wait_for(ShowtimeCancelled, lambda e: e.showtime_id == second["id"])
    [other] = [change for change in cancelled if change.change_id != made.change_id]
    refused = await bus.wait_for(ShowtimeChangeRefused, lambda e: e.change_id == other.change_id)
    assert refused.code == "showtime_over", "another change has cancelled it"


async def test_many_tickets_need_a_dry_run(manager, bus):
    showtime = await manager.showtime()
    sold = [f"A{n}" for n in range(1, 52)]
    await store.save_occupancy(showtime["id"], 5, taken=len(sold), sold=len(sold))
    path = f"/showtimes/{showtime['id']}"
    for method, way, body in (
        ("PATCH", "", {"local_start": manager.evening(9)}),
        ("POST", "/cancel", {"reason": "technical"}),
    ):
        refused = await manager.call(method, f"{path}{way}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "dry_run_required")
    opens = (now() + timedelta(days=1)).replace(microsecond=0).isoformat()
    assert (await manager.call("PATCH", path, {"sales_open_at": opens})).status_code == 200, "only the sales change"
    await store.save_occupancy(showtime["id"], 6, taken=50, sold=50)
    assert (await manager.call("POST", f"{path}/cancel", {"reason": "technical"})).status_code == 200
