"""The links that open a booking without signing in: which mails contain them, and that nothing else does."""

import json
from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.booking import BookingLinkRequested
from contracts.identity import UserDeleted
from contracts.types import Holder
from notifier.mails import render_stored
from notifier.model import Refused, Unmailable
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import LINK_KEY, confirmed
from .test_changes import cancelled, rescheduled

KEY = "eyJhbGciOiJFZERTQSJ9.the-key_of.one-booking"
ENCRYPTED_KEY = Cipher(LINK_KEY).encrypt(KEY)
SITE = "http://127.0.0.1:8080"
EVENTS_BY_KIND = {"confirmation": confirmed, "rescheduled": rescheduled, "showtime_cancelled": cancelled}


def link_requested(*, seconds=3600, **fields):
    booking = confirmed().model_dump(include={"booking_id", "reference", "email", "name", "screening"})
    defaults = {"link_id": new_id(), "holder": Holder(secret_hash="0" * 64), "sealed_link": ENCRYPTED_KEY}
    return BookingLinkRequested.model_validate(
        booking | defaults | {"expires_at": now() + timedelta(seconds=seconds)} | fields
    )


def forms(kind, event):
    mail = render_stored(kind, event.model_dump_json(exclude_none=True))
    return mail.text, mail.html


@pytest.mark.parametrize("kind", EVENTS_BY_KIND)
def test_only_a_guests_mail_has_a_link_with_a_key(kind):
    of_guest, of_account = EVENTS_BY_KIND[kind](sealed_link=ENCRYPTED_KEY), EVENTS_BY_KIND[kind]()
    for form in forms(kind, of_guest):
        assert f"{SITE}/bookings/{of_guest.booking_id}#key={KEY}" in form
    for form in forms(kind, of_account):
        assert f"{SITE}/bookings/{of_account.booking_id}" in form
        assert "#key=" not in form


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", ("that you asked for", "Saturday, 21 November 2026, 20:15", "The link is valid until")),
        ("de-AT", ("den Sie angefordert haben", "Samstag, 21. November 2026, 20:15", "Der Link gilt bis")),
    ],
)
def test_a_requested_link_is_mailed_with_the_bookings_details(locale, expected):
    event = link_requested(locale=locale)
    mail = render_stored("booking_link", event.model_dump_json())
    assert event.reference in mail.subject
    for form in (mail.text, mail.html):
        for text in (*expected, "Ada Lovelace", "Metropolis", "Usher Mitte, Auditorium 2", event.reference):
            assert text in form
        assert f"{SITE}/bookings/{event.booking_id}#key={KEY}" in form


def test_malicious_names_are_escaped():
    nasty = "<script>alert(1)</script>\r\nBcc: eve@usher.example {reference} \u202egnp"
    screening = confirmed(screening={"movie_title": nasty, "theater_name": nasty}).screening
    event = link_requested(name=nasty, reference=nasty, screening=screening)
    mail = render_stored("booking_link", event.model_dump_json())
    assert "\n" not in mail.subject + mail.to.display_name
    assert "<script>" not in mail.html
    assert "\u202e" not in mail.text + mail.html


def test_an_expired_link_is_not_mailed():
    with pytest.raises(Refused, match="expired"):
        render_stored("booking_link", link_requested(seconds=0).model_dump_json())


async def test_each_request_is_mailed_once_and_only_the_mail_contains_the_key(client, bus, mail_server):
    first = link_requested()
    second = first.model_copy(update={"link_id": new_id()})
    with capture_logs() as logs:
        for event in (first, first, second):
            await bus.publish(event)
        for event in (first, second):
            mail = await mail_server.mail_with_key(f"booking_link.{event.link_id}")
            assert mail["To"] == "Ada Lovelace <ada@usher.example>"
            assert KEY in mail.get_body(("plain",)).get_content()

    async def stored():
        messages = [await Message.find_one({"key": f"booking_link.{each.link_id}"}) for each in (first, second)]
        return messages if all(each and each.state == "sent" for each in messages) else None

    messages = await until(stored)
    assert [len(mail_server.mails_with_key(f"booking_link.{each.link_id}")) for each in (first, second)] == [1, 1]
    logged = json.dumps(logs, default=str)
    assert KEY not in repr(messages) + logged
    assert "ada@" not in logged


@pytest.mark.parametrize("kind", ["booking_link", *EVENTS_BY_KIND])
async def test_a_link_that_cannot_be_decrypted_is_a_dead_letter(client, bus, kind):
    make = EVENTS_BY_KIND.get(kind, link_requested)
    event = make(sealed_link=Cipher("another service's key").encrypt(KEY))
    with pytest.raises(Unmailable):
        forms(kind, event)
    await bus.publish(event)
    (letter,) = await bus.dead("notifier")
    assert "Unmailable" in letter.reason
    assert KEY not in letter.body.decode() + letter.reason


async def test_a_deleted_person_gets_no_link_from_late_events(client, bus, mail_server):
    holder = Holder(user_id=new_id())
    event = link_requested(holder=holder)
    await bus.publish(event)
    await mail_server.mail_with_key(f"booking_link.{event.link_id}")
    await bus.publish(UserDeleted(user_id=holder.user_id or ""))

    async def emptied():
        kept = str(await Message.get_pymongo_collection().find_one({"key": f"booking_link.{event.link_id}"}))
        return not any(word in kept for word in ("ada@", "Ada", event.reference, str(holder.user_id)))

    await until(emptied)
    late = event.model_copy(update={"link_id": new_id()})
    await bus.publish(late)
    somebody = link_requested()
    await bus.publish(somebody)
    await mail_server.mail_with_key(f"booking_link.{somebody.link_id}")
    assert mail_server.mails_with_key(f"booking_link.{late.link_id}") == []
