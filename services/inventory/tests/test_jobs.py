"""Time in: what lapses is announced, once, and only what nobody has taken since."""

import asyncio
from datetime import datetime, timedelta

import pytest
from chassis.clock import now
from chassis.jobs import LEASE_S, LOOK_S
from chassis.testing import until
from chassis.testing.bus import Bus
from contracts.booking import PaymentRequested
from contracts.inventory import SeatsHeld, SeatsReleased

from .conftest import GUEST, Box, Held


def checkout(box: Box, held: Held, seats: list[str], deadline: datetime) -> PaymentRequested:
    return PaymentRequested(
        booking_id=held.id,
        showtime_id=box.showtime_id,
        seats=seats,
        holder=GUEST,
        email="a@usher.example",
        reference="R1",
        amount=1,
        currency="EUR",
        payment_deadline_at=deadline,
    )


async def test_a_lapse_is_announced_and_frees_its_seats(box: Box, bus: Bus, short_holds: None):
    held = await box.held("A1", "A2")
    released = await bus.heard(SeatsReleased, lambda e: e.hold_id == held.id)
    assert (released.seats, released.reason) == (["A1", "A2"], "lapsed")
    assert await box.taken() == {}
    assert (await held.get()).status_code == 404


def test_two_seconds_are_enough_for_another_replica_when_the_one_with_the_job_is_killed(service_env: None):
    from inventory.jobs import JOBS  # noqa: PLC0415 - its settings come from service_env

    (announce,) = JOBS
    assert LEASE_S + (LOOK_S + announce.every) * 1.1 < 2, "pauses are up to a tenth longer"


async def test_a_seat_that_was_taken_again_is_not_released(box: Box, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    from inventory import settings, store  # noqa: PLC0415 - its settings come from service_env

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
    released = await bus.heard(SeatsReleased, lambda e: e.hold_id == first.id)
    assert (released.seats, released.reason) == (["A1"], "lapsed")
    assert await box.taken() == {"A2": "held", "A3": "held"}
    assert (await second.get()).status_code == 200


async def test_a_checkout_can_still_pin_seats_that_lapsed_but_nobody_took(
    box: Box, bus: Bus, short_holds: None, monkeypatch: pytest.MonkeyPatch
):
    from inventory import store  # noqa: PLC0415 - its settings come from service_env

    async def nothing_yet(_: datetime) -> list[tuple[str, str]]:
        return []

    monkeypatch.setattr(store, "lapsed_holds", nothing_yet)
    held, lost = await box.held("A1"), await box.held("A2", "A3")
    await asyncio.sleep(1.001)
    await box.held("A3")
    for late, seats in ((held, ["A1"]), (lost, ["A2", "A3"])):
        await bus.say(checkout(box, late, seats, now() + timedelta(minutes=10)))
    released = await bus.heard(SeatsReleased, lambda e: e.hold_id == lost.id)
    assert (released.seats, released.reason) == (["A2"], "lapsed")

    async def is_pinned() -> bool:
        return (await held.get()).json().get("in_checkout", False)

    await until(is_pinned)


async def test_a_hold_that_was_renewed_in_the_meantime_stays(box: Box, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    from inventory import jobs, store  # noqa: PLC0415 - its settings come from service_env

    held = await box.held("A1")

    async def seen_before_it_was_renewed(_: datetime) -> list[tuple[str, str]]:
        return [(box.showtime_id, held.id)]

    monkeypatch.setattr(store, "lapsed_holds", seen_before_it_was_renewed)
    await jobs.announce_lapsed_holds()
    assert await box.taken() == {"A1": "held"}


async def test_several_replicas_announce_it_once(box: Box, bus: Bus, short_holds: None):
    from inventory import jobs  # noqa: PLC0415 - its settings come from service_env

    held = await box.held("A1")
    await asyncio.sleep(1.001)
    await asyncio.gather(*(jobs.announce_lapsed_holds() for _ in range(8)))
    await bus.heard(SeatsReleased, lambda e: e.hold_id == held.id)
    last = await box.held("B1")
    await bus.heard(SeatsHeld, lambda e: e.hold_id == last.id)
    assert len(bus.events(SeatsReleased, lambda e: e.hold_id == held.id)) == 1


async def test_a_checkout_that_booking_never_ends_is_released_at_the_hard_cap(box: Box, bus: Bus):
    held = await box.held("A1")
    requested = checkout(box, held, ["A1"], now() - timedelta(minutes=20) + timedelta(seconds=1))
    await bus.say(requested)

    async def is_pinned() -> bool:
        return (await held.get()).json().get("in_checkout", False)

    await until(is_pinned)
    released = await bus.heard(SeatsReleased, lambda e: e.hold_id == held.id)
    assert (released.seats, released.reason) == (["A1"], "lapsed")
