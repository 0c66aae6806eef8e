"""Several events as one message: they run together and none of them takes its neighbours along."""

from chassis.ids import new_id
from chassis.testing import Bus
from contracts.errors import NotYet, RejectedEvent


async def pings(toy, count: int) -> list[str]:
    ping_ids = [new_id() for _ in range(count)]
    for ping_id in ping_ids:
        await toy.Ping.add(toy.Ping(id=ping_id))
    return ping_ids


async def test_each_event_of_a_batch_is_handled_with_its_own_envelope(client, bus: Bus, toy):
    ping_ids = await pings(toy, 3)
    said = await bus.say_batch(*(toy.Pinged(ping_id=ping_id, text='"å\n') for ping_id in ping_ids))
    for ping_id in ping_ids:
        await bus.heard(toy.Ponged, lambda event, ping_id=ping_id: event.ping_id == ping_id)
    heard = [each for each in bus.envelopes(toy.Pinged) if each.subject in ping_ids]
    assert heard == said


async def test_an_event_that_fails_leaves_its_neighbours_alone(client, bus: Bus, toy):
    good, late, bad = await pings(toy, 3)
    toy.failures[late], toy.failures[bad] = [NotYet("too early")], [RejectedEvent("makes no sense")]
    await bus.say_batch(*(toy.Pinged(ping_id=ping_id) for ping_id in (bad, late, good)))
    for ping_id in (good, late):
        await bus.heard(toy.Ponged, lambda event, ping_id=ping_id: event.ping_id == ping_id)
    (letter,) = await bus.dead("toy")
    assert letter.reason == "rejected: RejectedEvent: makes no sense"
    assert toy.Pinged.model_validate_json(letter.body).ping_id == bad
