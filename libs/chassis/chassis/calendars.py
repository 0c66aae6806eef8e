"""Calendar files (RFC 5545).

A calendar replaces an event by one with the same UID and a higher SEQUENCE.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from icalendar import Alarm, Calendar, Event, vCalAddress

from chassis.clock import now

REMIND_BEFORE = timedelta(hours=2)


class Organizer(NamedTuple):
    """The organizer of an event: a name and an address, for example `mailto:tickets@usher.example`."""

    name: str
    address: str


class Occasion(NamedTuple):
    """What a calendar shows of an event. The texts are on one line each, except the description."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    summary: str
    location: str
    description: str
    url: str
    organizer: Organizer


class CalendarFile(NamedTuple):
    """An iCalendar file and its method (RFC 5546): the event is new or changed, or cancelled."""

    method: Literal["PUBLISH", "CANCEL"]
    content: bytes


def calendar_file(occasion: Occasion, *, is_cancelled: bool = False) -> CalendarFile:
    """Return the file of an event, with an alarm unless it is cancelled."""
    organizer = vCalAddress(occasion.organizer.address)
    organizer.params["CN"] = occasion.organizer.name
    event = Event()
    event.add("uid", occasion.uid)
    event.add("sequence", occasion.sequence)
    event.add("dtstamp", now())
    event.add("dtstart", occasion.starts_at)
    event.add("dtend", occasion.ends_at)
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add("summary", occasion.summary)
    event.add("location", occasion.location)
    event.add("description", occasion.description)
    event.add("url", occasion.url)
    event.add("organizer", organizer)
    if not is_cancelled:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", occasion.summary)
        alarm.add("trigger", -REMIND_BEFORE)
        event.add_component(alarm)
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//Usher//Tickets//EN")
    method: Literal["PUBLISH", "CANCEL"] = "CANCEL" if is_cancelled else "PUBLISH"
    calendar.add("method", method)
    calendar.add_component(event)
    return CalendarFile(method, calendar.to_ical())
