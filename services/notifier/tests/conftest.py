import asyncio
import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import running, until
from chassis.testing.servers import free_port
from contracts.booking import BookingConfirmed, Screening, Ticket
from contracts.types import Holder, Seat
from notifier import settings

LINK_KEY = "a link key for the tests"


class MailServer:
    """A real SMTP server on loopback.

    It answers the next recipients and contents with `recipient_replies` and `data_replies` before it accepts any.
    While it `is_stalled`, it answers no recipient.
    """

    def __init__(self, *, utf8=False):
        self.port = free_port()
        self.mails = []
        self.recipient_replies, self.data_replies = [], []
        self.is_stalled = False
        self.on_accepted = lambda: None
        """Called in the server's thread before it accepts a content."""
        self._utf8 = utf8
        self._controller = None

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802 - aiosmtpd's name
        while self.is_stalled:  # it has an event loop of its own, in another thread
            await asyncio.sleep(0.01)
        if self.recipient_replies:
            return self.recipient_replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.data_replies:
            return self.data_replies.pop(0)
        self.mails.append((envelope, message_from_bytes(envelope.content, policy=policy.default)))
        self.on_accepted()
        return "250 OK"

    async def open(self):
        """Start listening, always on the same port."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=self._utf8)
        await asyncio.to_thread(self._controller.start)

    async def close(self):
        """Stop listening, so that connections are refused."""
        if self._controller:
            await asyncio.to_thread(self._controller.stop)
            self._controller = None

    def mails_for(self, event):
        """Return the confirmation mails of a booking."""
        return self.mails_with_key(f"confirmation.{event.booking_id}")

    def mails_with_key(self, key):
        """Return the mails of a message."""
        return [mail for _, mail in self.mails if mail["Message-ID"] == f"<{key}@usher.example>"]

    async def mail_for(self, event):
        """Wait for the confirmation mail of a booking."""
        return await self.mail_with_key(f"confirmation.{event.booking_id}")

    async def mail_with_key(self, key):
        """Wait for the mail of a message."""

        async def found():
            return self.mails_with_key(key)

        return (await until(found))[0]


@pytest.fixture(scope="session", autouse=True)
def link_key():
    """Set the setting that has no default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINK_KEY", LINK_KEY)
        yield


@pytest.fixture(scope="session")
async def session_mail_server():
    mail_server = MailServer()
    await mail_server.open()
    yield mail_server
    await mail_server.close()


@pytest.fixture
async def mail_server(session_mail_server):
    """The server, open and accepting mails at the beginning of each test."""
    session_mail_server.recipient_replies, session_mail_server.data_replies, session_mail_server.is_stalled = (
        [],
        [],
        False,
    )
    session_mail_server.on_accepted = lambda: None
    if session_mail_server._controller is None:
        await session_mail_server.open()
    return session_mail_server


@pytest.fixture(scope="session")
async def client(service_env, session_mail_server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMTP_PORT", str(session_mail_server.port))
        patch.setenv("RETRY_SECONDS", "0.05")
        patch.setenv("SWEEP_SECONDS", "0.05")
        settings.get.cache_clear()  # a test without a server may have read them before
        from notifier import delivery  # noqa: PLC0415 - the settings read the environment
        from notifier.main import app  # noqa: PLC0415

        patch.setattr(delivery, "STEADY_S", 0.2)
        async with running(app) as client:
            yield client


def ticket(number=7, *, row="F", amount=1250, ticket_type="adult", category="standard", qr="signed.text", **more):
    seat = Seat(**{"seat_id": f"{row}{number}", "row": row, "number": number, "category": category} | more)
    return Ticket(ticket_id=new_id(), seat=seat, ticket_type=ticket_type, amount=amount, qr=qr)


def confirmed(*, screening=None, **fields):
    """A confirmed booking of two seats; `fields` and `screening` override the defaults."""
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
    booking: dict[str, Any] = {
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
    booking |= fields
    codes = json.dumps([ticket.qr for ticket in booking["tickets"]])
    booking["tickets"] = [ticket.model_copy(update={"qr": ""}) for ticket in booking["tickets"]]
    booking = {"sealed_codes": Cipher(LINK_KEY).encrypt(codes)} | booking
    return BookingConfirmed(**booking)
