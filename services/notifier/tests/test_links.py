"""The links that open a booking without signing in: in which mails they stand, and where they do not."""

import json
from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.secrets import Seal
from chassis.testing import until
from contracts.booking import BookingLinkRequested
from contracts.identity import UserDeleted
from contracts.types import Holder
from notifier.delivery import LETTERS
from notifier.model import Refused, Unmailable
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import LINK_KEY, confirmed
from .test_changes import cancelled, rescheduled

KEY = "eyJhbGciOiJFZERTQSJ9.the-key_of.one-booking"
SEALED = Seal(LINK_KEY).close(KEY)
SITE = "http://127.0.0.1:8080"
TOLD_BY_MAIL = {"confirmation": confirmed, "rescheduled": rescheduled, "showtime_cancelled": cancelled}


def asked(*, seconds=3600, **fields):
    booking = confirmed().model_dump(include={"booking_id", "reference", "email", "name", "screening"})
    told = {"link_id": new_id(), "holder": Holder(secret_hash="0" * 64), "sealed_link": SEALED}
    return BookingLinkRequested.model_validate(
        booking | told | {"expires_at": now() + timedelta(seconds=seconds)} | fields
    )


def forms(kind, event):
    letter = LETTERS[kind](event.model_dump_json(exclude_none=True))
    return letter.text, letter.html


@pytest.mark.parametrize("kind", TOLD_BY_MAIL)
def test_a_guests_mail_has_a_link_that_opens_the_booking_and_anybody_elses_a_plain_one(kind):
    guests, persons = TOLD_BY_MAIL[kind](sealed_link=SEALED), TOLD_BY_MAIL[kind]()
    for form in forms(kind, guests):
        assert f"{SITE}/bookings/{guests.booking_id}#key={KEY}" in form
    for form in forms(kind, persons):
        assert f"{SITE}/bookings/{persons.booking_id}" in form
        assert "#key=" not in form


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", ("that you asked for", "Saturday, November 21, 2026, 8:15\u202fPM", "The link works until")),
        ("de-AT", ("um den Sie gebeten haben", "Samstag, 21. November 2026, 20:15", "Der Link gilt bis")),
    ],
)
def test_whoever_asked_for_a_link_gets_it_with_what_it_opens(locale, expected):
    event = asked(locale=locale)
    letter = LETTERS["booking_link"](event.model_dump_json())
    assert event.reference in letter.subject
    for form in (letter.text, letter.html):
        for text in (*expected, "Ada Lovelace", "Metropolis", "Usher Mitte, Auditorium 2", event.reference):
            assert text in form
        assert f"{SITE}/bookings/{event.booking_id}#key={KEY}" in form


def test_nasty_names_are_only_text():
    nasty = "<script>alert(1)</script>\r\nBcc: eve@usher.example {reference} \u202egnp"
    screening = confirmed(screening={"movie_title": nasty, "theater_name": nasty}).screening
    event = asked(name=nasty, reference=nasty, screening=screening)
    letter = LETTERS["booking_link"](event.model_dump_json())
    assert "\n" not in letter.subject + letter.to.display_name
    assert "<script>" not in letter.html
    assert "\u202e" not in letter.text + letter.html


def test_a_link_that_is_too_old_is_not_mailed():
    with pytest.raises(Refused, match="too old"):
        LETTERS["booking_link"](asked(seconds=0).model_dump_json())


async def test_each_wish_is_mailed_once_and_the_key_stands_in_the_mail_alone(client, bus, postbox):
    first = asked()
    second = first.model_copy(update={"link_id": new_id()})
    with capture_logs() as logs:
        for event in (first, first, second):
            await bus.say(event)
        for event in (first, second):
            mail = await postbox.has_keyed(f"booking_link.{event.link_id}")
            assert mail["To"] == "Ada Lovelace <ada@usher.example>"
            assert KEY in mail.get_body(("plain",)).get_content()

    async def stored():
        messages = [await Message.find_one({"key": f"booking_link.{each.link_id}"}) for each in (first, second)]
        return messages if all(each and each.state == "sent" for each in messages) else None

    messages = await until(stored)
    assert [len(postbox.keyed(f"booking_link.{each.link_id}")) for each in (first, second)] == [1, 1]
    told = json.dumps(logs, default=str)
    assert KEY not in repr(messages) + told
    assert "ada@" not in told


@pytest.mark.parametrize("kind", ["booking_link", *TOLD_BY_MAIL])
async def test_a_link_that_cannot_be_opened_is_a_dead_letter(client, bus, kind):
    make = TOLD_BY_MAIL.get(kind, asked)
    event = make(sealed_link=Seal("a key that is not ours").close(KEY))
    with pytest.raises(Unmailable):
        forms(kind, event)
    await bus.say(event)
    (letter,) = await bus.dead("notifier")
    assert "Unmailable" in letter.reason
    assert KEY not in letter.body.decode() + letter.reason


async def test_who_is_gone_gets_no_link_that_was_on_its_way(client, bus, postbox):
    holder = Holder(user_id=new_id())
    event = asked(holder=holder)
    await bus.say(event)
    await postbox.has_keyed(f"booking_link.{event.link_id}")
    await bus.say(UserDeleted(user_id=holder.user_id or ""))

    async def emptied():
        kept = str(await Message.get_pymongo_collection().find_one({"key": f"booking_link.{event.link_id}"}))
        return not any(word in kept for word in ("ada@", "Ada", event.reference, str(holder.user_id)))

    await until(emptied)
    late = event.model_copy(update={"link_id": new_id()})
    await bus.say(late)
    somebody = asked()
    await bus.say(somebody)
    await postbox.has_keyed(f"booking_link.{somebody.link_id}")
    assert postbox.keyed(f"booking_link.{late.link_id}") == []
