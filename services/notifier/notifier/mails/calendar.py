"""A booking as a calendar file (RFC 5545): the same event as the file of the booking's page, which has the same UID.

A calendar replaces an event by one with the same UID and a higher SEQUENCE, which counts the changes of time.
"""

from datetime import timedelta
from typing import Literal, NamedTuple

from chassis.clock import now
from contracts.booking import Screening
from icalendar import Alarm, Calendar, Event, vCalAddress

from notifier import settings
from notifier.mails.rendering import page_url
from notifier.model import one_line

REMIND_BEFORE = timedelta(hours=2)


class CalendarFile(NamedTuple):
    """An iCalendar file and its method (RFC 5546): the event is new or changed, or cancelled."""

    method: Literal["PUBLISH", "CANCEL"]
    content: bytes


def calendar_file(
    booking_id: str, screening: Screening, summary: str, *, sequence: int, is_cancelled: bool = False
) -> CalendarFile:
    """Return the file of a booking. Its link has no key: calendars are shared and synchronized."""
    movie = one_line(screening.movie_title)
    organizer = vCalAddress(f"mailto:{settings.get().sender.addr_spec}")
    organizer.params["CN"] = one_line(screening.theater_name)
    event = Event()
    event.add("uid", f"{booking_id}@usher")
    event.add("sequence", sequence)
    event.add("dtstamp", now())
    event.add("dtstart", screening.starts_at)
    event.add("dtend", screening.ends_at)
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add("summary", movie)
    place = (screening.theater_name, screening.auditorium_name, screening.address)
    event.add("location", ", ".join(one_line(part) for part in place if part))
    event.add("description", summary)
    event.add("url", page_url(f"bookings/{booking_id}"))
    event.add("organizer", organizer)
    if not is_cancelled:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", movie)
        alarm.add("trigger", -REMIND_BEFORE)
        event.add_component(alarm)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//Usher//Tickets//EN")
    method: Literal["PUBLISH", "CANCEL"] = "CANCEL" if is_cancelled else "PUBLISH"
    calendar.add("method", method)
    calendar.add_component(event)
    return CalendarFile(method, calendar.to_ical())
