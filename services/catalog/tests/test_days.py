"""Business days and repeated local times, without I/O."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from catalog.model.days import DAY_STARTS, DayStart, business_day, local_on, minutes_into_day, occurrence_of
from catalog.model.prices import WEEKDAYS, Surcharge
from catalog.model.schedule import local_moment
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
]
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds
STARTS = st.times(max_value=time(11, 59)).map(lambda clock: f"{clock:%H:%M}")


@given(MOMENTS, st.sampled_from(ZONES), STARTS)
def test_every_moment_belongs_to_the_business_day_whose_local_start_it_follows(moment, name, day_starts):
    local = moment.astimezone(ZoneInfo(name))
    day = business_day(local, day_starts)
    start = datetime.combine(day, time.fromisoformat(day_starts))
    assert start <= local.replace(tzinfo=None, fold=0) < start + timedelta(days=1)
    shown = local.replace(tzinfo=None, fold=0, second=0, microsecond=0)
    assert local_on(day, shown.time(), day_starts) == shown
    assert minutes_into_day(f"{local:%H:%M}", day_starts) == (local.replace(tzinfo=None) - start) // timedelta(
        minutes=1
    )


@given(MOMENTS, st.sampled_from(ZONES), STARTS)
def test_later_is_never_on_an_earlier_business_day_unless_clocks_go_back_at_its_start(moment, name, day_starts):
    zone = ZoneInfo(name)
    local, later = moment.astimezone(zone), (moment + timedelta(minutes=95)).astimezone(zone)
    if local.utcoffset() == later.utcoffset():
        assert business_day(local, day_starts) <= business_day(later, day_starts)


@given(MOMENTS, st.sampled_from(ZONES))
def test_a_local_time_with_its_occurrence_is_one_moment(moment, name):
    zone, minute = ZoneInfo(name), moment.replace(second=0, microsecond=0)
    local = minute.astimezone(zone).replace(tzinfo=None)
    which = occurrence_of(minute, zone)
    assert local_moment(local, zone, which) == minute
    if which is None:
        assert local_moment(local, zone) == minute


def test_the_two_times_on_the_night_when_clocks_go_back_differ():
    berlin, first = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    hours = [occurrence_of(first + timedelta(hours=hours), berlin) for hours in (-1, 0, 1, 2)]
    assert hours == [None, "first", "second", None]


NIGHTS = Surcharge(name="late", amount=100, weekdays=["fri", "sat"], starts_from="22:00", starts_before="02:00")


@pytest.mark.parametrize(
    ("local", "applies"),
    [
        ("2027-03-26T00:30", False),  # Thursday night
        ("2027-03-26T21:55", False),
        ("2027-03-26T22:00", True),
        ("2027-03-27T00:30", True),
        ("2027-03-27T02:00", False),
        ("2027-03-27T22:00", True),
        ("2027-03-28T00:30", True),
        ("2027-03-28T22:00", False),
        ("2027-03-29T00:30", False),
    ],
)
def test_friday_and_saturday_night_are_charged_to_their_end(local, applies):
    assert NIGHTS.applies("2D", datetime.fromisoformat(local)) is applies


@given(MOMENTS, st.sampled_from(ZONES), STARTS, st.sampled_from(WEEKDAYS), st.sampled_from([None, "18:00"]))
def test_a_band_without_an_end_lasts_as_long_as_the_business_day(moment, name, day_starts, weekday, begins):
    local = moment.astimezone(ZoneInfo(name))
    evening = Surcharge(name="x", amount=1, weekdays=[weekday], starts_from=begins)
    since = datetime.combine(business_day(local, day_starts), time.fromisoformat(begins or day_starts))
    on_the_day = WEEKDAYS[business_day(local, day_starts).weekday()] == weekday
    assert evening.applies("2D", local, day_starts) == (on_the_day and local.replace(tzinfo=None) >= since)


def test_a_matinee_does_not_include_the_night_before():
    matinee = Surcharge(name="matinee", amount=-300, starts_before="17:00")
    applied = {hour: matinee.applies("2D", datetime(2027, 3, 26, hour)) for hour in (0, 4, 5, 16, 17, 23)}  # noqa: DTZ001
    assert applied == {0: False, 4: False, 5: True, 16: True, 17: False, 23: False}


def test_a_business_day_starts_in_the_morning():
    for fine in ("00:00", DAY_STARTS, "11:59"):
        assert TypeAdapter(DayStart).validate_python(fine) == fine
    for wrong in ("12:00", "5:00", "05:60", "24:00", ""):
        with pytest.raises(ValidationError):
            TypeAdapter(DayStart).validate_python(wrong)
