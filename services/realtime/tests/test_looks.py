"""Who looks at which seats: softly shown to everybody else, on every replica."""

from chassis.testing import Bus
from realtime.looks import FORGET_AFTER_S, Looks

from .conftest import client, instance
from .test_live import subscribed


def test_looks_of_all_replicas_are_added_up_and_told_once():
    looks = Looks("s1")
    looks.look("anna", frozenset({"A1", "A2"}))
    looks.look("ben", frozenset({"A2"}))
    looks.learn("other", {"A2": 3, "B1": 1}, at=0)
    (message,) = looks.for_clients(at=1)
    assert message == {"type": "seat:select", "showtime_id": "s1", "seats": {"A1": 1, "A2": 5, "B1": 1}}
    assert looks.for_clients(at=2) == []
    assert looks.for_replicas() == {"A1": 1, "A2": 2}
    assert looks.for_replicas() is None
    looks.look("anna", frozenset())
    assert looks.for_replicas() == {"A2": 1}


def test_a_replica_that_has_gone_silent_is_forgotten():
    looks = Looks("s1")
    looks.learn("gone", {"A1": 1}, at=0)
    assert looks.for_clients(at=FORGET_AFTER_S - 0.1)[0]["seats"] == {"A1": 1}
    assert looks.for_clients(at=FORGET_AFTER_S)[0]["seats"] == {}


async def test_others_see_on_every_replica_that_somebody_looks_at_a_seat(server, bus: Bus, showtime):
    def shows(seats):
        return lambda message: message["type"] == "seat:select" and message["seats"] == seats

    async with instance() as other, client(server) as anna, client(server) as near, client(other) as far:
        for each in (anna, near, far):
            await subscribed(each, showtime)
        await anna.say("seat:select", showtime_id=showtime, seats=["A1", "A2"])
        await near.hear_until(shows({"A1": 1, "A2": 1}))
        await far.hear_until(shows({"A1": 1, "A2": 1}))
        await far.say("seat:select", showtime_id=showtime, seats=["A2"])
        await anna.hear_until(shows({"A1": 1, "A2": 2}))
        await anna.say("seat:select", showtime_id=showtime, seats=[])
        await far.hear_until(shows({"A2": 1}))
        await anna.say("seat:select", showtime_id=showtime, seats=["A3"])
        await near.hear_until(shows({"A2": 1, "A3": 1}))
        await anna.connection.close()
        await near.hear_until(shows({"A2": 1}))
        await far.hear_until(shows({"A2": 1}))
        await near.say("seat:select", showtime_id=showtime, seats=["Z99"])
        assert (await near.hear())["code"] == "seat_not_found"
        async with client(other) as late:
            await late.say("subscribe", showtime_id=showtime)
            await late.hear_until(shows({"A2": 1}))
