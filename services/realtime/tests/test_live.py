"""Events in, messages out: a real server process, MongoDB and RabbitMQ."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from beanie import init_beanie
from chassis.ids import new_id
from chassis.secrets import hash_secret
from chassis.testing import Bus, until
from contracts.booking import BookingExpired, BookingPaid, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.identity import AccessRevoked
from contracts.inventory import SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold
from contracts.types import Holder, Seat
from pymongo import AsyncMongoClient
from realtime import jobs, settings, store
from realtime.hub import Hub
from realtime.main import publish
from realtime.model import news_of

from .conftest import Client, a_showtime, client, instance

LATER = datetime.now(UTC) + timedelta(minutes=8)


def held(showtime_id: str, hold_id: str, *seats: str) -> SeatsHeld:
    return SeatsHeld(
        hold_id=hold_id,
        showtime_id=showtime_id,
        seats=[Seat(seat_id=seat, row=seat[0], number=int(seat[1:]), category="standard") for seat in seats],
        holder=Holder(user_id="somebody"),
        expires_at=LATER,
    )


async def subscribed(client: Client, showtime_id: str) -> dict[str, Any]:
    await client.say("subscribe", showtime_id=showtime_id)
    if (snapshot := await client.hear())["type"] == "showtime:update":
        assert (await client.hear())["type"] == "seat:select"
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
        hold = new_id()
        await bus.say(held(showtime, hold, "F7", "F8"), version=1)
        lock = await watching.hear()
        assert lock == {
            "type": "seat:lock",
            "showtime_id": showtime,
            "since": 0,
            "version": 1,
            "seats": ["F7", "F8"],
            "state": "held",
        }
        await bus.say(SeatsSold(hold_id=hold, showtime_id=showtime, seats=["F7", "F8"]), version=2)
        assert (await watching.hear())["type"] == "seat:book"
        await bus.say(SeatsBlocked(showtime_id=showtime, block_id="b", seats=["A1"], reason="broken"), version=3)
        assert (await watching.hear())["state"] == "blocked"
        await bus.say(
            SeatsReleased(hold_id=hold, showtime_id=showtime, seats=["F7", "F8"], reason="cancelled"), version=4
        )
        assert await watching.hear() == {
            "type": "seat:release",
            "showtime_id": showtime,
            "since": 3,
            "version": 4,
            "seats": ["F7", "F8"],
        }
        await bus.say(ShowtimeCancelled(showtime_id=showtime, reason="technical"))
        assert (await watching.hear())["cancelled"]
        await watching.say("unsubscribe", showtime_id=showtime)
        await bus.say(held(showtime, new_id(), "B1"), version=5)
        assert await watching.is_silent()


async def test_a_snapshot_taken_at_any_moment_and_the_changes_after_it_make_the_whole(server, bus: Bus, showtime):
    """Subscribing in the middle of a burst loses nothing between the snapshot and the first change."""
    seats = [f"{row}{n}" for row in "ABCDEF" for n in range(1, 11)]

    async def burst() -> None:
        for version, seat in enumerate(seats, 1):
            await bus.say(held(showtime, new_id(), seat), version=version)

    async def follow(delay: float) -> set[str]:
        await asyncio.sleep(delay)
        async with client(server) as watching:
            known = set((await subscribed(watching, showtime))["seats"])
            while len(known) < len(seats):
                known.update((await watching.hear())["seats"])
            return known

    results = await asyncio.gather(burst(), *(follow(n * 0.02) for n in range(8)))
    assert all(known == set(seats) for known in results[1:])


async def test_a_repeated_or_overtaken_event_is_told_once_and_ends_the_same(server, bus: Bus, showtime):
    hold = new_id()
    gone = SeatsReleased(hold_id=hold, showtime_id=showtime, seats=["C1"], reason="lapsed")
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.say(gone, version=2)
        await bus.say(held(showtime, hold, "C1"), version=1)
        await bus.say(held(showtime, "twice", "C2"), version=3, event_id="same")
        await bus.say(held(showtime, "twice", "C2"), version=3, event_id="same")
        await bus.say(SeatsBlocked(showtime_id=showtime, block_id="b", seats=["C9"], reason="x"), version=4)
        assert [(await watching.hear())["seats"] for _ in range(2)] == [["C2"], ["C9"]]
    async with client(server) as late:
        assert (await subscribed(late, showtime))["seats"] == {"C2": "held", "C9": "blocked"}


async def test_what_was_heard_but_is_not_stored_yet_is_in_the_snapshot(service_env, mongo_uri):
    async with AsyncMongoClient(mongo_uri, tz_aware=True) as mongo:
        await init_beanie(mongo.usher_realtime, document_models=list(store.DOCUMENTS))
        showtime, hub = new_id(), Hub(settings.get(), publish)
        await store.schedule(showtime, layout_id="l", keep_until=LATER, changed_at=LATER)
        hub.show(news_of(held(showtime, new_id(), "F7"), version=3, said_at=LATER))
        hub.show(news_of(held("another", new_id(), "F8"), version=4, said_at=LATER))
        seat_map = await hub.seat_map(showtime)
        assert (seat_map.version, seat_map.snapshot()["seats"]) == (3, {"F7": "held"})


async def test_every_instance_pushes_and_a_new_one_knows_what_was_before(server, bus: Bus, showtime):
    await bus.say(held(showtime, new_id(), "D1"), version=1)
    async with instance() as other, client(server) as here, client(other) as there:
        for watching in (here, there):
            assert (await subscribed(watching, showtime))["seats"] == {"D1": "held"}
        await bus.say(held(showtime, new_id(), "D2"), version=2)
        assert (await here.hear())["seats"] == (await there.hear())["seats"] == ["D2"]


async def test_what_an_instance_missed_it_learns_from_the_database(server, bus: Bus, showtime, mongo_uri):
    """An event that reached the projection but not this instance: its queue was gone while the broker was away."""
    async with client(server) as watching:
        await subscribed(watching, showtime)
        async with AsyncMongoClient(mongo_uri) as mongo:
            missed = {"version": 9, "claims.missed.held": [0, ["E5"], int(LATER.timestamp() * 1000)]}
            await mongo.usher_realtime.showtimes.update_one({"_id": showtime}, {"$max": missed})
        assert await watching.hear() == {
            "type": "seat:lock",
            "showtime_id": showtime,
            "since": 0,
            "version": 9,
            "seats": ["E5"],
            "state": "held",
        }


async def test_booking_updates_reach_their_owner_and_nobody_else(server, bus: Bus, signer, showtime):
    about = {"booking_id": new_id(), "showtime_id": showtime, "seats": ["A1"]}
    asked = PaymentRequested.model_validate(
        about
        | {"holder": {"user_id": "anna"}, "email": "anna@usher.example", "reference": "ABCD23", "amount": 2400}
        | {"currency": "EUR", "payment_deadline_at": LATER}
    )
    guests = BookingPaid.model_validate(about | {"booking_id": "g1", "holder": {"secret_hash": hash_secret("s3cret")}})
    async with client(server) as anna, client(server) as guest, client(server) as other, client(server) as nobody:
        await anna.say("authenticate", token=signer.token("anna"))
        assert await anna.hear() == {"type": "authenticated", "user_id": "anna", "guest": False}
        await guest.say("authenticate", hold_secret="s3cret")
        assert await guest.hear() == {"type": "authenticated", "user_id": None, "guest": True}
        await other.say("authenticate", token=signer.token("ben"), hold_secret="another")
        await other.hear()
        await subscribed(nobody, showtime)
        await bus.say(asked, version=2)
        await bus.say(guests, version=3)
        assert await anna.hear() == {
            "type": "booking:update",
            "booking_id": about["booking_id"],
            "state": "awaiting_payment",
            "version": 2,
            "reference": "ABCD23",
        }
        told = await guest.hear()
        assert (told["booking_id"], told["state"]) == ("g1", "confirming")
        for client_ in (anna, guest, other, nobody):
            assert await client_.is_silent()


async def test_the_private_stream_ends_with_the_token(server, bus: Bus, signer, showtime):
    about = {"showtime_id": showtime, "seats": ["A1"], "holder": Holder(user_id="cleo")}
    async with client(server) as cleo:
        soon = int(datetime.now(UTC).timestamp()) + 1
        await cleo.say("authenticate", token=signer.token("cleo", exp=soon))
        assert (await cleo.hear())["type"] == "authenticated"
        assert (await cleo.hear())["code"] == "token_expired"
        await bus.say(BookingExpired(booking_id="first", **about))
        assert await cleo.is_silent()
        await cleo.say("authenticate", token=signer.token("cleo"))
        await cleo.hear()
        await bus.say(BookingExpired(booking_id="second", **about))
        assert (await cleo.hear())["booking_id"] == "second"


async def test_the_private_stream_ends_when_access_is_revoked(server, bus: Bus, signer, showtime):
    about = {"showtime_id": showtime, "seats": ["A1"], "holder": Holder(user_id="dora")}
    async with client(server) as dora, client(server) as twice, client(server) as eve:
        for person, name in ((dora, "dora"), (twice, "dora"), (eve, "eve")):
            await person.say("authenticate", token=signer.token(name))
            await person.hear()
        await bus.say(AccessRevoked(user_id="dora", epoch=1))
        assert [(await each.hear())["code"] for each in (dora, twice)] == ["token_revoked"] * 2
        await bus.say(BookingExpired(booking_id="first", **about))
        for each in (dora, twice, eve):
            assert await each.is_silent()
        await dora.say("authenticate", token=signer.token("dora"))
        assert (await dora.hear())["code"] == "token_invalid"
        await dora.say("authenticate", token=signer.token("dora", epoch=1))
        assert (await dora.hear())["type"] == "authenticated"
        await bus.say(BookingExpired(booking_id="second", **about))
        assert (await dora.hear())["booking_id"] == "second"


async def test_unusable_events_become_dead_letters_and_nothing_stops(server, bus: Bus, showtime):
    nonsense = f"{{not json {new_id()}"
    await bus.say_raw(SeatsHeld.type, nonsense)

    async def reasons() -> list[str]:
        return [letter.reason for letter in await bus.dead("realtime") if letter.body == nonsense.encode()]

    (reason,) = await until(reasons)
    assert "malformed" in reason
    async with client(server) as watching:
        await subscribed(watching, showtime)
        await bus.say(held(showtime, new_id(), "A1"))
        assert (await watching.hear())["seats"] == ["A1"]


async def test_old_holds_are_forgotten_by_the_job(server, bus: Bus, mongo_uri):
    showtime = await a_showtime(bus, server)
    long_ago = {"gone": {"held": [0, ["A1"], 1], "released": [0, 1]}, "bought": {"sold": [1, ["A2"]]}}
    async with AsyncMongoClient(mongo_uri, tz_aware=True) as mongo:
        await init_beanie(mongo.usher_realtime, document_models=list(store.DOCUMENTS))
        collection = store.Showtime.get_pymongo_collection()
        await collection.update_one({"_id": showtime}, {"$set": {"claims": long_ago}})
        await store.forget(showtime, ["bought"])
        await jobs.forget_old_holds()
        (kept,) = await store.everything_about([showtime])
        assert set(kept.claims) == {"bought"}
