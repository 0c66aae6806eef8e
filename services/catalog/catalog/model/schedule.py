"""Days of showtimes, in the theater's own time."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Generic, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from catalog.model.problems import LocalTimeInvalid

ADVERTS = timedelta(minutes=15)
"""Between the printed start and the film."""
CLEANING = timedelta(minutes=20)
"""Between the end of a film and the next start in the same auditorium."""
SALES_OPEN_BEFORE = timedelta(days=14)
EVENING = time(17)
QUARTER_S = 15 * 60


class Film(Protocol):
    """What planning a day needs to know of a film."""

    @property
    def runtime_minutes(self) -> int: ...


F = TypeVar("F", bound=Film)


class Slot(NamedTuple, Generic[F]):
    """One film on one auditorium's day, UTC."""

    film: F
    starts_at: datetime
    ends_at: datetime


def local_moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A local date and time as a moment in UTC; of a time that the clocks show twice, the first.

    Raises LocalTimeInvalid for a time that they skip (a moment that does not come back as what was asked; PEP 495).
    """
    moment = datetime.combine(day, clock, zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != datetime.combine(day, clock):
        raise LocalTimeInvalid(f"There is no {clock:%H:%M} on {day} in {zone.key}: the clocks are put forward.")
    return moment


def plan_day(
    day: date, zone: ZoneInfo, *, opens: time, last: time, daytime: Sequence[F], evening: Sequence[F]
) -> list[Slot[F]]:
    """One auditorium's day: film after film from `opens`, none beginning after `last`, both local time.

    Starts stand on a quarter of an hour. Which film comes is decided by the date alone, so that planning a day
    again gives the same; films of `daytime` and `evening` (from 17:00) take turns from day to day.
    """
    slots: list[Slot[F]] = []
    starts_at, end_of_day = local_moment(day, opens, zone), local_moment(day, last, zone)
    while starts_at <= end_of_day:
        films = evening if starts_at.astimezone(zone).time() >= EVENING else daytime
        film = films[(day.toordinal() + len(slots)) % len(films)]
        slots.append(Slot(film, starts_at, starts_at + ADVERTS + timedelta(minutes=film.runtime_minutes)))
        starts_at = _next_quarter(slots[-1].ends_at + CLEANING)
    return slots


def _next_quarter(moment: datetime) -> datetime:
    """Every offset of today's time zones is a multiple of a quarter of an hour, so local quarters are UTC's."""
    return datetime.fromtimestamp(math.ceil(moment.timestamp() / QUARTER_S) * QUARTER_S, UTC)
