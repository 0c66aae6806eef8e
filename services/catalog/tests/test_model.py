"""The rules without I/O."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from catalog.model import (
    CLEANING,
    plan_day,
    sort_title,
)
from hypothesis import given
from hypothesis import strategies as st

BERLIN, VIENNA, LONDON = (ZoneInfo(f"Europe/{city}") for city in ("Berlin", "Vienna", "London"))


class Film(NamedTuple):
    name: str
    runtime_minutes: int


SHORT, LONG, LATE, LATER = Film("short", 80), Film("long", 207), Film("late", 120), Film("later", 101)


def plan(day, zone=BERLIN, opens=time(10), last=time(22, 45)):
    return plan_day(day, zone, opens=opens, last=last, daytime=[SHORT, LONG], evening=[LATE, LATER])


def test_a_day_is_planned_film_after_film():
    slots = plan(date(2026, 11, 24))
    assert [(slot.film.name, f"{slot.starts_at.astimezone(BERLIN):%H:%M}") for slot in slots] == [
        ("short", "10:00"),
        ("long", "12:00"),
        ("short", "16:15"),
        ("later", "18:15"),
        ("late", "20:45"),
    ]
    assert slots[1].starts_at == datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert slots[1].ends_at == slots[1].starts_at + timedelta(minutes=15 + 207)


@given(
    st.dates(date(2026, 1, 1), date(2030, 12, 31)),
    st.sampled_from([BERLIN, VIENNA, LONDON]),
    st.sampled_from([time(9), time(10, 15), time(11, 30)]),
)
def test_on_any_day_nothing_overlaps_and_films_start_on_a_quarter(day, zone, opens):
    slots = plan(day, zone, opens)
    assert slots == plan(day, zone, opens), "planning again gives the same"
    for slot, after in pairwise(slots):
        assert slot.ends_at + CLEANING <= after.starts_at < slot.ends_at + CLEANING + timedelta(minutes=15)
    for slot in slots:
        local = slot.starts_at.astimezone(zone)
        assert local.minute % 15 == local.second == 0
        assert local.date() == day
        assert opens <= local.time() <= time(22, 45)
        assert (slot.film in (LATE, LATER)) == (local.hour >= 17)


def test_films_alternate_from_day_to_day():
    first = [plan(date(2026, 11, 23) + timedelta(days=n))[0].film for n in range(4)]
    assert first == [LONG, SHORT, LONG, SHORT]


def test_a_day_on_which_the_clocks_change_keeps_its_local_opening():
    before, after = plan(date(2026, 10, 24)), plan(date(2026, 10, 25))
    assert before[0].starts_at.hour == 8
    assert after[0].starts_at.hour == 9
    night = plan_day(date(2026, 10, 25), BERLIN, opens=time(1, 30), last=time(3, 30), daytime=[SHORT], evening=[SHORT])
    assert [slot.starts_at.isoformat() for slot in night] == ["2026-10-24T23:30:00+00:00", "2026-10-25T01:30:00+00:00"]
    assert [f"{slot.starts_at.astimezone(BERLIN):%H:%M}" for slot in night] == ["01:30", "02:30"], "two hours apart"


def test_titles_are_sorted_without_their_article():
    titles = ["Amélie", "The Matrix", "A Space Odyssey", "2001: A Space Odyssey", "Them", "WALL·E", "Fast & Furious"]
    assert [sort_title(title) for title in titles] == [
        "amelie", "matrix", "space odyssey", "2001: a space odyssey", "them", "wall e", "fast and furious",
    ]  # fmt: skip
