import asyncio
import json
from datetime import timedelta
from typing import get_args

import pytest
from chassis.clock import now
from chassis.testing import until
from contracts.booking import BookingConfirmed
from notifier import confirmation, delivery, settings, smtp
from notifier.model import Kind
from notifier.settings import Settings
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import Postbox, confirmed


async def settled(event, state) -> Message:
    """The message about a booking once it has the state."""
    where = {"key": f"confirmation.{event.booking_id}", "state": state}

    async def found() -> list[Message]:
        return await Message.find(where).to_list()

    return (await until(found))[0]


async def test_a_confirmed_booking_is_mailed(client, bus, postbox):
    event = confirmed()
    await bus.say(event)
    mail = await postbox.has(event)
    assert mail["To"] == "Ada Lovelace <ada@usher.example>"
    assert (await settled(event, "sent")).attempts == 1


async def test_a_repeated_event_is_one_mail(client, bus, postbox):
    event, later = confirmed(), confirmed()
    envelope = await bus.say(event)
    await postbox.has(event)
    for _ in range(3):
        await bus.say(event, event_id=envelope.id)
        await bus.say(event)
    await bus.say(later)
    await postbox.has(later)
    await asyncio.sleep(0.3)
    assert len(postbox.about(event)) == 1
    assert await Message.find({"key": f"confirmation.{event.booking_id}"}).count() == 1


@pytest.mark.parametrize("stage", ["to_recipients", "to_texts"])
async def test_a_busy_server_is_tried_again(client, bus, postbox, stage):
    setattr(postbox, stage, ["451 4.3.0 busy", "421 4.3.2 going down", "452 4.2.2 mailbox full"])
    event = confirmed()
    await bus.say(event)
    await postbox.has(event)
    message = await settled(event, "sent")
    assert (message.attempts, message.reason, message.due_at) == (4, None, None)
    assert len(postbox.about(event)) == 1


async def test_mails_wait_for_a_server_that_is_away(client, bus, postbox):
    await postbox.close()
    events = [confirmed() for _ in range(5)]
    for event in events:
        await bus.say(event)
    waiting = await settled(events[0], "queued")
    await until(lambda: Message.find_one({"key": waiting.key, "attempts": {"$gte": 2}}))
    await postbox.open()
    for event in events:
        await postbox.has(event)
        await settled(event, "sent")
        assert len(postbox.about(event)) == 1


@pytest.mark.parametrize(("stage", "code"), [("to_recipients", "550"), ("to_texts", "554")])
async def test_a_refusal_for_good_is_recorded_and_not_repeated(client, bus, postbox, stage, code):
    setattr(postbox, stage, [f"{code} 5.1.1 <ada@usher.example> we do not want this"])
    event = confirmed()
    with capture_logs() as logs:

        async def is_logged() -> bool:  # which follows the write
            return any(line["event"] == "message_failed" for line in logs)

        await bus.say(event)
        message = await settled(event, "failed")
        await until(is_logged)
    assert message.reason == f"{code} 5.1.1 <a***@usher.example> we do not want this"
    assert (message.attempts, message.due_at) == (1, None)
    assert "ada@usher.example" not in json.dumps(logs, default=str)
    await asyncio.sleep(0.3)
    assert postbox.about(event) == []


async def test_a_recipient_beyond_ascii_is_refused_where_the_server_cannot_take_it(client, bus, postbox):
    event = confirmed(email="ädä@usher.example")
    await bus.say(event)
    assert "SMTPUTF8" in ((await settled(event, "failed")).reason or "")


async def test_a_recipient_beyond_ascii_is_written_to_where_the_server_can(client, bus, monkeypatch):
    worldly = Postbox(utf8=True)
    await worldly.open()
    monkeypatch.setattr(settings.get(), "smtp_port", worldly.port)
    monkeypatch.setattr(smtp, "_idle", {})
    event = confirmed(email="ädä@usher.example")
    await bus.say(event)
    await settled(event, "sent")
    ((envelope, _),) = worldly.mails
    assert envelope.rcpt_tos == ["ädä@usher.example"]
    assert "\r\nTo: Ada Lovelace <ädä@usher.example>\r\n".encode() in envelope.content
    await worldly.close()


