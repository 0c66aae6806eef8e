"""Time in: lapsed holds are released, without the seats that somebody has taken since."""

import asyncio
from datetime import datetime, timedelta

import pytest
from chassis.clock import now
from chassis.jobs import LEASE_S, LOOK_S
from chassis.testing.bus import Bus
from contracts.inventory import SeatsReleased

from .conftest import Booking, Box, booking, in_checkout, shown
from .stage import Committed


async def test_a_lapse_frees_its_seats_and_is_shown(box: Box, bus: Bus, short_holds: None):
    held = await box.held("A1", "A2")
    await shown(bus, box, A1="free", A2="free")
    assert await box.taken() == {}
    assert (await held.get()).status_code == 404
    assert not bus.events(SeatsReleased, lambda e: e.hold_id == held.id)


def test_two_seconds_are_enough_for_another_replica_when_the_one_with_the_job_is_killed(inventory_env: None):
    from inventory.jobs import JOBS  # noqa: PLC0415 - its settings come from inventory_env

    release = next(job for job in JOBS if job.name == "release_lapsed_holds")
    assert LEASE_S + (LOOK_S + release.every) * 1.1 < 2, "pauses are up to a tenth longer"


async def test_a_seat_that_was_taken_again_is_not_released(box: Box, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env

    async def nothing_yet(_: datetime) -> list[tuple[str, str]]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(store, "lapsed_holds", nothing_yet)
        patch.setattr(settings.get(), "hold_seconds", 1)
        first = await box.held("A1", "A2")
        await asyncio.sleep(1.001)
        patch.setattr(settings.get(), "hold_seconds", 480)
        second = await box.held("A2", "A3")
        assert await box.taken() == {"A2": "held", "A3": "held"}
        gone = await first.get()
        assert (gone.status_code, gone.json()["code"], gone.json()["seats"]) == (410, "hold_lapsed", ["A1", "A2"])
        assert (await first.renew()).status_code == 410
    changed = await shown(bus, box, A1="free")
    assert changed.seats.get("A2") != "free"
    assert (await first.get()).status_code == 404
    assert await box.taken() == {"A2": "held", "A3": "held"}
    assert (await second.get()).status_code == 200


async def test_a_checkout_can_still_pin_seats_that_lapsed_but_nobody_took(
    box: Box, bus: Bus, short_holds: None, monkeypatch: pytest.MonkeyPatch
):
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env

    async def nothing_yet(_: datetime) -> list[tuple[str, str]]:
        return []

    monkeypatch.setattr(store, "lapsed_holds", nothing_yet)
    held, lost = await box.held("A1"), await box.held("A2", "A3")
    await asyncio.sleep(1.001)
    await box.held("A3")
    for late, seats in ((held, ["A1"]), (lost, ["A2", "A3"])):
        await Booking(bus, box, late.id, *seats).checks_out()
    released = await bus.heard(SeatsReleased, lambda e: e.hold_id == lost.id)
    assert (released.seats, released.reason) == (["A2"], "lapsed")

    await in_checkout(held)


async def test_a_hold_that_was_renewed_in_the_meantime_stays(box: Box, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    from inventory import jobs, store  # noqa: PLC0415 - its settings come from inventory_env

    held = await box.held("A1")

    async def seen_before_it_was_renewed(_: datetime) -> list[tuple[str, str]]:
        return [(box.showtime_id, held.id)]

    monkeypatch.setattr(store, "lapsed_holds", seen_before_it_was_renewed)
    await jobs.release_lapsed_holds()
    assert await box.taken() == {"A1": "held"}


async def test_a_hold_that_cannot_be_released_now_stops_no_other(
    box: Box, bus: Bus, short_holds: None, monkeypatch: pytest.MonkeyPatch
):
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env

    stuck, release = await box.held("A1"), store.lapse

    async def lapse(showtime_id: str, hold_id: str) -> None:
        if hold_id == stuck.id:
            raise ConnectionError("no answer")
        await release(showtime_id, hold_id)

    monkeypatch.setattr(store, "lapse", lapse)
    await box.held("A2")
    await shown(bus, box, A2="free")
    monkeypatch.undo()
    await shown(bus, box, A1="free")


async def test_several_replicas_release_it_once(box: Box, committed: Committed, short_holds: None):
    from inventory import jobs  # noqa: PLC0415 - its settings come from inventory_env

    await box.held("A1")
    await asyncio.sleep(1.001)
    await asyncio.gather(*(jobs.release_lapsed_holds() for _ in range(8)))
    assert committed.shown[box.showtime_id] == [["A1"], ["A1"]]
    assert await box.taken() == {}


async def test_a_checkout_that_booking_never_ends_is_released_at_the_hard_cap(box: Box, bus: Bus):
    held = await box.held("A1")
    await booking(bus, box, held).checks_out(payment_deadline_at=now() - timedelta(minutes=20) + timedelta(seconds=1))

    await in_checkout(held)
    await shown(bus, box, A1="free")
    assert await box.taken() == {}
