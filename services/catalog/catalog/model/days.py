"""A theater's business day, to which a showtime after midnight belongs, and local times that occur twice."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

DAY_STARTS = "05:00"
MINUTES = 24 * 60
DayStart = Annotated[
    str,
    StringConstraints(pattern=r"^(0\d|1[01]):[0-5]\d$"),
    Field(description="Local time at which the business day starts; an earlier showtime belongs to the day before"),
]
Occurrence = Literal["first", "second"]
"""Which of the two times is meant when clocks were set back."""


def business_day(local: datetime, day_starts: str = DAY_STARTS) -> date:
    """The business day of a local time: at 00:15 on Saturday it is still Friday."""
    return local.date() - timedelta(days=f"{local:%H:%M}" < day_starts)


def local_on(day: date, clock: time, day_starts: str = DAY_STARTS) -> datetime:
    """The local time that a clock shows on a business day: 00:15 on Friday is on the calendar's Saturday."""
    return datetime.combine(day, clock) + timedelta(days=f"{clock:%H:%M}" < day_starts)


def minutes_into_day(clock: str, day_starts: str = DAY_STARTS) -> int:
    """The minutes that the clocks show since the start of the business day, for a clock time `HH:MM`."""
    return (_minutes(clock) - _minutes(day_starts)) % MINUTES


def occurrence_of(moment: datetime, zone: ZoneInfo) -> Occurrence | None:
    """Which of two equal local times a moment is; None when the clocks show its local time only once."""
    local = moment.astimezone(zone)
    if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
        return None
    return "second" if local.fold else "first"


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