async def test_lines_that_begin_with_a_dot_arrive_whole(client, bus, postbox):
    told = {"movie_title": "...and Justice for All", "certificate": ".", "format": "", "language": ""}
    event = confirmed(screening=told)
    await bus.say(event)
    text = (await postbox.has(event)).get_body(("plain",)).get_content()
    assert "\r\n...and Justice for All\r\n.\r\n" in text
    await settled(event, "sent")


async def test_nobody_tries_for_ever(client, postbox):
    await postbox.close()
    message = await queued(confirmed(), queued_at=now() - timedelta(days=2))
    await until(lambda: Message.find_one({"key": message.key, "state": "failed"}))


async def queued(booking, **fields) -> Message:
    """A message as the reaction or a sender left it."""
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


async def test_what_a_crashed_sender_had_in_hand_is_sent_when_its_lease_ends(client, postbox):
    event = confirmed()
    message = await queued(event, state="sending", attempts=1, due_at=now() + timedelta(seconds=0.5))
    await asyncio.sleep(0.3)
    assert postbox.about(event) == []
    await postbox.has(event)
    await until(lambda: Message.find_one({"key": message.key, "state": "sent", "attempts": 2}))


async def nothing_is_due() -> bool:
    return not await Message.find_one({"due_at": {"$exists": True}})


async def test_of_many_senders_one_gets_a_message(client, postbox):
    await until(nothing_is_due)
    far = now() + timedelta(days=1)
    message = await queued(confirmed(), due_at=far)
    lease = timedelta(minutes=1)
    claims = await asyncio.gather(*(Message.claim(far, lease) for _ in range(20)))
    assert [claim.id for claim in claims if claim] == [message.id]
    await message.delete()


def claimed(monkeypatch) -> list[str]:
    """The keys of the messages that a sweep claims from now on."""
    keys, claim = [], Message.claim

    async def noting(*args, **options):
        if message := await claim(*args, **options):
            keys.append(message.key)
        return message

    monkeypatch.setattr(Message, "claim", noting)
    return keys


async def test_new_messages_wait_for_a_free_sender_and_need_no_sweep(client, bus, postbox, monkeypatch):
    keys = claimed(monkeypatch)
    postbox.holding = True
    events = [confirmed() for _ in range(3 * settings.get().mail_senders)]
    for event in events:
        await bus.say(event)
    for event in events:
        await settled(event, "sending")
    postbox.holding = False
    for event in events:
        assert (await settled(event, "sent")).attempts == 1
        assert len(postbox.about(event)) == 1
    assert keys == []


async def test_what_no_sender_could_begin_in_time_is_left_to_a_sweep(client, bus, postbox, monkeypatch):
    keys = claimed(monkeypatch)
    monkeypatch.setattr(Settings, "patience", timedelta(seconds=-1))
    event = confirmed()
    await bus.say(event)
    assert (await settled(event, "sent")).attempts == 1
    assert len(postbox.about(event)) == 1
    assert keys == [f"confirmation.{event.booking_id}"]


async def test_more_than_can_be_at_hand_is_left_to_a_sweep(client, bus, postbox, monkeypatch):
    keys = claimed(monkeypatch)
    monkeypatch.setattr(delivery, "BACKLOG", 0)
    event = confirmed()
    await bus.say(event)
    assert (await settled(event, "sent")).attempts == 1
    assert keys == [f"confirmation.{event.booking_id}"]


