"""The demo's films, auditoriums and showtimes; a repeated load adds nothing."""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from catalog import demo, store
from catalog.model import CLEANING, parse_layout
from catalog.model.problems import ShowtimesClash
from catalog.model.reviews import byline
from chassis.mongo.outbox import Aggregate
from chassis.testing import until
from contracts.catalog import MoviePublished, SeatLayoutPublished, ShowtimeScheduled

AGGREGATES = [kind for kind in store.DOCUMENTS if issubclass(kind, Aggregate)]
pytestmark = pytest.mark.usefixtures("client")


def rooms():
    return demo.read_rooms(demo.read_movies())


def test_there_are_24_films_of_many_decades_and_genres():
    movies = demo.read_movies()
    assert len(movies) == len({movie.id for movie in movies}) == len({movie.title for movie in movies}) == 24
    assert len({str(movie.year)[:3] for movie in movies}) >= 9
    assert len({genre for movie in movies for genre in movie.genres}) >= 12
    assert len({movie.original_language for movie in movies}) >= 6
    for movie in movies:
        assert movie.id.endswith(str(movie.year))
        assert len(movie.cast) >= 5
        assert len(set(movie.cast)) == len(movie.cast)
        assert 150 < len(movie.synopsis) < 600
        assert movie.certificate in {"U", "PG", "12A", "15", "18"}
    assert len({movie.art and movie.art.motif for movie in movies}) == 24, "no two posters look alike"


def test_there_are_three_theaters_with_seven_rooms_from_60_to_430_seats():
    assert len({room.theater.id for room in rooms()}) == 3
    assert len({room.theater.address.city for room in rooms()}) == 3
    assert sorted(room.auditorium.capacity for room in rooms()) == [60, 88, 124, 180, 246, 329, 430]
    assert {category for room in rooms() for category in room.auditorium.categories} == {
        "standard", "vip", "recliner", "love_seat", "wheelchair", "companion",
    }  # fmt: skip


def test_each_layout_is_valid_and_each_wheelchair_space_has_a_companion_seat():
    for room in rooms():
        seats = {(seat.x, seat.y): seat for seat in parse_layout(room.layout.text).seats}
        assert len(seats) == room.auditorium.capacity == len({seat.seat_id for seat in room.layout.seats})
        places = [at for at, seat in seats.items() if seat.category == "wheelchair"]
        assert places
        for x, y in places:
            beside = [seats.get((x - 1, y)), seats.get((x + 1, y))]
            assert any(seat and seat.category == "companion" for seat in beside), room.auditorium.id


def test_people_have_reviewed_most_films_once_each():
    reviews = demo.read_reviews()
    assert len({(review.movie_id, review.user_id) for review in reviews}) == len(reviews) >= 35
    films = {movie.id for movie in demo.read_movies()}
    assert {review.movie_id for review in reviews} < films
    assert len({review.movie_id for review in reviews}) >= 20
    for review in reviews:
        assert review.byline == byline(review.byline), "shortened like all names"
        assert review.written_at < datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_whenever_it_is_loaded_seats_are_on_sale_for_a_week(hour):
    moment = datetime(2026, 10, 21, hour, 40, tzinfo=UTC)  # a week in which the clocks change
    week = [showtime for room in rooms() for showtime in demo.plan(room, moment)]
    assert 180 <= len(week) <= 250
    assert all(showtime.sales_open_at <= moment < moment + demo.LEAD <= showtime.starts_at for showtime in week)
    soon = [showtime for showtime in week if showtime.starts_at < moment + timedelta(hours=16)]
    assert len(soon) >= 7
    days = {(showtime.auditorium_id, showtime.local_date) for showtime in week}
    assert len(days) >= 6 * 7
    assert {showtime.price_from > 0 for showtime in week} == {True}


def test_a_week_shows_all_but_three_films_without_overlaps_four_or_five_a_day():
    week = {room.auditorium.id: demo.plan(room, datetime(2026, 11, 22, 3, tzinfo=UTC)) for room in rooms()}
    assert len({showtime.movie_id for showtimes in week.values() for showtime in showtimes}) == 24 - 3
    for showtimes in week.values():
        assert set(Counter(showtime.local_date for showtime in showtimes).values()) <= {4, 5, 6}
        for one, after in pairwise(showtimes):
            assert one.ends_at + CLEANING <= after.starts_at
            assert (one.movie_id, one.local_date) != (after.movie_id, after.local_date)
        for showtime in showtimes:
            assert showtime.starts_at.astimezone(ZoneInfo(showtime.time_zone)).minute % 15 == 0


