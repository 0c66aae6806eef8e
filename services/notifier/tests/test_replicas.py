"""Two replicas share the mails, and one of them ends while most of its mails wait for a free sender."""

import signal

import pytest
from chassis.testing import replica_of, until
from notifier.store import Message

from .conftest import confirmed

HANDLED = 'usher_event_seconds_count{type="booking.confirmed.v1"} '


@pytest.fixture
async def replica(client, request):
    """A second replica, in a process of its own; the parameter is its SMTP_SECONDS."""
    async with replica_of("notifier", SMTP_SECONDS=request.param) as running:
        yield running


async def handled(http):
    """Return how many confirmed bookings the replica has handled."""
    lines = (await http.get("/metrics")).text.splitlines()
    return sum(float(line.removeprefix(HANDLED)) for line in lines if line.startswith(HANDLED))


# The killed replica has a short lease. The lease of the stopped one would end too late for this test.
@pytest.mark.parametrize(("replica", "end"), [("0.3", signal.SIGKILL), ("6", signal.SIGTERM)], indirect=["replica"])
async def test_no_mail_is_lost_with_a_replica(client, bus, mail_server, replica, end):
    process, http = replica
    mail_server.is_stalled = True
    events = [confirmed() for _ in range(40)]
    for event in events:
        await bus.publish(event)

    async def has_its_share():
        return await handled(http) >= 12

    await until(has_its_share)
    process.send_signal(end)
    assert await process.wait() == -end
    mail_server.is_stalled = False
    keys = [f"confirmation.{event.booking_id}" for event in events]

    async def all_sent():
        return await Message.find({"key": {"$in": keys}, "state": "sent"}).count() == len(keys)

    await until(all_sent)
    mails = [len(mail_server.mails_with_key(key)) for key in keys]
    assert min(mails) == 1
    assert max(mails) == 1 or end == signal.SIGKILL
