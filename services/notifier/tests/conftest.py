import asyncio
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from chassis.ids import new_id
from chassis.testing import running, until
from chassis.testing.servers import free_port
from contracts.booking import BookingConfirmed, Screening, Ticket
from contracts.types import Holder, Seat
from notifier import settings

LINK_KEY = "a link key for the tests"


class Postbox:
    """A real SMTP server on loopback. What stands in `to_recipients` and `to_texts` is answered to the next ones
    instead of a yes; while it is `holding`, it answers no recipient.
    """

    def __init__(self, *, utf8=False):
        self.port = free_port()
        self.mails = []
        self.to_recipients, self.to_texts = [], []
        self.holding = False
        self.on_accepted = lambda: None
        """Called in the server's thread before a text is answered with a yes."""
        self._utf8 = utf8
        self._controller = None

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802 - aiosmtpd's name
        while self.holding:  # it has an event loop of its own, in another thread
            await asyncio.sleep(0.01)
        if self.to_recipients:
            return self.to_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.to_texts:
            return self.to_texts.pop(0)
        self.mails.append((envelope, message_from_bytes(envelope.content, policy=policy.default)))
        self.on_accepted()
        return "250 OK"

    async def open(self):
        """Listen; the same port as before."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=self._utf8)
        await asyncio.to_thread(self._controller.start)

    async def close(self):
        """Refuse connections."""
        if self._controller:
            await asyncio.to_thread(self._controller.stop)
            self._controller = None

    def about(self, event):
        """The mails for a booking."""
        return self.keyed(f"confirmation.{event.booking_id}")

    def keyed(self, key):
        """The mails of a message."""
        return [mail for _, mail in self.mails if mail["Message-ID"] == f"<{key}@usher.example>"]

    async def has(self, event):
        """The one mail for a booking, waiting for it."""
        return await self.has_keyed(f"confirmation.{event.booking_id}")

    async def has_keyed(self, key):
        """The one mail of a message, waiting for it."""

        async def found():
            return self.keyed(key)

        return (await until(found))[0]


@pytest.fixture(scope="session", autouse=True)
def link_key():
    """The setting that has no default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINK_KEY", LINK_KEY)
        yield


@pytest.fixture(scope="session")
async def postbox_server():
    postbox = Postbox()
    await postbox.open()
    yield postbox
    await postbox.close()


@pytest.fixture
async def postbox(postbox_server):
    """The server, open and saying yes at the beginning of each test."""
    postbox_server.to_recipients, postbox_server.to_texts, postbox_server.holding = [], [], False
    postbox_server.on_accepted = lambda: None
    if postbox_server._controller is None:
        await postbox_server.open()
    return postbox_server


@pytest.fixture(scope="session")
async def client(service_env, postbox_server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMTP_PORT", str(postbox_server.port))
        patch.setenv("RETRY_SECONDS", "0.05")
        patch.setenv("SWEEP_SECONDS", "0.05")
        settings.get.cache_clear()  # a test without a server may have read them before there were any
        from notifier import delivery  # noqa: PLC0415 - the settings read the environment
        from notifier.main import app  # noqa: PLC0415

        patch.setattr(delivery, "STEADY_S", 0.2)
        async with running(app) as client:
            yield client


def ticket(number=7, *, row="F", amount=1250, ticket_type="adult", category="standard", qr="signed.text"):
    seat = Seat(seat_id=f"{row}{number}", row=row, number=number, category=category)
    return Ticket(ticket_id=new_id(), seat=seat, ticket_type=ticket_type, amount=amount, qr=qr)


def confirmed(*, screening=None, **fields):
    """A confirmed booking of two seats; `fields` and `screening` replace what is given."""
    starts_at = datetime(2026, 11, 21, 19, 15, tzinfo=UTC)
    printed = {
        "showtime_id": new_id(),
        "movie_title": "Metropolis",
        "certificate": "PG",
        "theater_name": "Usher Mitte",
        "auditorium_name": "Auditorium 2",
        "format": "2D",
        "language": "German",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=153),
        "time_zone": "Europe/Berlin",
    }
    booking = {
        "booking_id": new_id(),
        "reference": "K7QF2M",
        "holder": Holder(user_id="u1"),
        "email": "ada@usher.example",
        "name": "Ada Lovelace",
        "screening": Screening(**printed | (screening or {})),
        "tickets": [ticket(7), ticket(8, ticket_type="child", amount=850)],
        "amount": 2100,
        "currency": "EUR",
    }
    return BookingConfirmed(**booking | fields)
