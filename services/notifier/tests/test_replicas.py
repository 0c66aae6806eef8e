"""Two replicas share out the mails, and one of them ends while most of its mails wait for a free sender."""

import signal

import pytest
from chassis.testing import replica_of, until
from notifier.store import Message

from .conftest import confirmed

REACTED = 'usher_event_seconds_count{type="booking.confirmed.v1"} '


@pytest.fixture
async def replica(client, request):
    """A process of the service beside the one in the test's own; the parameter is its SMTP_SECONDS."""
    async with replica_of("notifier", SMTP_SECONDS=request.param) as running:
        yield running


async def reacted(http):
    """How many confirmed bookings the replica has taken in."""
    lines = (await http.get("/metrics")).text.splitlines()
    return sum(float(line.removeprefix(REACTED)) for line in lines if line.startswith(REACTED))


# Whoever is killed has a short lease. Who stops has one that ends too late for this test.
@pytest.mark.parametrize(("replica", "end"), [("0.3", signal.SIGKILL), ("6", signal.SIGTERM)], indirect=["replica"])
async def test_no_mail_is_lost_with_a_replica(client, bus, postbox, replica, end):
    process, http = replica
    postbox.holding = True
    events = [confirmed() for _ in range(40)]
    for event in events:
        await bus.say(event)

    async def has_its_share():
        return await reacted(http) >= 12

    await until(has_its_share)
    process.send_signal(end)
    assert await process.wait() == -end
    postbox.holding = False
    keys = [f"confirmation.{event.booking_id}" for event in events]

    async def all_sent():
        return await Message.find({"key": {"$in": keys}, "state": "sent"}).count() == len(keys)

    await until(all_sent)
    mails = [len(postbox.keyed(key)) for key in keys]
    assert min(mails) == 1
    assert max(mails) == 1 or end == signal.SIGKILL
