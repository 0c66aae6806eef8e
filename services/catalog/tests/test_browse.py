"""Browsing: words with typos, filters, sort orders, and a film's showtimes by place and day."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from catalog import store
from catalog.store import Movie
from chassis.clock import now
from chassis.testing import until
from contracts.inventory import SeatMapUpdated

pytestmark = pytest.mark.usefixtures("loaded")
VIENNA, BERLIN = "48.2,16.37", "52.5,13.4"


async def walk(client, path, **params):
    items, cursor = [], None
    while True:
        answer = await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if not (cursor := answer.json()["next_cursor"]):
            return items


@pytest.fixture
def ids(client):
    """Return the films that a query finds, in order."""

    async def ask(limit=100, **params):
        return [movie["id"] for movie in await walk(client, "/api/movies", limit=limit, **params)]

    return ask


async def film(**fields):
    alien = (await store.live_movie("alien-1979")).model_dump(by_alias=True)
    made = Movie.model_validate(alien | {"external_ids": {}, "showing_until": None} | fields)
    assert await store.publish_movie(made)


@pytest.fixture
async def some_films():
    """Films of every status, and one with a very long title."""
    week = timedelta(days=7)
    films = {
        "s-released": {"release_date": "1999-01-01"},
        "s-announced": {"release_date": None},
        "s-next-week": {"release_date": (now() + week).date().isoformat()},
        "s-next-week-on-sale": {"release_date": (now() + week).date().isoformat(), "showing_until": now() + week},
        "s-on": {"release_date": "1999-01-01", "showing_until": now() + week},
        "s-on-undated": {"release_date": None, "showing_until": now() + week},
        "s-over": {"release_date": "1999-01-01", "showing_until": now() - week},
        "s-over-undated": {"release_date": None, "showing_until": now() - week},
        "s-archived": {"archived": True, "showing_until": now() + week},
        "s-long": {"title": "千" * 200},
    }
    for movie_id, fields in films.items():
        await film(_id=movie_id, **{"title": movie_id} | fields)
    yield list(films)
    await Movie.get_pymongo_collection().delete_many({"_id": {"$in": list(films)}})


FOUND = {
    "godf": ["the-godfather-1972"],
    "AMÉL": ["amelie-2001"],
    "wachow keanu": ["the-matrix-1999"],
    "千と千尋の": ["spirited-away-2001"],
    "film noir": ["the-third-man-1949"],
    "godfahter": ["the-godfather-1972"],
    "gdofather": ["the-godfather-1972"],
    "godfahter pacino": ["the-godfather-1972"],
    "the godfahter": ["the-godfather-1972"],
    "casablnca": ["casablanca-1942"],
    "metrpolis": ["metropolis-1927"],
    "spirted aw": ["spirited-away-2001"],
    "matirx": ["the-matrix-1999"],
    "alein": ["alien-1979", "metropolis-1927"],  # Rudolf Klein-Rogge comes after the title
    "zither": [],
    "xqzwv": [],
    "godfather metropolis": [],
}


@pytest.mark.parametrize("typed", FOUND)
async def test_films_are_found_by_prefixes_and_despite_typos(ids, typed):
    assert await ids(q=typed) == FOUND[typed]


async def test_a_title_is_found_from_its_second_letter_on(ids):
    for title, movie_id in {"the godfather": "the-godfather-1972", "casablanca": "casablanca-1942"}.items():
        for typed in range(title.count("the ") * 4 + 2, len(title) + 1):
            assert movie_id in (await ids(q=title[:typed]))[:2], title[:typed]
    assert await ids(q="m") == [each for each in await ids() if each.removeprefix("the-").startswith("m")]


AS_TYPED = {
    "Spider-Man: No Way Home": ["spiderman", "Spider Man", "spider-man", "SPIDERMAN no", "spidermannoway", "spidermna"],
    "Mœbius & Ødegaard": ["moebius", "odegaard", "oedegaard", "moebius and odegaard", "moebius&oe"],
    "Die Weiße Täterin": ["weisse", "WEIẞE taterin", "taeterin", "die weisse taeterin", "weisseta"],
    "Superzug": ["super zug"],
    "Łódź, Đorđe i ısık": ["lodz", "łódź", "LODZ", "dorde isik"],
    "Весёлые ребята й": ["веселые", "весёлые", "ВЕСЕЛЫЕ РЕБЯТА"],
    "Ο Μεγάλος Ερωτικός": ["μεγαλος", "ΕΡΩΤΙΚΟΣ", "ερωτικος"],
    "שָׁלוֹם לך": ["שלום"],
    "أحلام المدينة": ["احلام", "المدينه"],
    "किताब का पन्ना": ["किताब", "पन्ना"],
    "สุดเสน่หา": ["เสน่หา"],
    "もののけ姫": ["もののけ姫", "のけ姫", "ものの"],
    "헤어질 결심": ["헤어질결심", "결심"],
}


@pytest.mark.parametrize("title", AS_TYPED)
async def test_a_title_is_found_as_people_type_it(ids, title):
    await film(_id="s-typed", title=title, original_title=title, directors=["Conan O’Zzzrian"], cast=[], crew=[])
    try:
        found = {typed: await ids(q=typed) for typed in [*AS_TYPED[title], title, "ozzzrian"]}
        assert {typed: films[:1] for typed, films in found.items()} == {typed: ["s-typed"] for typed in found}
    finally:
        await Movie.get_pymongo_collection().delete_one({"_id": "s-typed"})


@pytest.mark.parametrize("typed", ["Zurück in die Zukunft", "zurueck in die zuk", "ZURUCK", "zurückindiezukunft"])
async def test_a_film_is_found_by_its_title_in_another_language(ids, typed):
    assert await ids(q=typed) == ["back-to-the-future-1985"]


async def test_titles_come_before_people(ids):
    await film(_id="s-lang", title="Lang lang ago")
    await film(_id="s-the-lang", title="So Lang")
    try:
        assert (await ids(q="lang"))[:3] == ["s-lang", "s-the-lang", "metropolis-1927"]
        assert await ids(q="lang", limit=1) == await ids(q="lang"), "page by page too"
    finally:
        await Movie.get_pymongo_collection().delete_many({"_id": {"$in": ["s-lang", "s-the-lang"]}})


async def test_a_query_without_letters_matches_everything(ids):
    assert await ids(q=".*") == await ids(q="  ") == await ids()
    assert await ids(q="$where {") == []


async def test_a_word_that_no_film_has_any_more_is_treated_as_a_typo(ids):
    await film(_id="s-gone", title="Metropolix", cast=[], directors=[])
    await Movie.get_pymongo_collection().delete_one({"_id": "s-gone"})
    await film(_id="s-gone", title="Nothing", cast=[], directors=[])
    try:
        assert await ids(q="metropolib") == ["metropolis-1927"]
    finally:
        await Movie.get_pymongo_collection().delete_one({"_id": "s-gone"})


SHOWINGS = [
    {"city": "Berlin"},
    {"city": "berlin"},
    {"city": "Wien", "daypart": "evening"},
    {"theater_id": "lantern-london"},
    {"theater_id": "lantern-london", "city": "Berlin"},
    {"format": "IMAX"},
    {"format": "2D", "language": "en"},
    {"language": "ja"},
    {"daypart": "morning"},
    {"days": 2},
    {"days": 2, "city": "London", "daypart": "afternoon", "language": "en"},
]


@pytest.mark.parametrize("asked", SHOWINGS, ids=str)
async def test_films_are_filtered_by_place_and_time_of_their_showtimes(ids, asked):
    asked = dict(asked)
    if days := asked.pop("days", None):
        asked["date"] = (now() + timedelta(days=days)).date().isoformat()
    everything = await store.Showtime.get_pymongo_collection().find({"starts_at": {"$gt": now()}}).to_list()
    fitting = {
        showtime["movie_id"]
        for showtime in everything
        if all(showtime["local_date" if name == "date" else name] == value for name, value in asked.items())
    }
    assert set(await ids(**asked)) == fitting
    assert await ids(**asked, limit=3) == await ids(**asked)
    titled = await ids(**asked, status="now_showing", q="the")
    assert set(titled) <= fitting


async def test_films_near_a_place(client, ids):
    in_vienna = await ids(city="Wien")
    assert await ids(near=VIENNA) == in_vienna != []
    assert await ids(near=VIENNA, within_km=1000, language="xx") == []
    assert set(await ids(near=VIENNA, within_km=1000)) == set(in_vienna) | set(await ids(city="Berlin"))
    assert await ids(near="0,0") == []
    berlin = (await client.get("/api/theaters?city=Berlin")).json()["items"]
    assert [theater["address"]["city"] for theater in berlin] == ["Berlin"]
    assert (await client.get("/api/theaters?city=Atlantis")).json()["items"] == []


async def test_films_are_filtered_by_genre_and_certificate(client, ids):
    films = await walk(client, "/api/movies", limit=100)
    for genre, certificate in (("drama", None), (None, "PG"), ("drama", "PG"), ("western", None)):
        asked = {name: value for name, value in (("genre", genre), ("certificate", certificate)) if value}
        assert await ids(**asked) == [
            each["id"]
            for each in films
            if (not genre or genre in each["genres"]) and (not certificate or each["certificate"] == certificate)
        ]


@pytest.mark.parametrize("status", ["coming_soon", "now_showing", "archived"])
async def test_the_list_of_a_status_has_exactly_the_films_with_this_status(client, some_films, status):
    films = await walk(client, "/api/movies", limit=100)
    assert set(some_films) <= {each["id"] for each in films}
    found = await walk(client, "/api/movies", limit=7, status=status)
    assert [each["id"] for each in found] == [each["id"] for each in films if each["status"] == status] != []


KEYS = {
    "newest": lambda each: each["release_date"] or str(each["year"]),
    "rating": lambda each: each["rating"]["average"] or 0,
}


@pytest.mark.usefixtures("some_films")
@pytest.mark.parametrize("sort", ["title", "newest", "rating"])
@pytest.mark.parametrize(
    "asked", [{}, {"genre": "drama"}, {"q": "al"}, {"status": "now_showing", "city": "Wien"}], ids=str
)
async def test_every_sort_order_pages_over_everything_once(client, sort, asked):
    whole = await walk(client, "/api/movies", limit=100, sort=sort, **asked)
    pages = await walk(client, "/api/movies", limit=2, sort=sort, **asked)
    assert pages == whole != []
    assert len({each["id"] for each in pages}) == len(pages)
    assert {each["id"] for each in pages} == {each["id"] for each in await walk(client, "/api/movies", **asked)}
    if sort != "title":
        assert all(KEYS[sort](one) >= KEYS[sort](next_one) for one, next_one in pairwise(pages))


class TestShowtimesOfAFilm:
    path = "/api/movies/amelie-2001/showtimes"

    async def showtimes(self, client, **params):
        return await walk(client, self.path, **params)

    async def test_are_grouped_by_theater_and_its_own_days(self, client):
        found = await self.showtimes(client, days=14)
        everything = await walk(client, "/api/showtimes", limit=100, movie_id="amelie-2001")
        expected = defaultdict(lambda: defaultdict(list))
        for showtime in everything:
            expected[showtime["theater_id"]][showtime["local_date"]].append(showtime["id"])
        grouped = {
            theater["id"]: {day["local_date"]: [each["id"] for each in day["showtimes"]] for day in theater["days"]}
            for theater in found
        }
        assert grouped == expected != {}
        assert [theater["name"] for theater in found] == sorted(theater["name"] for theater in found)
        for theater in found:
            starts = [each["starts_at"] for day in theater["days"] for each in day["showtimes"]]
            assert starts == sorted(starts)
        assert await self.showtimes(client, days=14, limit=1) == found

    async def test_of_a_day_and_with_every_filter(self, client):
        day = (now() + timedelta(days=2)).date().isoformat()
        found = await self.showtimes(client, date=day)
        assert {each["local_date"] for theater in found for each in theater["days"]} == {day}
        [theater] = await self.showtimes(client, date=day, theater_id=found[0]["id"])
        assert theater == found[0]
        for name in ("daypart", "format", "language"):
            value = found[0]["days"][0]["showtimes"][0][name]
            chosen = await self.showtimes(client, date=day, **{name: value})
            assert {each[name] for each in screenings(chosen)} == {value}
        assert {each["address"]["city"] for each in await self.showtimes(client, city="London")} <= {"London"}
        assert await self.showtimes(client, date="2199-01-01") == await self.showtimes(client, language="xx") == []

    async def test_few_days_are_few(self, client):
        latest = max(day["local_date"] for theater in await self.showtimes(client, days=1) for day in theater["days"])
        assert latest <= (now() + timedelta(days=1)).date().isoformat()
        begun = [each for each in screenings(await self.showtimes(client)) if instant(each) < now()]
        assert begun == []

    async def test_of_the_nearest_theater_come_first(self, client):
        found = await self.showtimes(client, near=BERLIN, within_km=1000)
        distances = [theater["distance_m"] for theater in found]
        assert distances == sorted(distances)
        assert found == await self.showtimes(client, near=BERLIN, within_km=1000, limit=1)
        assert {each["id"] for each in found} <= {each["id"] for each in await self.showtimes(client)}
        assert await self.showtimes(client, near="0,0") == []

    async def test_tell_how_full_they_are(self, client, bus):
        [showtime, *_] = screenings(await self.showtimes(client))
        assert showtime["availability"] == "plenty"
        capacity = (await store.published(showtime["id"])).capacity
        seats = [f"A{number}" for number in range(1, capacity * 6 // 10)]
        await bus.publish(SeatMapUpdated(showtime_id=showtime["id"], version=1, blocked=seats))

        async def filling():
            bands = {each["id"]: each["availability"] for each in screenings(await self.showtimes(client))}
            return bands[showtime["id"]] == "filling"

        await until(filling)
        assert (await client.get(f"/api/showtimes/{showtime['id']}")).json()["availability"] == "filling"
        listed = await walk(client, "/api/showtimes", limit=100, movie_id="amelie-2001")
        assert {each["id"]: each["availability"] for each in listed}[showtime["id"]] == "filling"
        await store.Occupancy.get_pymongo_collection().delete_one({"_id": showtime["id"]})

    async def test_of_a_film_without_any_are_none_and_of_no_film_not_found(self, client, some_films):
        assert await walk(client, f"/api/movies/{some_films[0]}/showtimes") == []
        assert (await client.get("/api/movies/none/showtimes")).status_code == 404


def screenings(by_theater):
    return [each for theater in by_theater for day in theater["days"] for each in day["showtimes"]]


def instant(showtime):
    return datetime.fromisoformat(showtime["starts_at"]).astimezone(UTC)
