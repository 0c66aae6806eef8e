"""Expired holds are released, without the seats that somebody else has taken since."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.jobs import CHECK_S, LEASE_S
from chassis.testing.bus import Bus
from contracts.inventory import SeatsReleased

from .conftest import Booking, NewShowtime, ShowtimeClient, booking, wait_for_broadcast, wait_until_pinned
from .stage import Committed, no_expired_holds


async def test_an_expired_hold_frees_its_seats_and_is_broadcast(showtime: ShowtimeClient, bus: Bus, short_holds: None):
    held = await showtime.held("A1", "A2")
    await wait_for_broadcast(bus, showtime, A1="free", A2="free")
    assert await showtime.taken() == {}
    assert (await held.get()).status_code == 404
    assert not bus.events(SeatsReleased, lambda e: e.hold_id == held.id)


def test_two_seconds_are_enough_for_another_replica_when_the_one_with_the_job_is_killed(inventory_env: None):
    from inventory.jobs import jobs  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415

    release = next(job for job in jobs(replica) if job.name == "release_lapsed_holds")
    assert LEASE_S + (CHECK_S + release.every) * 1.1 < 2, "pauses have up to 10 % jitter"


async def test_a_seat_that_was_taken_again_is_not_released(
    showtime: ShowtimeClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
):
    from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env

    with monkeypatch.context() as patch:
        patch.setattr(store, "with_expired_holds", no_expired_holds)
        patch.setattr(settings.get(), "hold_seconds", 1)
        first = await showtime.held("A1", "A2")
        await asyncio.sleep(1.001)
        patch.setattr(settings.get(), "hold_seconds", 480)
        second = await showtime.held("A2", "A3")
        assert await showtime.taken() == {"A2": "held", "A3": "held"}
        gone = await first.get()
        assert (gone.status_code, gone.json()["code"], gone.json()["seats"]) == (410, "hold_lapsed", ["A1", "A2"])
        assert (await first.renew()).status_code == 410
    changed = await wait_for_broadcast(bus, showtime, A1="free")
    assert changed.seats.get("A2") != "free"
    assert (await first.get()).status_code == 404
    assert await showtime.taken() == {"A2": "held", "A3": "held"}
    assert (await second.get()).status_code == 200


async def test_a_checkout_can_still_pin_seats_that_expired_but_nobody_took(
    showtime: ShowtimeClient, bus: Bus, short_holds: None, monkeypatch: pytest.MonkeyPatch
):
    from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(store, "with_expired_holds", no_expired_holds)
    held, lost = await showtime.held("A1"), await showtime.held("A2", "A3")
    await asyncio.sleep(1.001)
    monkeypatch.setattr(settings.get(), "hold_seconds", 480)
    await showtime.held("A3")
    for late, seats in ((held, ["A1"]), (lost, ["A2", "A3"])):
        await Booking(bus, showtime, late.id, *seats).request_payment()
    released = await bus.wait_for(SeatsReleased, lambda e: e.hold_id == lost.id)
    assert (released.seats, released.reason) == (["A2"], "lapsed")

    await wait_until_pinned(held)


async def test_a_hold_that_was_renewed_in_the_meantime_stays(
    showtime: ShowtimeClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
):
    from inventory import jobs, store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415

    await showtime.held("A1")

    async def seen_before_it_was_renewed(_: datetime) -> list[str]:
        return [showtime.showtime_id]

    monkeypatch.setattr(store, "with_expired_holds", seen_before_it_was_renewed)
    await jobs.release_expired_holds(replica)
    assert await showtime.taken() == {"A1": "held"}


async def test_a_showtime_whose_holds_cannot_be_released_now_stops_no_other(
    new_showtime: NewShowtime, bus: Bus, short_holds: None, monkeypatch: pytest.MonkeyPatch
):
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env

    stuck, other, release = await new_showtime(), await new_showtime(), store.release_expired

    async def release_expired(replica: Any, showtime_id: str) -> None:
        if showtime_id == stuck.showtime_id:
            raise ConnectionError("no answer")
        await release(replica, showtime_id)

    monkeypatch.setattr(store, "release_expired", release_expired)
    await stuck.held("A1")
    await other.held("A2")
    await wait_for_broadcast(bus, other, A2="free")
    monkeypatch.undo()
    await wait_for_broadcast(bus, stuck, A1="free")


async def test_many_holds_of_a_showtime_are_released_together(showtime: ShowtimeClient, bus: Bus, short_holds: None):
    await asyncio.gather(*(showtime.held(f"{row}{n}") for row in "AB" for n in range(1, 11)))
    await showtime.wait_for_taken()
    await wait_for_broadcast(bus, showtime, B10="free")


async def test_several_replicas_release_it_once(showtime: ShowtimeClient, committed: Committed, short_holds: None):
    from inventory import jobs  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415

    await showtime.held("A1")
    await asyncio.sleep(1.001)
    await asyncio.gather(*(jobs.release_expired_holds(replica) for _ in range(8)))
    assert committed.broadcaster.enqueued[showtime.showtime_id] == [["A1"], ["A1"]]
    assert await showtime.taken() == {}


async def test_a_checkout_that_booking_never_ends_is_released_at_the_hard_cap(showtime: ShowtimeClient, bus: Bus):
    held = await showtime.held("A1")
    await booking(bus, showtime, held).request_payment(
        payment_deadline_at=now() - timedelta(minutes=20) + timedelta(seconds=1)
    )

    await wait_until_pinned(held)
    await wait_for_broadcast(bus, showtime, A1="free")
    assert await showtime.taken() == {}
