import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from chassis.clock import now
from chassis.testing import until
from contracts.booking import BookingConfirmed
from contracts.notifier import MailFailed
from notifier import delivery, settings
from notifier.mails import MAILS
from notifier.model import Kind
from notifier.settings import Settings
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import MailServer, confirmed


async def settled(event, state) -> Message:
    """Wait until the message about a booking has the state."""
    where = {"key": f"confirmation.{event.booking_id}", "state": state}

    async def found() -> list[Message]:
        return await Message.find(where).to_list()

    return (await until(found))[0]


async def test_a_confirmed_booking_is_mailed(client, bus, mail_server):
    event = confirmed()
    await bus.publish(event)
    mail = await mail_server.mail_for(event)
    assert mail["To"] == "Ada Lovelace <ada@usher.example>"
    assert (await settled(event, "sent")).attempts == 1


async def test_a_repeated_event_is_one_mail(client, bus, mail_server):
    event, later = confirmed(), confirmed()
    envelope = await bus.publish(event)
    await mail_server.mail_for(event)
    for _ in range(3):
        await bus.publish(event, event_id=envelope.id)
        await bus.publish(event)
    await bus.publish(later)
    await mail_server.mail_for(later)
    await asyncio.sleep(0.3)
    assert len(mail_server.mails_for(event)) == 1
    assert await Message.find({"key": f"confirmation.{event.booking_id}"}).count() == 1


@pytest.mark.parametrize("stage", ["recipient_replies", "data_replies"])
async def test_delivery_to_a_busy_server_is_retried(client, bus, mail_server, stage):
    setattr(mail_server, stage, ["451 4.3.0 busy", "421 4.3.2 going down", "452 4.2.2 mailbox full"])
    event = confirmed()
    await bus.publish(event)
    await mail_server.mail_for(event)
    message = await settled(event, "sent")
    assert (message.attempts, message.reason, message.due_at) == (4, None, None)
    assert len(mail_server.mails_for(event)) == 1


async def test_mails_wait_while_the_mail_server_is_down(client, bus, mail_server):
    await mail_server.close()
    events = [confirmed() for _ in range(5)]
    for event in events:
        await bus.publish(event)
    waiting = await settled(events[0], "queued")
    await until(lambda: Message.find_one({"key": waiting.key, "attempts": {"$gte": 2}}))
    await mail_server.open()
    for event in events:
        await mail_server.mail_for(event)
        await settled(event, "sent")
        assert len(mail_server.mails_for(event)) == 1


@pytest.mark.parametrize(("stage", "code"), [("recipient_replies", "550"), ("data_replies", "554")])
async def test_a_refusal_for_good_is_recorded_and_not_repeated(client, bus, mail_server, stage, code):
    setattr(mail_server, stage, [f"{code} 5.1.1 <ada@usher.example> we do not want this"])
    event = confirmed()
    with capture_logs() as logs:

        async def is_logged() -> bool:  # the log line follows the write
            return any(line["event"] == "message_failed" for line in logs)

        await bus.publish(event)
        message = await settled(event, "failed")
        await until(is_logged)
    assert message.reason == f"{code} 5.1.1 <a***@usher.example> we do not want this"
    assert (message.attempts, message.due_at) == (1, None)
    assert "ada@usher.example" not in json.dumps(logs, default=str)
    told = await bus.wait_for(MailFailed, lambda failed: failed.booking_id == event.booking_id)
    assert (told.kind, told.subject) == ("confirmation", event.booking_id)
    await asyncio.sleep(0.3)
    assert mail_server.mails_for(event) == []


async def test_a_non_ascii_recipient_fails_without_smtputf8(client, bus, mail_server):
    event = confirmed(email="ädä@usher.example")
    await bus.publish(event)
    assert "SMTPUTF8" in ((await settled(event, "failed")).reason or "")


async def test_a_non_ascii_recipient_is_mailed_with_smtputf8(client, bus, monkeypatch):
    from notifier.main import smtp  # noqa: PLC0415 - the settings read the environment

    utf8_server = MailServer(utf8=True)
    await utf8_server.open()
    monkeypatch.setattr(smtp, "_settings", smtp._settings.model_copy(update={"smtp_port": utf8_server.port}))
    monkeypatch.setattr(smtp, "_idle", {})
    event = confirmed(email="ädä@usher.example")
    await bus.publish(event)
    await settled(event, "sent")
    ((envelope, _),) = utf8_server.mails
    assert envelope.rcpt_tos == ["ädä@usher.example"]
    assert "\r\nTo: Ada Lovelace <ädä@usher.example>\r\n".encode() in envelope.content
    await utf8_server.close()


