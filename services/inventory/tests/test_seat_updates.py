"""Seat updates: each change is broadcast soon, the whole map follows, and lost broadcasts are corrected."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.catalog import ShowtimeCancelled
from contracts.envelope import Event
from contracts.inventory import SeatMapUpdated, SeatsChanged

from .conftest import NewShowtime, ShowtimeClient, booking, wait_for_broadcast, wait_until_pinned
from .stage import Committed, no_expired_holds


class RecordedBroadcasts:
    """Records broadcasts; the first `failures` of them fail."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.events = failures, list[list[SeatsChanged]]()

    async def __call__(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is away")
        self.events.append([event for event in events if isinstance(event, SeatsChanged)])

    async def have_failed(self) -> bool:
        return self.failures == 0

    async def have_come(self) -> bool:
        return bool(self.events)


async def version_of(showtime: ShowtimeClient) -> int:
    return (await showtime.client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).json()["version"]


class TestChanges:
    async def test_of_holds_and_sales_are_shown(self, showtime: ShowtimeClient, bus: Bus):
        held, other = await showtime.held("A1", "A2"), await showtime.held("B1")
        first = await wait_for_broadcast(bus, showtime, A1="held", A2="held")
        assert first.version >= 2
        await held.change(add=["A3"], drop=["A1"])
        await wait_for_broadcast(bus, showtime, A1="free", A3="held")
        await other.release()
        await wait_for_broadcast(bus, showtime, B1="free")
        await booking(bus, showtime, held).pay(seats=["A2", "A3"])
        last = await wait_for_broadcast(bus, showtime, A2="sold", A3="sold")
        assert last.version > first.version

    async def test_of_ends_are_shown(self, showtime: ShowtimeClient, bus: Bus):
        gone, back, free = [await showtime.held(seat) for seat in ("A1", "A2", "A3")]
        await booking(bus, showtime, gone).expire()
        await wait_for_broadcast(bus, showtime, A1="free")
        await booking(bus, showtime, back).pay()
        await wait_for_broadcast(bus, showtime, A2="sold")
        await booking(bus, showtime, back).cancel()
        await wait_for_broadcast(bus, showtime, A2="free")
        assert (await free.get()).status_code == 200
        await bus.publish(ShowtimeCancelled(showtime_id=showtime.showtime_id, reason="other"))
        await wait_for_broadcast(bus, showtime, A3="free")

    async def test_of_blocks_are_shown(self, showtime: ShowtimeClient, bus: Bus, signer: Signer):
        staff, address = signer.headers("staff", ["seats:block"]), f"/api/showtimes/{showtime.showtime_id}/blocks"
        made = await showtime.client.post(address, json={"seats": ["A1"], "reason": "broken"}, headers=staff)
        await wait_for_broadcast(bus, showtime, A1="blocked")
        await showtime.client.delete(f"{address}/{made.json()['block_id']}", headers=staff)
        await wait_for_broadcast(bus, showtime, A1="free")

    async def test_that_change_no_seat_show_nothing(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1")
        await held.renew()
        await booking(bus, showtime, held).request_payment()
        await wait_until_pinned(held)
        await showtime.held("B1")
        await wait_for_broadcast(bus, showtime, B1="held")
        changes = [seat for e in bus.events(SeatsChanged) if e.showtime_id == showtime.showtime_id for seat in e.seats]
        assert sorted(changes) == ["A1", "B1"]

    async def test_of_one_moment_go_together_as_they_are_then(
        self, new_showtime: NewShowtime, monkeypatch: pytest.MonkeyPatch
    ):
        """Changes of all showtimes share one broadcast, also those of other replicas."""
        from inventory.store import SeatBroadcaster, seat_updates  # noqa: PLC0415 - see inventory_env

        are_changed, read = asyncio.Event(), seat_updates._read

        async def read_then(changed: Any) -> AsyncIterator[SeatsChanged]:
            await are_changed.wait()
            async for event in read(changed):
                yield event

        monkeypatch.setattr(seat_updates, "_read", read_then)
        broadcasts, showtimes = RecordedBroadcasts(), [await new_showtime() for _ in range(3)]
        broadcaster = SeatBroadcaster(broadcasts)
        for each in showtimes:
            broadcaster.enqueue(each.showtime_id, ["A1", "A2"])
        broadcaster.enqueue(showtimes[0].showtime_id, ["A3"])
        for each in showtimes:
            held = await each.held("A1")
            await held.change(add=["A2"], drop=["A1"])
        changed = {each.showtime_id: await version_of(each) for each in showtimes}
        are_changed.set()
        await until(broadcasts.have_come)
        [batch] = broadcasts.events
        # The job that publishes the seat maps may raise the versions meanwhile.
        assert {event.showtime_id for event in batch} == changed.keys()
        assert all(event.version >= changed[event.showtime_id] for event in batch)
        first = next(event for event in batch if event.showtime_id == showtimes[0].showtime_id)
        assert first.seats == {"A1": "free", "A2": "held", "A3": "free"}

    async def test_that_cannot_be_sent_are_dropped_and_the_next_are_sent(self, showtime: ShowtimeClient):
        from inventory.store import SeatBroadcaster  # noqa: PLC0415 - its settings come from inventory_env

        broadcasts = RecordedBroadcasts(failures=1)
        broadcaster = SeatBroadcaster(broadcasts)
        broadcaster.enqueue(showtime.showtime_id, ["A1"])
        await until(broadcasts.have_failed)
        broadcaster.enqueue(showtime.showtime_id, ["A2"])
        await until(broadcasts.have_come)
        [[event]] = broadcasts.events
        assert event.seats == {"A2": "free"}

    async def test_are_sent_before_the_service_stops(self, showtime: ShowtimeClient, monkeypatch: pytest.MonkeyPatch):
        from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import SeatBroadcaster  # noqa: PLC0415

        broadcasts = RecordedBroadcasts()
        async with SeatBroadcaster(broadcasts) as broadcaster:
            monkeypatch.setattr(replica, "broadcaster", broadcaster)
            await showtime.held("A1")
        assert [event.seats for [event] in broadcasts.events] == [{"A1": "held"}]


def maps(bus: Bus, showtime: ShowtimeClient) -> list[SeatMapUpdated]:
    return bus.events(SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id)


class TestMap:
    async def test_follows_changes_with_all_seats(self, showtime: ShowtimeClient, bus: Bus, signer: Signer):
        staff, address = signer.headers("staff", ["seats:block"]), f"/api/showtimes/{showtime.showtime_id}/blocks"
        paid = booking(bus, showtime, await showtime.held("A1"))
        await paid.pay()
        await paid.sold()
        await showtime.held("B1", "B2")
        await showtime.client.post(address, json={"seats": ["C1"], "reason": "broken"}, headers=staff)
        body = await bus.wait_for(SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id and bool(e.blocked))
        assert (sorted(body.held), body.sold, body.blocked) == (["B1", "B2"], ["A1"], ["C1"])

        async def is_as_shown() -> bool:
            return await version_of(showtime) == maps(bus, showtime)[-1].version

        await until(is_as_shown)

    async def test_is_published_once_per_change(self, showtime: ShowtimeClient, committed: Committed):
        from inventory import store  # noqa: PLC0415 - its settings come from inventory_env

        await showtime.held("A1")
        await asyncio.gather(*(store.publish_seat_maps() for _ in range(4)))
        await store.publish_seat_maps()
        assert committed.events.count(("seat_map_updated", showtime.showtime_id)) == 1
        await showtime.held("A2")
        await store.publish_seat_maps()
        assert committed.events.count(("seat_map_updated", showtime.showtime_id)) == 2

    async def test_that_has_changed_since_it_was_read_is_published_again(self, showtime: ShowtimeClient, bus: Bus):
        from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import seat_updates  # noqa: PLC0415
        from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415

        await showtime.held("A1")
        read = await ShowtimeDocument.get_pymongo_collection().find_one({"_id": showtime.showtime_id})
        assert read is not None
        await showtime.held("A2")
        await seat_updates._publish_seat_map(read)
        await store.publish_seat_maps()

        def is_newest(event: SeatMapUpdated) -> bool:
            return event.showtime_id == showtime.showtime_id and len(event.held) == 2

        await bus.wait_for(SeatMapUpdated, is_newest)

    async def test_does_not_fill_the_outbox_while_the_broker_is_away(
        self, showtime: ShowtimeClient, committed: Committed
    ):
        from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415
        from inventory.store.seat_updates import MAX_UNSENT  # noqa: PLC0415

        unsent = {"id": "unsent", "time": now() + timedelta(days=1)}
        change = {"$set": {"outbox": [unsent] * (MAX_UNSENT + 1)}}
        await ShowtimeDocument.get_pymongo_collection().update_one({"_id": showtime.showtime_id}, change)
        await showtime.held("A1")
        await store.publish_seat_maps()
        assert (await store.read(showtime.showtime_id)).is_stale
        await ShowtimeDocument.get_pymongo_collection().update_one(
            {"_id": showtime.showtime_id}, {"$set": {"outbox": []}}
        )
        await store.publish_seat_maps()
        assert not (await store.read(showtime.showtime_id)).is_stale
        assert committed.events.count(("seat_map_updated", showtime.showtime_id)) == 1

    async def test_shows_a_seat_whose_time_is_over_as_free(
        self, showtime: ShowtimeClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ):
        from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env

        monkeypatch.setattr(store, "with_expired_holds", no_expired_holds)
        with monkeypatch.context() as patch:
            patch.setattr(settings.get(), "hold_seconds", 1)
            await showtime.held("A1")
        await asyncio.sleep(1.001)
        await showtime.held("A2")
        body = await bus.wait_for(SeatMapUpdated, lambda e: e.showtime_id == showtime.showtime_id and "A2" in e.held)
        assert body.held == ["A2"]

    async def test_of_one_run_are_bounded(self, new_showtime: NewShowtime, monkeypatch: pytest.MonkeyPatch):
        from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import seat_updates  # noqa: PLC0415

        found: list[object] = []

        async def only_look(document: object) -> None:
            found.append(document)

        monkeypatch.setattr(seat_updates, "_publish_seat_map", only_look)
        monkeypatch.setattr(seat_updates, "MAPS_PER_RUN", 2)
        for _ in range(3):
            await (await new_showtime()).held("A1")
        counts: list[int] = []
        for _ in range(5):
            found.clear()
            await store.publish_seat_maps()
            counts.append(len(found))
        assert min(counts) == 2, "the service's own job may have run at the same time"

    async def test_is_found_by_an_index_of_stale_ones_alone(self, showtime: ShowtimeClient):
        from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415 - its settings come from inventory_env

        await showtime.held("A1")
        plan = (
            await ShowtimeDocument.get_pymongo_collection()
            .find({"is_stale": True}, {"version": 1, "taken": 1})
            .explain()
        )
        stages = str(plan["queryPlanner"]["winningPlan"])
        assert "'indexName': 'stale'" in stages
        assert "COLLSCAN" not in stages
        [index] = [
            each
            async for each in await ShowtimeDocument.get_pymongo_collection().list_indexes()
            if each["name"] == "stale"
        ]
        assert index["partialFilterExpression"] == {"is_stale": True}
