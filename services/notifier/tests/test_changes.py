"""The mails about a rescheduled or cancelled showtime: their content, and that each is sent at most once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from chassis.ids import new_id
from chassis.testing import until
from contracts.booking import BookingCancelled, BookingRescheduled
from contracts.identity import UserDeleted
from contracts.types import Holder
from notifier.mails import render_stored
from notifier.mails.showtime import cancelled_context, rescheduled_context
from notifier.model import Unmailable
from notifier.store import Message

from .conftest import confirmed

OLD, NEW = datetime(2026, 10, 24, 18, 15, tzinfo=UTC), datetime(2026, 10, 25, 18, 15, tzinfo=UTC)
"""Daylight saving time ends in between: 20:15 and 19:15 in Berlin."""
CONTACT = {"reference": "K7QF2M", "email": "ada@usher.example", "name": "Ada Lovelace", "locale": "en"}


def screening(starts_at):
    return confirmed(screening={"starts_at": starts_at, "ends_at": starts_at + timedelta(hours=2)}).screening


def rescheduled(**fields):
    defaults = CONTACT | {"booking_id": new_id(), "holder": Holder(user_id=new_id()), "moves": 1}
    defaults |= {"screening": screening(NEW), "previous_starts_at": OLD}
    return BookingRescheduled.model_validate(defaults | fields)


def cancelled(**fields):
    defaults = CONTACT | {
        "booking_id": new_id(),
        "holder": Holder(user_id=new_id()),
        "seats": ["F7"],
        "currency": "EUR",
    }
    defaults |= {
        "showtime_id": "s1",
        "reason": "showtime_cancelled",
        "screening": screening(OLD),
        "refund_amount": 2100,
    }
    return BookingCancelled.model_validate(defaults | fields)


def key_of(event):
    is_move = isinstance(event, BookingRescheduled)
    return f"rescheduled.{event.booking_id}.{event.moves}" if is_move else f"showtime_cancelled.{event.booking_id}"


def forms(kind, event):
    mail = render_stored(kind, event.model_dump_json(exclude_none=True))
    return mail, (mail.text, mail.html)


@pytest.mark.parametrize(
    ("locale", "until", "back"),
    [
        ("en", "until Sunday, 25 October 2026, 19:15", "fees included"),
        ("de", "25. Oktober 2026, 19:15 wählen", "samt Gebühren"),
    ],
)
def test_after_a_large_move_the_mail_offers_the_choice(locale, until, back):
    event = rescheduled(locale=locale, choice_until=NEW)
    _, both = forms("rescheduled", event)
    for form in both:
        for text in (until, back, f"http://127.0.0.1:8080/bookings/{event.booking_id}/choice"):
            assert text in form
    _, erased = forms("rescheduled", rescheduled(choice_until=NEW, holder=Holder(user_id="erased-b1")))
    assert not any("/choice" in form or "fees included" in form for form in erased), "nobody can sign in for them"


ENGLISH = ("Sunday, 25 October 2026, 19:15", "Saturday, 24 October 2026, 20:15", "stay valid")
GERMAN = ("Sonntag, 25. Oktober 2026, 19:15", "Samstag, 24. Oktober 2026, 20:15", "bleiben gültig")


@pytest.mark.parametrize(("locale", "expected"), [("en", ENGLISH), ("de-DE", GERMAN), ("xx", ENGLISH)])
def test_a_rescheduled_showtime_shows_both_times_in_the_theaters_time_zone(locale, expected):
    event = rescheduled(locale=locale)
    mail, both = forms("rescheduled", event)
    assert expected[0] in mail.subject
    assert expected[1] not in mail.subject
    page = f"http://127.0.0.1:8080/bookings/{event.booking_id}"
    for form in both:
        assert form.index(expected[0]) < form.index(expected[1])
        for text in (*expected, "Metropolis", "Usher Mitte, Auditorium 2", "K7QF2M", "Ada Lovelace", page):
            assert text in form


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("en", (*ENGLISH[1:2], "no longer valid", "€21.00")), ("de", (*GERMAN[1:2], "ungültig", "21,00\xa0€"))],
)
def test_a_cancelled_showtime_shows_the_refund(locale, expected):
    mail, both = forms("showtime_cancelled", cancelled(locale=locale))
    assert expected[0] in mail.subject
    for form in both:
        for text in (*expected, "Metropolis", "Usher Mitte, Auditorium 2", "K7QF2M", "Ada Lovelace"):
            assert text in form


def test_a_booking_that_the_theater_cancels_shows_the_refund():
    mail, both = forms("showtime_cancelled", cancelled(reason="by_staff"))
    assert mail.subject == "Booking cancelled: Metropolis, Saturday, 24 October 2026, 20:15"
    for form in both:
        for text in ("The theater has cancelled your booking", "€21.00", "K7QF2M"):
            assert text in form


def test_a_person_without_an_account_gets_no_button_to_the_booking():
    for event in (cancelled(holder=Holder(user_id="erased-b1")), cancelled()):
        for form in forms("showtime_cancelled", event)[1]:
            assert ("View your booking" in form) is (event.holder.user_id != "erased-b1")
            assert "no longer valid" in form


def test_free_tickets_show_no_refund():
    _, both = forms("showtime_cancelled", cancelled(refund_amount=0))
    for form in both:
        assert "€" not in form
        assert "Refund to" not in form


NASTY = "<script>alert(1)</script>\r\nBcc: eve@usher.example {name} \u202egnp"


def test_malicious_names_are_escaped():
    shown = screening(NEW).model_copy(update={"movie_title": NASTY, "theater_name": NASTY, "auditorium_name": NASTY})
    for kind, event in (
        ("rescheduled", rescheduled(screening=shown, name=NASTY, reference=NASTY)),
        ("showtime_cancelled", cancelled(screening=shown, name=NASTY, reference=NASTY)),
    ):
        mail, (text, html) = forms(kind, event)
        assert "\n" not in mail.subject + mail.to.display_name
        assert "<script>" not in html
        assert "\u202e" not in text + html
        assert "<script>alert(1)</script> Bcc: eve@usher.example {name} gnp" in text


@pytest.mark.parametrize(
    "change",
    [{"email": "ada@usher.example\nBcc: eve"}, {"screening": screening(NEW).model_copy(update={"time_zone": "Mars"})}],
)
def test_an_event_that_cannot_become_a_mail_is_rejected(change):
    with pytest.raises(Unmailable):
        rescheduled_context(rescheduled(**change))
    with pytest.raises(Unmailable):
        cancelled_context(cancelled(**change))


async def test_each_change_is_mailed_once_even_if_repeated(client, bus, mail_server):
    first = rescheduled()
    again = first.model_copy(update={"moves": 2, "previous_starts_at": NEW, "screening": screening(OLD)})
    end = cancelled(booking_id=first.booking_id, holder=first.holder, moves=2)
    for event in (first, again, end):
        for _ in range(3):
            await bus.publish(event)
        mail = await mail_server.mail_with_key(key_of(event))
        assert mail["To"] == "Ada Lovelace <ada@usher.example>"
    await bus.publish(end)
    await passed(bus, mail_server)
    assert [len(mail_server.mails_with_key(key_of(event))) for event in (first, again, end)] == [1, 1, 1]


async def passed(bus, mail_server):
    """Wait until all earlier events are handled and their mails sent."""
    last = confirmed()
    await bus.publish(last)
    await mail_server.mail_for(last)

    async def idle():
        return await Message.find({"state": "sending"}).count() == 0

    await until(idle)


async def test_an_event_that_arrives_after_a_later_one_is_not_mailed(client, bus, mail_server):
    first = rescheduled()
    second = first.model_copy(update={"moves": 2})
    await bus.publish(second)
    await mail_server.mail_with_key(key_of(second))
    await bus.publish(first)
    await overtaken(first)

    third = first.model_copy(update={"moves": 2, "booking_id": new_id()})
    end = cancelled(booking_id=third.booking_id, moves=2)
    await bus.publish(end)
    await mail_server.mail_with_key(key_of(end))
    await bus.publish(third)
    await overtaken(third)
    assert [mail_server.mails_with_key(key_of(event)) for event in (first, third)] == [[], []]


async def overtaken(event):
    where = {"key": key_of(event), "state": "failed", "reason": "superseded by a later mail"}
    await until(lambda: Message.find_one(where))


async def test_a_waiting_mail_is_dropped_when_a_later_event_arrives(client, bus, mail_server):
    await mail_server.close()
    first = rescheduled()
    second = first.model_copy(update={"moves": 2})
    await bus.publish(first)
    await until(lambda: Message.find_one({"key": key_of(first), "state": "queued"}))
    await bus.publish(second)
    await overtaken(first)
    await mail_server.open()
    await mail_server.mail_with_key(key_of(second))
    assert mail_server.mails_with_key(key_of(first)) == []


NO_MAIL = [
    rescheduled(email=None, name=None),
    cancelled(email=None, name=None),
    cancelled(reason="by_customer"),
    cancelled(reason="by_staff", refund_amount=None),
    cancelled(reason="refunded_at_provider"),
    cancelled(refund_amount=None),
    cancelled(screening=None, refund_amount=None, reference=None, email=None),
]


async def test_bookings_without_tickets_or_address_get_no_mail(client, bus, mail_server):
    for event in NO_MAIL:
        await bus.publish(event)
    await passed(bus, mail_server)
    assert await Message.find({"topic": {"$in": [event.booking_id for event in NO_MAIL]}}).count() == 0
    assert await bus.dead("notifier", seconds=0.1) == []


async def test_a_deleted_person_gets_no_mail_from_late_events(client, bus, mail_server):
    holder = Holder(user_id=new_id())
    moved = rescheduled(holder=holder)
    await bus.publish(moved)
    await mail_server.mail_with_key(key_of(moved))
    await bus.publish(UserDeleted(user_id=holder.user_id or ""))

    async def emptied():
        kept = str(await Message.get_pymongo_collection().find_one({"key": key_of(moved)}))
        return not any(word in kept for word in ("ada@", "Ada", "K7QF2M", str(holder.user_id)))

    await until(emptied)
    late = [moved, rescheduled(holder=holder), cancelled(holder=holder), cancelled(holder=holder)]
    await asyncio.gather(*(bus.publish(event) for event in late))
    await passed(bus, mail_server)
    assert [len(mail_server.mails_with_key(key_of(event))) for event in late] == [1, 0, 0, 0]


@pytest.mark.parametrize("make", [rescheduled, cancelled])
@pytest.mark.parametrize("body", ["{", "{}", None])
async def test_an_event_that_cannot_become_a_mail_is_a_dead_letter(client, bus, make, body):
    event = make(email="nobody")
    await bus.publish_raw(event.type, event.model_dump_json() if body is None else body)
    (letter,) = await bus.dead("notifier")
    assert letter.reason.startswith("rejected: Unmailable" if body is None else "malformed")


async def test_later_messages_are_found_by_an_index(client):
    where = {"topic": {"$eq": "b1", "$type": "string"}, "turn": {"$gt": 1}}
    plan = await Message.get_pymongo_collection().find(where).explain()
    assert "topic_1_turn_1" in str(plan["queryPlanner"]["winningPlan"])
