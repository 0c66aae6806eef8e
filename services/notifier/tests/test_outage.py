"""MongoDB is unreachable from the delivery until after the lease has ended; two replicas still send one mail."""

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

from chassis.clock import now
from chassis.testing import replica_of, until
from pymongo import AsyncMongoClient

from .conftest import confirmed

DATABASE = "usher_notifier_outage"
OUTLASTS_DRIVER = timedelta(seconds=6)


class MongoProxy:
    """A proxy between one replica and MongoDB. After `cut`, it drops all connections, including new ones."""

    def __init__(self, host, port):
        self._target = host, port
        self._writers = set()
        self.is_cut, self.answers = False, 0

    @asynccontextmanager
    async def open(self):
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
            self.cut()

    def cut(self):
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def restore(self):
        self.is_cut, self.answers = False, 0

    async def _connected(self, reader, writer):
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer, is_answer=True))
        except OSError:  # cut
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.close()

    async def _pass_on(self, reader, writer, *, is_answer=False):
        while data := await reader.read(65536):
            self.answers += is_answer
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_a_mail_whose_lease_ends_in_an_outage_is_sent_once(service_env, mail_server):
    """The other replica reaches MongoDB first and finds a message whose lease ended long ago."""
    address = urlsplit(os.environ["MONGO_URI"])
    sender, other = MongoProxy(address.hostname, address.port), MongoProxy(address.hostname, address.port)
    chosen = {
        "MONGO_DATABASE": DATABASE,
        "SMTP_PORT": str(mail_server.port),
        "SMTP_SECONDS": "0.3",
        "SWEEP_SECONDS": "0.1",
    }
    loop = asyncio.get_running_loop()
    async with AsyncMongoClient(os.environ["MONGO_URI"], tz_aware=True) as mongo, AsyncExitStack() as stack:
        messages = mongo[DATABASE]["messages"]
        for link in (sender, other):
            port = await stack.enter_async_context(link.open())
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
            await stack.enter_async_context(replica_of("notifier", MONGO_URI=uri, **chosen))
        other.cut()
        mail_server.on_accepted = lambda: loop.call_soon_threadsafe(sender.cut)
        key = await _queued(messages)

        async def is_long_overdue():
            """Whether the sender's first attempt to record the delivery has timed out."""
            return sender.is_cut and await messages.find_one({"key": key, "due_at": {"$lt": now() - OUTLASTS_DRIVER}})

        await until(is_long_overdue)
        other.restore()

        async def has_swept():
            return other.answers > 40

        await until(has_swept)
        sender.restore()

        async def is_recorded():
            return await messages.find_one({"key": key, "state": "sent"})

        await until(is_recorded)
        assert await messages.count_documents({"key": key, "attempts": 1}) == 1
    assert len(mail_server.mails_with_key(key)) == 1


async def _queued(messages):
    """Insert a due message into the database of these replicas; return its key."""
    booking, moment = confirmed(), now()
    key = f"confirmation.{booking.booking_id}"
    await messages.insert_one(
        {
            "_id": booking.booking_id,
            "key": key,
            "kind": "confirmation",
            "address": booking.email,
            "reference": booking.reference,
            "event": booking.model_dump_json(exclude_none=True),
            "state": "queued",
            "attempts": 0,
            "queued_at": moment,
            "due_at": moment - timedelta(seconds=1),
        }
    )
    return key