async def test_lines_that_begin_with_a_dot_arrive_unchanged(client, bus, mail_server):
    screening = {"movie_title": "...and Justice for All", "certificate": ".", "format": "", "language": ""}
    event = confirmed(screening=screening)
    await bus.publish(event)
    text = (await mail_server.mail_for(event)).get_body(("plain",)).get_content()
    assert "\r\n...and Justice for All\r\n.\r\n" in text
    await settled(event, "sent")


async def test_delivery_is_given_up_after_two_days(client, mail_server):
    await mail_server.close()
    message = await queued(confirmed(), queued_at=now() - timedelta(days=2))
    await until(lambda: Message.find_one({"key": message.key, "state": "failed"}))


async def queued(booking, **fields) -> Message:
    """Insert a message as a handler or a sender would have stored it."""
    moment = now()
    body = {
        "key": f"confirmation.{booking.booking_id}",
        "kind": "confirmation",
        "address": booking.email,
        "reference": booking.reference,
        "event": booking.model_dump_json(exclude_none=True),
        "queued_at": moment,
        "due_at": moment,
    }
    message = Message.model_validate(body | fields)
    assert await message.queue()
    return message


async def test_the_message_of_a_crashed_sender_is_sent_when_its_lease_ends(client, mail_server):
    event = confirmed()
    lease_ends = now() + timedelta(seconds=2)
    message = await queued(event, state="sending", attempts=1, due_at=lease_ends)
    await mail_server.mail_for(event)
    sent = await until(lambda: Message.find_one({"key": message.key, "state": "sent", "attempts": 2}))
    assert sent and sent.sent_at and sent.sent_at > lease_ends


async def nothing_is_due() -> bool:
    return not await Message.find_one({"due_at": {"$exists": True}})


async def test_only_one_of_many_senders_claims_a_message(client, mail_server):
    await until(nothing_is_due)
    far = now() + timedelta(days=1)
    message = await queued(confirmed(), due_at=far)
    lease = timedelta(minutes=1)
    claims = await asyncio.gather(*(Message.claim(far, lease) for _ in range(20)))
    assert [claim.id for claim in claims if claim] == [message.id]
    await message.delete()


def claimed(monkeypatch) -> list[str]:
    """Record the keys of the messages that sweeps claim from now on."""
    keys, claim = [], Message.claim

    async def recording_claim(*args, **options):
        if message := await claim(*args, **options):
            keys.append(message.key)
        return message

    monkeypatch.setattr(Message, "claim", recording_claim)
    return keys


async def test_new_messages_wait_for_a_free_sender_without_a_sweep(client, bus, mail_server, monkeypatch):
    keys = claimed(monkeypatch)
    mail_server.is_stalled = True
    events = [confirmed() for _ in range(3 * settings.get().mail_senders)]
    for event in events:
        await bus.publish(event)
    for event in events:
        await settled(event, "sending")
    mail_server.is_stalled = False
    for event in events:
        assert (await settled(event, "sent")).attempts == 1
        assert len(mail_server.mails_for(event)) == 1
    assert keys == []


async def test_a_message_that_waits_too_long_is_left_to_a_sweep(client, bus, mail_server, monkeypatch):
    keys = claimed(monkeypatch)
    monkeypatch.setattr(Settings, "max_wait", timedelta(seconds=-1))
    event = confirmed()
    await bus.publish(event)
    assert (await settled(event, "sent")).attempts == 1
    assert len(mail_server.mails_for(event)) == 1
    assert keys == [f"confirmation.{event.booking_id}"]


async def test_messages_beyond_the_backlog_are_left_to_a_sweep(client, bus, mail_server, monkeypatch):
    keys = claimed(monkeypatch)
    monkeypatch.setattr(delivery, "BACKLOG", 0)
    event = confirmed()
    await bus.publish(event)
    assert (await settled(event, "sent")).attempts == 1
    assert keys == [f"confirmation.{event.booking_id}"]


