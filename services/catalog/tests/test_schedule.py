"""Clocks, slots and patterns without I/O."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from catalog.model.problems import LocalTimeAmbiguous, LocalTimeInvalid, SalesTimesInvalid
from catalog.model.schedule import Pattern, Showing, check_sales, local_moment, slots_of
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
MARKS = st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1)).map(  # noqa: DTZ001 - what a clock on the wall shows
    lambda local: local.replace(minute=local.minute // 5 * 5, second=0, microsecond=0)
)


def test_a_time_that_the_clocks_skip_is_refused():
    skipped = datetime(2027, 3, 28, 2, 30)  # noqa: DTZ001 - what a clock on the wall would show
    with pytest.raises(LocalTimeInvalid, match=r"no 02:30 on 2027-03-28 in Europe/Berlin"):
        local_moment(skipped, BERLIN)
    with pytest.raises(LocalTimeInvalid):
        local_moment(skipped, BERLIN, "second")


def test_an_ambiguous_local_time_requires_the_occurrence():
    twice = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - what a clock on the wall shows
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    with pytest.raises(LocalTimeAmbiguous) as fault:
        local_moment(twice, BERLIN)
    assert fault.value.members == {"moments": [first.isoformat(), second.isoformat()]}
    assert local_moment(twice, BERLIN, "first") == first
    assert local_moment(twice, BERLIN, "second") == second


@given(MARKS, st.sampled_from(ZONES), st.sampled_from([None, "first", "second"]))
def test_any_local_time_converts_to_a_moment_and_back_or_is_refused(local, name, occurrence):
    zone = ZoneInfo(name)
    shown = [
        moment
        for hours in range(-15, 16)
        for minutes in (0, 15, 30, 45)
        if (moment := local.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes))
        .astimezone(zone)
        .replace(tzinfo=None, fold=0)
        == local
    ]
    try:
        moment = local_moment(local, zone, occurrence)
    except LocalTimeInvalid:
        assert shown == []
    except LocalTimeAmbiguous:
        assert len(shown) == 2
        assert occurrence is None
    else:
        assert moment == (shown[-1] if occurrence == "second" else shown[0])
        assert moment.minute % 5 == 0


moments = st.integers(0, 2_000).map(lambda mark: datetime(2027, 3, 27, 20, tzinfo=UTC) + timedelta(minutes=5 * mark))
spans = st.tuples(moments, st.integers(1, 400)).map(lambda span: (span[0], span[0] + timedelta(minutes=span[1])))


@given(spans, spans)
def test_two_showtimes_share_a_slot_exactly_when_they_overlap(one, other):
    overlap = one[0] < other[1] and other[0] < one[1]
    assert bool(set(slots_of(*one)) & set(slots_of(*other))) == overlap


def test_sales_begin_before_they_end_and_end_with_the_film():
    noon = datetime(2027, 1, 1, 12, tzinfo=UTC)
    check_sales(noon, noon + timedelta(hours=1), noon + timedelta(hours=1))
    for opens, closes, ends in [(0, 0, 2), (1, 0, 2), (0, 3, 2)]:
        with pytest.raises(SalesTimesInvalid):
            check_sales(*(noon + timedelta(hours=hours) for hours in (opens, closes, ends)))


def pattern(**changes):
    showing = {"auditorium_id": "hall", "movie_id": "film", "starts": "20:15"}
    fields = {"first_day": "2027-03-22", "last_day": "2027-04-04", "showings": [showing]}
    return Pattern.model_validate(fields | changes)


def test_a_pattern_is_repeated_on_its_days():
    days = list(pattern(weekdays=["fri", "sun"], except_days=["2027-04-02"]).days())
    assert days == [date(2027, 3, 26), date(2027, 3, 28), date(2027, 4, 4)]
    assert len(list(pattern().days())) == 14


@pytest.mark.parametrize(
    "changes",
    [
        {"last_day": "2027-03-21"},
        {"last_day": "2027-06-30"},
        {"weekdays": ["fri"], "last_day": "2027-03-24"},
        {"weekdays": ["friday"]},
        {"first_day": "2027-02-30"},
        {"first_day": "0001-01-01"},
        {"showings": []},
        {"showings": [{"auditorium_id": "hall", "movie_id": "film", "starts": f"{n % 24:02}:00"} for n in range(50)]},
        {"showings": [{"auditorium_id": "hall", "movie_id": "film", "starts": "25:00"}]},
        {"showings": [{"auditorium_id": "hall", "movie_id": "film", "starts": "20:17"}]},
        {"repeat": "daily"},
    ],
)
def test_an_impossible_pattern_is_refused(changes):
    with pytest.raises(ValidationError):
        pattern(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "3D\n"},
        {"format": ""},
        {"language": "German"},
        {"cleaning_minutes": -1},
        {"cleaning_minutes": 241},
        {"sales_open_at": "2027-01-01T10:00:00"},
        {"sales_open_at": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_invalid_terms_are_refused(changes):
    with pytest.raises(ValidationError):
        Showing.model_validate({"auditorium_id": "hall", "movie_id": "film", "starts": "20:15"} | changes)
