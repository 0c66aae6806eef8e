"""Seat presence: other clients on every replica see how many people have a seat selected."""

from chassis.testing import Bus
from realtime.model.presence import FORGET_AFTER_S, SeatPresence

from .conftest import client, replica
from .test_live import subscribed


def test_presence_of_all_replicas_is_added_up_and_sent_once():
    presence = SeatPresence("s1")
    presence.select("anna", frozenset({"A1", "A2"}))
    presence.select("ben", frozenset({"A2"}))
    presence.receive("other", {"A2": 3, "B1": 1}, at=0)
    (message,) = presence.for_clients(at=1)
    assert message == {"type": "seat:select", "showtime_id": "s1", "seats": {"A1": 1, "A2": 5, "B1": 1}}
    assert presence.for_clients(at=2) == []
    assert presence.for_replicas() == {"A1": 1, "A2": 2}
    assert presence.for_replicas() is None
    presence.select("anna", frozenset())
    assert presence.for_replicas() == {"A2": 1}


def test_a_silent_replica_is_forgotten():
    presence = SeatPresence("s1")
    presence.receive("gone", {"A1": 1}, at=0)
    assert presence.for_clients(at=FORGET_AFTER_S - 0.1)[0]["seats"] == {"A1": 1}
    assert presence.for_clients(at=FORGET_AFTER_S)[0]["seats"] == {}


async def test_clients_of_every_replica_see_who_has_a_seat_selected(server, bus: Bus, showtime):
    def shows(seats):
        return lambda message: message["type"] == "seat:select" and message["seats"] == seats

    async with replica() as other, client(server) as anna, client(server) as near, client(other) as far:
        for each in (anna, near, far):
            await subscribed(each, showtime)
        await anna.send("seat:select", showtime_id=showtime, seats=["A1", "A2"])
        await near.receive_until(shows({"A1": 1, "A2": 1}))
        await far.receive_until(shows({"A1": 1, "A2": 1}))
        await far.send("seat:select", showtime_id=showtime, seats=["A2"])
        await anna.receive_until(shows({"A1": 1, "A2": 2}))
        await anna.send("seat:select", showtime_id=showtime, seats=[])
        await far.receive_until(shows({"A2": 1}))
        await anna.send("seat:select", showtime_id=showtime, seats=["A3"])
        await near.receive_until(shows({"A2": 1, "A3": 1}))
        await anna.connection.close()
        await near.receive_until(shows({"A2": 1}))
        await far.receive_until(shows({"A2": 1}))
        await near.send("seat:select", showtime_id=showtime, seats=["Z99"])
        assert (await near.receive())["code"] == "seat_not_found"
        async with client(other) as late:
            await late.send("subscribe", showtime_id=showtime)
            await late.receive_until(shows({"A2": 1}))