async def test_a_delivery_is_recorded_once_the_database_is_back(client, bus, mail_server, monkeypatch):
    """The lease ends before that, and the sender sends no second copy."""
    record, tries = Message.record_sent, []

    async def fails(accepted):
        tries.append(accepted)
        stored = await Message.find_one({"key": key})
        if len(tries) == 1 or stored is None or stored.attempts < 2:
            raise ConnectionError("the database is unreachable")
        await record(accepted)

    monkeypatch.setattr(Message, "record_sent", fails)
    monkeypatch.setattr(Settings, "lease", timedelta(seconds=0.5))
    event = confirmed()
    key = f"confirmation.{event.booking_id}"
    with capture_logs() as logs:
        await bus.publish(event)
        assert (await settled(event, "sent")).attempts >= 2
    assert len(mail_server.mails_for(event)) == 1
    assert [line for line in logs if line["event"] == "sent_not_recorded"]


async def test_the_content_of_a_mail_is_built_once(client, bus, mail_server, monkeypatch):
    kind, events = MAILS["confirmation"], []
    recording = replace(kind, context=lambda event: events.append(event) or kind.context(event))
    monkeypatch.setitem(MAILS, "confirmation", recording)
    event = confirmed()
    await bus.publish(event)
    await mail_server.mail_for(event)
    assert events == [event]


async def test_a_sender_whose_lease_has_ended_overwrites_nothing(client, mail_server):
    await until(nothing_is_due)
    far = now() + timedelta(days=1)
    message = await queued(confirmed(), due_at=far)
    slow = await Message.claim(far, timedelta(minutes=1))
    fast = await Message.claim(far + timedelta(minutes=1), timedelta(minutes=1))
    assert slow and fast and slow.id == fast.id == message.id
    await Message.record_sent({fast.id: now()})
    await slow.schedule_retry(now(), "late")
    await slow.record_failed("late")
    assert await Message.find_one({"_id": slow.id, "state": "sent", "reason": None})


async def test_a_message_that_cannot_be_rendered_is_retried_and_blocks_no_other(client, bus, mail_server):
    broken = await queued(confirmed(), event='{"no": "booking"}')
    event = confirmed()
    await bus.publish(event)
    await mail_server.mail_for(event)
    assert await until(lambda: Message.find_one({"key": broken.key, "state": "queued", "reason": "ValidationError"}))
    await broken.delete()


async def test_the_sender_survives_a_database_error(client, bus, mail_server, monkeypatch):
    async def fails(*_):
        raise ConnectionError("the database is unreachable")

    with capture_logs() as logs:

        async def is_logged() -> bool:
            return any(line["event"] == "sender_failed" for line in logs)

        monkeypatch.setattr(Message, "is_any_due", fails)
        await until(is_logged)
        monkeypatch.undo()
    event = confirmed()
    await bus.publish(event)
    await mail_server.mail_for(event)


BAD = {"email": "ada@usher.example\r\nBcc: eve@usher.example"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "malformed"),
        ("{}", "malformed"),
        (b"\xff", "malformed"),
        (confirmed().model_dump_json().replace('"amount":2100', '"amount":-1'), "malformed"),
        (confirmed(**BAD).model_dump_json(), "rejected: Unmailable: the e-mail address is invalid"),
        (confirmed(screening={"time_zone": "Mars"}).model_dump_json(), "rejected: Unmailable: no such time zone"),
    ],
)
async def test_an_event_that_cannot_become_a_mail_is_a_dead_letter(client, bus, body, reason):
    await bus.publish_raw(BookingConfirmed.type, body)
    (letter,) = await bus.dead("notifier")
    assert letter.reason.startswith(reason)


def test_a_lease_is_longer_than_a_delivery():
    assert settings.get().lease - settings.get().max_wait > timedelta(seconds=7 * settings.get().smtp_seconds)


def test_a_password_requires_encryption(monkeypatch):
    monkeypatch.setenv("SMTP_USER", "usher")
    settings.get.cache_clear()
    with pytest.raises(ValueError, match="SMTP_SECURITY"):
        settings.get()


def test_every_kind_has_a_mail():
    assert set(MAILS) | {"reminder"} == set(get_args(Kind)), "a reminder has no event"
