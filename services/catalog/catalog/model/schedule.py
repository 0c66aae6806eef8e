"""Times of showtimes: local time, slots, sales."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Generic, NamedTuple, Protocol, Self, TypeVar
from zoneinfo import ZoneInfo

from contracts.catalog import OrphanRule
from contracts.types import Id, LanguageTag, Moment
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from catalog.model.days import Occurrence
from catalog.model.prices import WEEKDAYS, Clock, Day, Format, Weekday
from catalog.model.problems import LocalTimeAmbiguous, LocalTimeInvalid, RuntimeUnknown, SalesTimesInvalid

ADVERTS = timedelta(minutes=15)
"""Time between the published start and the film."""
CLEANING = timedelta(minutes=20)
"""Time between the end of a film and the next start in the same auditorium."""
SALES_OPEN_BEFORE = timedelta(days=14)
EVENING = time(17)
QUARTER_S = 15 * 60
SLOT_S = 5 * 60
"""Showtimes start on a five-minute mark, so an auditorium's time is divided into slots of this length. All current time
zone offsets are multiples of a quarter of an hour, so local marks are also marks in UTC.
"""
MAX_DAYS, MAX_SHOWINGS, MAX_ITEMS = 92, 50, 500

Instant = Annotated[Moment, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]


def _to_the_minute(local: datetime) -> datetime:
    if local.second or local.microsecond or not 2000 <= local.year <= 2200:
        raise ValueError("a local time has minutes only, and is between 2000 and 2200")
    return local


def _on_a_mark(local: datetime) -> datetime:
    if local.minute % 5:
        raise ValueError("showtimes start on a five-minute mark")
    return local


WallTime = Annotated[NaiveDatetime, WithJsonSchema({"type": "string", "examples": ["2027-03-28T20:15:00"]})]
"""The theater's local time. JSON Schema's `date-time` would require an offset."""
LocalTime = Annotated[NaiveDatetime, AfterValidator(_to_the_minute), Field(examples=["2027-03-28T20:15"])]
"""A local start: `2027-03-28T20:15`."""
LocalStart = Annotated[LocalTime, AfterValidator(_on_a_mark)]


class HasRuntime(Protocol):
    """The data of a film that planning a day needs."""

    @property
    def runtime_minutes(self) -> int | None: ...


F = TypeVar("F", bound=HasRuntime)


def length_of(film: HasRuntime) -> timedelta:
    """The film's length. Raises RuntimeUnknown."""
    if film.runtime_minutes is None:
        raise RuntimeUnknown
    return timedelta(minutes=film.runtime_minutes)


class Slot(NamedTuple, Generic[F]):
    """One film on one auditorium's day, UTC."""

    film: F
    starts_at: datetime
    ends_at: datetime


def local_moment(local: datetime, zone: ZoneInfo, occurrence: Occurrence | None = None) -> datetime:
    """Convert a local time to UTC.

    Raises LocalTimeInvalid for a skipped time (converting it back gives another time; PEP 495), and
    LocalTimeAmbiguous with `moments` for a repeated one, unless `occurrence` selects one.
    """
    clock = local.replace(fold=0)
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None, fold=0) != clock:
        raise LocalTimeInvalid(f"There is no {clock:%H:%M} on {clock:%Y-%m-%d} in {zone.key}: the clocks go forward.")
    if first != second and occurrence is None:
        raise LocalTimeAmbiguous(
            f"The clocks of {zone.key} show {clock:%H:%M} twice on {clock:%Y-%m-%d}: "
            f"say whether the first or the second is meant.",
            moments=[first.isoformat(), second.isoformat()],
        )
    return second if occurrence == "second" else first


def slots_of(starts_at: datetime, free_at: datetime) -> list[int]:
    """The numbers of the slots that a showtime occupies, counted from 1970."""
    return list(range(int(starts_at.timestamp()) // SLOT_S, math.ceil(free_at.timestamp() / SLOT_S)))


def check_sales(sales_open_at: datetime, sales_close_at: datetime, ends_at: datetime) -> None:
    """Raises SalesTimesInvalid when sales would never be open, or would end after the film."""
    if not sales_open_at < sales_close_at <= ends_at:
        raise SalesTimesInvalid


class Terms(BaseModel):
    """How a film is shown and sold. Defaults: in its own language, on sale for two weeks until it
    starts. `sales_close_minutes` count from the start. `orphan_rule` says whether a selection may leave a single free
    seat.
    """

    model_config = ConfigDict(extra="forbid")

    format: Format = "2D"
    language: LanguageTag | None = None
    subtitles: LanguageTag | None = None
    adverts_minutes: Annotated[int, Field(ge=0, le=120)] = int(ADVERTS.total_seconds() // 60)
    cleaning_minutes: Annotated[int, Field(ge=0, le=240)] | None = None
    sales_open_at: Instant | None = None
    sales_close_minutes: Annotated[int, Field(ge=-10_080, le=600)] = 0
    orphan_rule: OrphanRule = "off"


class Placed(Terms):
    """A film in an auditorium."""

    auditorium_id: Id
    movie_id: Id


class Showing(Placed):
    """A film in an auditorium at a local time of day."""

    starts: Annotated[Clock, StringConstraints(pattern=r"[05]$"), Field(examples=["20:15"])]


class Pattern(BaseModel):
    """Showings repeated on business days; without `weekdays` on all. `occurrence` is for the night when clocks are set
    back.
    """

    model_config = ConfigDict(extra="forbid")

    first_day: Day
    last_day: Day
    weekdays: Annotated[list[Weekday], Field(max_length=7)] = []
    except_days: Annotated[list[Day], Field(max_length=MAX_DAYS)] = []
    showings: Annotated[list[Showing], Field(min_length=1, max_length=MAX_SHOWINGS)]
    occurrence: Occurrence | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        days = (date.fromisoformat(self.last_day) - date.fromisoformat(self.first_day)).days + 1
        if not 1 <= days <= MAX_DAYS:
            raise ValueError(f"a schedule has 1 to {MAX_DAYS} days")
        if not 1 <= sum(1 for _ in self.days()) * len(self.showings) <= MAX_ITEMS:
            raise ValueError(f"a schedule has 1 to {MAX_ITEMS} showtimes")
        return self

    def days(self) -> Iterator[date]:
        """The business days of the pattern."""
        day, last = date.fromisoformat(self.first_day), date.fromisoformat(self.last_day)
        while day <= last:
            if day.isoformat() not in self.except_days and WEEKDAYS[day.weekday()] in (self.weekdays or WEEKDAYS):
                yield day
            day += timedelta(days=1)


def plan_day(
    day: date, zone: ZoneInfo, *, opens: time, last: time, daytime: Sequence[F], evening: Sequence[F]
) -> list[Slot[F]]:
    """Plan one auditorium's day: film after film from `opens`, none starting after `last`, both local time.

    Films start on a quarter of an hour. The date alone decides the order, so planning a day
    again gives the same result; films of `daytime` and `evening` (from 17:00) alternate from day to day.
    """
    slots: list[Slot[F]] = []
    starts_at, end_of_day = (local_moment(datetime.combine(day, clock), zone, "first") for clock in (opens, last))
    while starts_at <= end_of_day:
        films = evening if starts_at.astimezone(zone).time() >= EVENING else daytime
        film = films[(day.toordinal() + len(slots)) % len(films)]
        slots.append(Slot(film, starts_at, starts_at + ADVERTS + length_of(film)))
        starts_at = _next_quarter(slots[-1].ends_at + CLEANING)
    return slots


def _next_quarter(moment: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(moment.timestamp() / QUARTER_S) * QUARTER_S, UTC)