async def test_a_delivery_is_recorded_as_soon_as_the_database_is_back(client, bus, postbox, monkeypatch):
    """Its lease ends before that: the sender that has sent it sends no second copy."""
    record, tries = Message.record_sent, []

    async def fails(accepted):
        tries.append(accepted)
        stored = await Message.find_one({"key": key})
        if len(tries) == 1 or stored is None or stored.attempts < 2:
            raise ConnectionError("the database is away")
        await record(accepted)

    monkeypatch.setattr(Message, "record_sent", fails)
    monkeypatch.setattr(Settings, "lease", timedelta(seconds=0.5))
    event = confirmed()
    key = f"confirmation.{event.booking_id}"
    with capture_logs() as logs:
        await bus.say(event)
        assert (await settled(event, "sent")).attempts >= 2
    assert len(postbox.about(event)) == 1
    assert [line for line in logs if line["event"] == "sent_not_recorded"]


async def test_a_mail_is_worked_out_once(client, bus, postbox, monkeypatch):
    facts, told = confirmation.facts, []
    monkeypatch.setattr(confirmation, "facts", lambda event: told.append(event) or facts(event))
    event = confirmed()
    await bus.say(event)
    await postbox.has(event)
    assert told == [event]


async def test_a_sender_whose_lease_lapsed_undoes_nothing(client, postbox):
    await until(nothing_is_due)
    far = now() + timedelta(days=1)
    message = await queued(confirmed(), due_at=far)
    slow = await Message.claim(far, timedelta(minutes=1))
    fast = await Message.claim(far + timedelta(minutes=1), timedelta(minutes=1))
    assert slow and fast and slow.id == fast.id == message.id
    await Message.record_sent({fast.id: now()})
    await slow.put_off(now(), "late")
    await slow.record_failed("late")
    assert await Message.find_one({"_id": slow.id, "state": "sent", "reason": None})


async def test_a_message_that_cannot_be_made_any_more_is_put_off_and_harms_no_other(client, bus, postbox):
    broken = await queued(confirmed(), event='{"no": "booking"}')
    event = confirmed()
    await bus.say(event)
    await postbox.has(event)
    assert await until(lambda: Message.find_one({"key": broken.key, "state": "queued", "reason": "ValidationError"}))
    await broken.delete()


async def test_the_sender_outlives_a_failure_of_the_store(client, bus, postbox, monkeypatch):
    async def fails(*_):
        raise ConnectionError("the database is away")

    with capture_logs() as logs:
        monkeypatch.setattr(Message, "is_any_due", fails)
        await asyncio.sleep(0.2)
        monkeypatch.undo()
    assert [line for line in logs if line["event"] == "sender_failed"]
    event = confirmed()
    await bus.say(event)
    await postbox.has(event)


BAD = {"email": "ada@usher.example\r\nBcc: eve@usher.example"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "malformed"),
        ("{}", "malformed"),
        (b"\xff", "malformed"),
        (confirmed().model_dump_json().replace('"amount":2100', '"amount":-1'), "malformed"),
        (confirmed(**BAD).model_dump_json(), "rejected: Unmailable: the e-mail address is not one"),
        (confirmed(screening={"time_zone": "Mars"}).model_dump_json(), "rejected: Unmailable: no such time zone"),
    ],
)
async def test_an_event_that_makes_no_mail_is_a_dead_letter(client, bus, body, reason):
    await bus.say_raw(BookingConfirmed.type, body)
    (letter,) = await bus.dead("notifier")
    assert letter.reason.startswith(reason)


def test_a_lease_outlasts_a_delivery():
    assert settings.get().lease - settings.get().patience > timedelta(seconds=7 * settings.get().smtp_seconds)


def test_a_password_is_not_sent_in_the_clear(monkeypatch):
    monkeypatch.setenv("SMTP_USER", "usher")
    settings.get.cache_clear()
    with pytest.raises(ValueError, match="SMTP_SECURITY"):
        settings.get()


def test_every_kind_has_a_letter():
    assert set(delivery.LETTERS) == set(get_args(Kind))