def test_a_companion_goes_free_and_everybody_else_pays():
    for room in rooms():
        prices = demo.plan(room, datetime(2026, 11, 22, 3, tzinfo=UTC))[0].prices
        free = {(price.category, price.ticket_type) for price in prices if price.amount == 0}
        assert free == {("companion", "companion")}
        assert {price.category for price in prices} == set(room.auditorium.categories)


async def nothing_waits() -> bool:
    kinds = [kind.get_pymongo_collection().count_documents({"outbox.0": {"$exists": True}}) for kind in AGGREGATES]
    return sum(await asyncio.gather(*kinds)) == 0


async def test_loading_again_adds_nothing_and_each_event_is_published_once(loaded, bus):
    assert loaded["genre"] == len({genre for movie in demo.read_movies() for genre in movie.genres})
    assert (loaded["movie"], loaded["theater"], loaded["seatlayout"], loaded["auditorium"]) == (24, 3, 7, 7)
    night = datetime(2027, 3, 25, 1, tzinfo=UTC)  # before a week in which the clocks change
    assert (await demo.load(night))["showtime"] >= 180
    for hours in (0, 5, 20):
        assert set((await demo.load(night + timedelta(hours=hours))).values()) == {0}, "the day's plan is the same"
    known = {showtime.id for showtime in await store.Showtime.find_all().to_list()}
    assert 28 <= (await demo.load(night + timedelta(days=1)))["showtime"] <= 42
    new = [showtime for showtime in await store.Showtime.find_all().to_list() if showtime.id not in known]
    assert {showtime.local_date for showtime in new} == {"2027-04-01"}, "only the new seventh day"
    await until(nothing_waits)
    layouts, films = {room.layout.id for room in rooms()}, {movie.id for movie in demo.read_movies()}
    showtimes = {showtime.id for showtime in await store.Showtime.find_all().to_list()}
    for event, ids in [(MoviePublished, films), (SeatLayoutPublished, layouts), (ShowtimeScheduled, showtimes)]:
        # On a busy machine the sweeper may publish an event again; its id shows that.
        said = {(each.id, each.subject) for each in bus.envelopes(event) if each.subject in ids}
        assert Counter(subject for _, subject in said) == dict.fromkeys(ids, 1), event.type


async def test_a_showtimes_event_has_everything_that_sales_need(loaded, bus):
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.auditorium_id == "london-1")
    showtime = await store.Showtime.get(event.showtime_id)
    assert showtime is not None
    assert event.prices == showtime.prices
    assert (event.currency, event.time_zone, event.layout_id) == ("GBP", "Europe/London", showtime.layout_id)
    layout = await bus.wait_for(SeatLayoutPublished, lambda e: e.layout_id == event.layout_id)
    assert len(layout.seats) == 329
    assert {seat.category for seat in layout.seats} == {price.category for price in event.prices}


async def test_films_have_the_ratings_of_their_reviews(loaded, client):
    stars = defaultdict[str, list[int]](list)
    for review in demo.read_reviews():
        stars[review.movie_id].append(review.stars)
    assert loaded["review"] == sum(map(len, stars.values()))

    async def are_counted() -> bool:
        rated = await store.Movie.find({"rating.count": {"$gt": 0}}).to_list()
        return {movie.id: movie.rating.total for movie in rated} == {each: sum(given) for each, given in stars.items()}

    await until(are_counted)
    shown = (await client.get("/api/movies/psycho-1960/reviews")).json()["items"]
    assert [review["byline"] for review in shown] == ["Jonas W.", "Tom B."], "the newest first"


async def test_a_film_is_showing_until_its_last_start(loaded):
    for movie in await store.Movie.find_all().to_list():
        last = await store.Showtime.find(store.Showtime.movie_id == movie.id).sort("-starts_at").first_or_none()
        assert movie.showing_until == (last and last.starts_at)


async def test_a_taken_slot_is_refused(loaded):
    showtime = await store.Showtime.find_all().first_or_none()
    assert showtime is not None
    with pytest.raises(ShowtimesClash):
        await store.schedule(showtime.model_copy(update={"id": "another"}))


async def test_the_command_publishes_everything_before_it_ends(service_env, bus):
    environment = os.environ | {"MONGO_DATABASE": "usher_catalog_command"}
    before = len(bus.envelopes(ShowtimeScheduled))
    for run in range(2):
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "catalog.demo", env=environment)
        assert await process.wait() == 0
        if run == 0:
            await until(lambda: said_more_than(bus, before))
    database = store.Movie.get_pymongo_collection().database.client["usher_catalog_command"]
    count = await database.showtimes.count_documents({})
    assert await database.showtimes.count_documents({"outbox.0": {"$exists": True}}) == 0
    assert len(bus.envelopes(ShowtimeScheduled)) - before == count


async def said_more_than(bus, count) -> bool:
    return len(bus.envelopes(ShowtimeScheduled)) >= count + 180
