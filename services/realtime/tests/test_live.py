"""Events in, messages out: a real server process, MongoDB and RabbitMQ."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from beanie import init_beanie
from chassis.ids import new_id
from chassis.mongo.migrations import ensure_ready
from chassis.security.secrets import hash_secret
from chassis.testing import Bus, until
from contracts.booking import BookingExpired, BookingPaid, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.identity import AccessRevoked
from contracts.inventory import SeatMapUpdated
from contracts.types import Holder
from pymongo import AsyncMongoClient
from realtime import settings, store
from realtime.hub import Hub
from realtime.main import publish
from realtime.migrations import SCHEMA

from .conftest import Client, client, replica
from .test_model import changed, seats_of
from .test_store import updated

LATER = datetime.now(UTC) + timedelta(minutes=8)


async def subscribed(client: Client, showtime_id: str) -> dict[str, Any]:
    await client.send("subscribe", showtime_id=showtime_id)
    if (snapshot := await client.receive())["type"] == "showtime:update":
        assert (await client.receive())["type"] == "seat:select"
    return snapshot


async def test_snapshot_then_changes_as_they_happen(server, bus: Bus, showtime):
    async with client(server) as watching:
        assert await subscribed(watching, showtime) == {
            "type": "showtime:update",
            "showtime_id": showtime,
            "version": 0,
            "cancelled": False,
            "capacity": 60,
            "seats": {},
        }
        await bus.publish(changed(1, showtime, F7="held", F8="held"))
        assert await watching.receive() == {
            "type": "seat:lock",
            "showtime_id": showtime,
            "since": 0,
            "version": 1,
            "seats": ["F7", "F8"],
            "state": "held",
        }
        await bus.publish(changed(2, showtime, F7="sold", F8="sold"))
        assert (await watching.receive())["type"] == "seat:book"
        await bus.publish(changed(3, showtime, A1="blocked"))
        assert (await watching.receive())["state"] == "blocked"
        await bus.publish(changed(4, showtime, F7="free", F8="free"))
        assert await watching.receive() == {
            "type": "seat:release",
            "showtime_id": showtime,
            "since": 3,
            "version": 4,
            "seats": ["F7", "F8"],
        }
        await bus.publish(ShowtimeCancelled(showtime_id=showtime, reason="technical"))
        assert (await watching.receive())["cancelled"]
        await watching.send("unsubscribe", showtime_id=showtime)
        await bus.publish(changed(5, showtime, B1="held"))
        assert await watching.is_silent()


async def test_a_snapshot_taken_at_any_moment_and_the_changes_after_it_make_the_whole(server, bus: Bus, showtime):
    """Subscribing in the middle of a burst loses nothing between the snapshot and the first change."""
    seats = [f"{row}{n}" for row in "ABCDEF" for n in range(1, 11)]

    async def burst() -> None:
        for version, seat in enumerate(seats, 1):
            await bus.publish(changed(version, showtime, **{seat: "held"}))
            if version % 7 == 0:
                await bus.publish(updated(showtime, version, held=seats[:version]))

    async def follow(delay: float) -> set[str]:
        await asyncio.sleep(delay)
        async with client(server) as watching:
            known = set((await subscribed(watching, showtime))["seats"])
            while len(known) < len(seats):
                known.update((await watching.receive())["seats"])
            return known

    results = await asyncio.gather(burst(), *(follow(n * 0.02) for n in range(8)))
    assert all(known == set(seats) for known in results[1:])


async def test_changes_that_come_in_one_message_are_all_shown(server, bus: Bus, showtime):
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.publish_batch(changed(1, showtime, A1="held"), changed(1, "another", A1="held"))
        assert (await watching.receive())["seats"] == ["A1"]
        await bus.publish_batch(*(changed(version, showtime, **{f"B{version}": "held"}) for version in range(2, 7)))
        known: set[str] = set()
        while len(known) < 5:
            known.update((await watching.receive())["seats"])
        assert known == {"B2", "B3", "B4", "B5", "B6"}


async def test_a_repeated_or_overtaken_change_is_told_once_and_ends_the_same(server, bus: Bus, showtime):
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.publish(changed(2, showtime, C1="free"))
        await bus.publish(changed(1, showtime, C1="held"))
        await bus.publish(changed(3, showtime, C2="held"), event_id="same")
        await bus.publish(changed(3, showtime, C2="held"), event_id="same")
        await bus.publish(changed(4, showtime, C9="blocked"))
        assert [(await watching.receive())["seats"] for _ in range(2)] == [["C2"], ["C9"]]
    async with client(server) as late:
        assert (await subscribed(late, showtime))["seats"] == {"C2": "held", "C9": "blocked"}


async def test_a_change_that_is_not_stored_yet_is_in_the_snapshot_of_a_client(service_env, mongo_uri):
    async with AsyncMongoClient(mongo_uri, tz_aware=True) as mongo:
        await ensure_ready(mongo.usher_realtime, SCHEMA, "")
        await init_beanie(mongo.usher_realtime, document_models=list(store.DOCUMENTS), skip_indexes=True)
        showtime, hub = new_id(), Hub(settings.get(), publish)
        await store.save_snapshot(updated(showtime, 2, held=["F6"], sold=["F9"]))
        for change in (
            changed(2, showtime, F9="held"),
            changed(3, showtime, F7="held"),
            changed(4, "another", F8="held"),
        ):
            hub.apply(change)
        seat_map = await hub.seat_map(showtime)
        assert (seat_map.version, seats_of(seat_map)) == (3, {"F6": "held", "F7": "held", "F9": "sold"})


async def test_every_instance_pushes_and_a_new_one_begins_with_what_is_stored(server, bus: Bus, showtime):
    """A restart: what an replica has not received comes from the database, at once or with the next snapshot."""
    async with client(server) as here:
        await subscribed(here, showtime)
        await bus.publish(updated(showtime, 1, held=["D1"]))
        assert (await here.receive())["seats"] == ["D1"]
        await bus.publish(changed(2, showtime, D2="held"))
        assert (await here.receive())["seats"] == ["D2"]
        async with replica(REFRESH_SECONDS="0.5") as other, client(other) as there:
            assert (await subscribed(there, showtime))["seats"] == {"D1": "held"}, "the change is not stored yet"
            await bus.publish(changed(3, showtime, D3="held"))
            assert (await here.receive())["seats"] == (await there.receive())["seats"] == ["D3"]
            await bus.publish(updated(showtime, 3, held=["D1", "D2", "D3"]))
            assert (await there.receive())["seats"] == ["D2"]
            assert await here.is_silent()


async def test_lost_and_reordered_changes_are_healed_on_every_instance(server, bus: Bus, showtime):
    """Two replicas of inventory: one held E1 and read version 3 after it, the other freed it and read version 2."""
    async with replica(REFRESH_SECONDS="0.5") as other, client(server) as here, client(other) as there:
        for watching in (here, there):
            await subscribed(watching, showtime)
        await bus.publish(changed(2, showtime, E1="free"))
        await bus.publish(changed(3, showtime, E1="held"))
        for watching in (here, there):
            wrong = await watching.receive()
            assert (wrong["type"], wrong["seats"]) == ("seat:lock", ["E1"])
        await bus.publish(updated(showtime, 3, sold=["E5"]))
        for watching in (here, there):
            about = {"showtime_id": showtime, "since": 3, "version": 3}
            assert await watching.receive() == about | {"type": "seat:release", "seats": ["E1"]}
            assert await watching.receive() == about | {"type": "seat:book", "seats": ["E5"]}


async def test_a_snapshot_older_than_what_is_shown_changes_nothing(server, bus: Bus, showtime):
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.publish(updated(showtime, 5, sold=["A1"]))
        assert (await watching.receive())["seats"] == ["A1"]
        await bus.publish(changed(7, showtime, A2="held"))
        assert (await watching.receive())["seats"] == ["A2"]
        await bus.publish(updated(showtime, 4, sold=["A9"]))
        await bus.publish(updated(showtime, 6, sold=["A1", "A3"]))
        assert await watching.receive() == {
            "type": "seat:book",
            "showtime_id": showtime,
            "since": 7,
            "version": 7,
            "seats": ["A3"],
        }
        async with client(server) as late:
            assert (await subscribed(late, showtime))["seats"] == {"A1": "sold", "A2": "held", "A3": "sold"}


async def test_a_cancellation_that_was_lost_is_healed(server, bus: Bus, showtime, mongo_uri):
    async with client(server) as watching:
        await subscribed(watching, showtime)
        async with AsyncMongoClient(mongo_uri) as mongo:
            await mongo.usher_realtime.showtimes.update_one({"_id": showtime}, {"$set": {"cancelled": True}})
        assert (await watching.receive())["cancelled"]


async def test_booking_updates_reach_their_owner_and_nobody_else(server, bus: Bus, signer, showtime):
    about = {"booking_id": new_id(), "showtime_id": showtime, "seats": ["A1"]}
    asked = PaymentRequested.model_validate(
        about
        | {"holder": {"user_id": "anna"}, "email": "anna@usher.example", "reference": "ABCD23", "amount": 2400}
        | {"currency": "EUR", "payment_deadline_at": LATER}
    )
    guests = BookingPaid.model_validate(about | {"booking_id": "g1", "holder": {"secret_hash": hash_secret("s3cret")}})
    async with client(server) as anna, client(server) as guest, client(server) as other, client(server) as nobody:
        await anna.send("authenticate", token=signer.token("anna"))
        assert await anna.receive() == {"type": "authenticated", "user_id": "anna", "guest": False}
        await guest.send("authenticate", hold_secret="s3cret")
        assert await guest.receive() == {"type": "authenticated", "user_id": None, "guest": True}
        await other.send("authenticate", token=signer.token("ben"), hold_secret="another")
        await other.receive()
        await subscribed(nobody, showtime)
        await bus.publish(asked, version=2)
        await bus.publish(guests, version=3)
        assert await anna.receive() == {
            "type": "booking:update",
            "booking_id": about["booking_id"],
            "state": "awaiting_payment",
            "version": 2,
            "reference": "ABCD23",
        }
        told = await guest.receive()
        assert (told["booking_id"], told["state"]) == ("g1", "confirming")
        for client_ in (anna, guest, other, nobody):
            assert await client_.is_silent()


async def test_the_private_stream_ends_with_the_token(server, bus: Bus, signer, showtime):
    about = {"showtime_id": showtime, "seats": ["A1"], "holder": Holder(user_id="cleo")}
    async with client(server) as cleo:
        soon = int(datetime.now(UTC).timestamp()) + 1
        await cleo.send("authenticate", token=signer.token("cleo", exp=soon))
        assert (await cleo.receive())["type"] == "authenticated"
        assert (await cleo.receive())["code"] == "token_expired"
        await bus.publish(BookingExpired(booking_id="first", **about))
        assert await cleo.is_silent()
        await cleo.send("authenticate", token=signer.token("cleo"))
        await cleo.receive()
        await bus.publish(BookingExpired(booking_id="second", **about))
        assert (await cleo.receive())["booking_id"] == "second"


async def test_the_private_stream_ends_when_access_is_revoked(server, bus: Bus, signer, showtime):
    about = {"showtime_id": showtime, "seats": ["A1"], "holder": Holder(user_id="dora")}
    async with client(server) as dora, client(server) as twice, client(server) as eve:
        for person, name in ((dora, "dora"), (twice, "dora"), (eve, "eve")):
            await person.send("authenticate", token=signer.token(name))
            await person.receive()
        await bus.publish(AccessRevoked(user_id="dora", epoch=1))
        assert [(await each.receive())["code"] for each in (dora, twice)] == ["token_revoked"] * 2
        await bus.publish(BookingExpired(booking_id="first", **about))
        for each in (dora, twice, eve):
            assert await each.is_silent()
        await dora.send("authenticate", token=signer.token("dora"))
        assert (await dora.receive())["code"] == "token_invalid"
        await dora.send("authenticate", token=signer.token("dora", epoch=1))
        assert (await dora.receive())["type"] == "authenticated"
        await bus.publish(BookingExpired(booking_id="second", **about))
        assert (await dora.receive())["booking_id"] == "second"


async def test_unusable_events_become_dead_letters_and_nothing_stops(server, bus: Bus, showtime):
    nonsense = f"{{not json {new_id()}"
    await bus.publish_raw(SeatMapUpdated.type, nonsense)

    async def reasons() -> list[str]:
        return [letter.reason for letter in await bus.dead("realtime") if letter.body == nonsense.encode()]

    (reason,) = await until(reasons)
    assert "malformed" in reason
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.publish(changed(1, showtime, A1="held"))
        assert (await watching.receive())["seats"] == ["A1"]
