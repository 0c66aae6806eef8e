"""The calendar files of mails: what they contain, and that a later one replaces an earlier one (RFC 5545, RFC 5546)."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from chassis.security.secrets import Cipher
from icalendar import Calendar
from notifier.mails import compose, render_stored

from .conftest import LINK_KEY, confirmed
from .test_changes import NEW, cancelled, rescheduled, screening
from .test_refunds import refunded

ADDRESS = "Karl-Marx-Allee 33, 10178 Berlin"
KEY = "eyJ.the-key_of.one-booking"
TITLE = "Amélie; 1, 2 \\ 3 " + "ü" * 100


def attached(kind: Any, event: Any) -> tuple[Any, Any, bytes]:
    """Return the calendar part of the event's mail, its event, and the raw file."""
    rendered = render_stored(kind, event.model_dump_json(exclude_none=True))
    sent = message_from_bytes(compose(rendered, "k", datetime(2026, 11, 1, tzinfo=UTC)), policy=policy.default)
    [part] = sent.iter_attachments()
    content: Any = part.get_payload(decode=True)
    calendar: Any = Calendar.from_ical(content)
    [event] = calendar.walk("VEVENT")
    assert part.get_content_type() == "text/calendar"
    assert part.get_filename() == "showtime.ics"
    assert part["Content-Type"].params["method"] == calendar["METHOD"]
    return calendar, event, content


def test_the_tickets_come_with_the_showtime_for_the_calendar():
    booking = confirmed(
        screening={"movie_title": TITLE, "address": ADDRESS},
        sealed_link=Cipher(LINK_KEY).encrypt(KEY),
    )
    calendar, event, content = attached("confirmation", booking)
    assert (calendar["METHOD"], event["UID"], event["SEQUENCE"]) == ("PUBLISH", f"{booking.booking_id}@usher", 0)
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (booking.screening.starts_at, booking.screening.ends_at)
    assert (event["SUMMARY"], event["LOCATION"]) == (
        TITLE,
        f"Usher Mitte, Auditorium 2, {ADDRESS}",
    )
    assert event["DESCRIPTION"] == "Booking reference: K7QF2M\nRow F, seat 7\nRow F, seat 8"
    assert (event["URL"], event["STATUS"]) == (f"http://127.0.0.1:8080/bookings/{booking.booking_id}", "CONFIRMED")
    [alarm] = event.walk("VALARM")
    assert alarm["TRIGGER"].dt == -timedelta(hours=2)
    assert event["ORGANIZER"] == "mailto:tickets@usher.example"
    assert KEY.encode() not in content
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))


def test_a_later_event_replaces_an_earlier_one():
    first = confirmed()
    same = {"booking_id": first.booking_id}
    sent = [
        attached("confirmation", first),
        attached("rescheduled", rescheduled(**same, moves=1)),
        attached("rescheduled", rescheduled(**same, moves=2)),
        attached("showtime_cancelled", cancelled(**same, moves=2)),
    ]
    assert len({event["UID"] for _, event, _ in sent}) == 1
    assert [event["SEQUENCE"] for _, event, _ in sent] == [0, 1, 2, 3]
    assert [calendar["METHOD"] for calendar, _, _ in sent] == ["PUBLISH"] * 3 + ["CANCEL"]
    assert sent[1][1]["DTSTART"].dt == NEW
    assert (sent[3][1]["STATUS"], sent[3][1].walk("VALARM")) == ("CANCELLED", [])
    assert attached("confirmation", confirmed(moves=2))[1]["SEQUENCE"] == 2


@pytest.mark.parametrize("change", [{}, {"reason": "by_staff", "amount": 2100, "refunded": 2100}, {"screening": None}])
def test_a_refund_leaves_the_calendar_alone(change):
    rendered = render_stored("refund", refunded(**change).model_dump_json(exclude_none=True))
    assert rendered.calendar is None


def test_a_whole_refund_at_the_provider_takes_the_showtime_out_of_the_calendar():
    whole = refunded(amount=2100, refunded=2100, reason="refunded_at_provider", moves=1)
    calendar, event, _ = attached("refund", whole)
    assert (calendar["METHOD"], event["SEQUENCE"], event["STATUS"]) == ("CANCEL", 2, "CANCELLED")


def test_malicious_names_stay_one_value():
    shown = screening(NEW).model_copy(update={"movie_title": "x\r\nATTENDEE:mailto:eve@usher.example"})
    _, event, content = attached("rescheduled", rescheduled(screening=shown))
    assert event["SUMMARY"] == "x ATTENDEE:mailto:eve@usher.example"
    assert b"\r\nATTENDEE" not in content


def test_an_exchanged_booking_takes_over_the_entry_of_the_first_one():
    first = confirmed()
    own = {"replaces": first.booking_id, "calendar_id": first.booking_id, "moves": 1}
    new = confirmed(**own)
    sent = [
        attached("confirmation", first),
        attached("confirmation", new),
        attached("showtime_cancelled", cancelled(**own)),
    ]
    assert {str(event["UID"]) for _, event, _ in sent} == {f"{first.booking_id}@usher"}
    assert [event["SEQUENCE"] for _, event, _ in sent] == [0, 1, 2]
    assert sent[1][1]["URL"] == f"http://127.0.0.1:8080/bookings/{new.booking_id}"
