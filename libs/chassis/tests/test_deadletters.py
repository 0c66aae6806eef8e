"""The dead-letter command: list, show, replay, drop."""

import pytest
from chassis import deadletters
from chassis.ids import new_id
from contracts.errors import RejectedEvent


@pytest.fixture
def run(rabbitmq_uri):
    async def run(command: str, chosen: str | None = None, **options: bool) -> int:
        return await deadletters.run(command, "toy", chosen, rabbitmq_uri, **options)

    return run


async def dead_letter(bus, toy, times: int = 1) -> tuple[str, str]:
    """Make an event a dead letter. Returns its event id and its ping id."""
    ping_id = new_id()
    toy.failures[ping_id] = [RejectedEvent("not now")] * times
    await toy.pings.insert(toy.Ping(id=ping_id))
    return (await bus.publish(toy.Pinged(ping_id=ping_id))).id, ping_id


async def test_a_replayed_dead_letter_is_handled_and_removed(client, bus, toy, run, capsys):
    event_id, ping_id = await dead_letter(bus, toy)
    while await run("list", event_id) != 0:
        pass
    assert f"{event_id}  toy.pinged.v1" in capsys.readouterr().out
    assert await run("show", event_id) == 0
    assert ping_id in capsys.readouterr().out

    assert await run("replay", event_id) == 0
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    assert await run("list", event_id) == 1


async def test_a_dropped_dead_letter_is_removed_and_the_others_stay(client, bus, toy, run):
    dropped, _ = await dead_letter(bus, toy)
    kept, _ = await dead_letter(bus, toy)
    for event_id in (dropped, kept):
        while await run("list", event_id) != 0:
            pass
    assert await run("drop", dropped) == 0
    assert await run("list", dropped) == 1
    assert await run("list", kept) == 0
    assert await run("drop") == 0
    assert await run("list", kept) == 1


async def test_an_unknown_dead_letter_is_reported(client, run):
    assert await run("replay", "nothing") == 1


async def test_a_forged_dead_letter_is_not_replayed(client, bus, toy, run, capsys):
    ping_id = new_id()
    event_id = await bus.forge(toy.Pinged(ping_id=ping_id))
    while await run("list", event_id) != 0:
        pass
    assert await run("replay", event_id) == 1
    assert await run("replay", event_id, unverified=True) == 1
    assert await run("replay") == 1
    assert f"not replayed, its event's owner has not published it: {event_id}" in capsys.readouterr().err
    assert await run("drop", event_id) == 0
    assert bus.events(toy.Ponged, lambda event: event.ping_id == ping_id) == []


async def test_what_rabbitmq_has_put_there_is_replayed_only_on_demand(client, bus, toy, run, capsys):
    ping_id = new_id()
    await toy.pings.insert(toy.Ping(id=ping_id))
    given_up = await bus.put(toy.Pinged(ping_id=ping_id), "toy.events.dead")
    theirs = await bus.put(toy.Pinged(ping_id=new_id()), "booking.events.dead", "toy.events.dead")
    assert await run("replay") == 1
    assert "2 of" not in capsys.readouterr().err
    assert await run("replay", theirs, unverified=True) == 1
    assert await run("replay", given_up, unverified=True) == 0
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    assert await run("list", given_up) == 1
    assert await run("drop", theirs) == 0
