"""The endpoints on real servers."""

from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
from catalog import store
from catalog.store import Movie
from chassis.clock import now
from chassis.http.paging import encode_cursor

pytestmark = pytest.mark.usefixtures("loaded")
GODFATHER = "/api/movies/the-godfather-1972"
SHAPES = {
    "svg", "title", "g", "rect", "circle", "ellipse", "polygon", "path", "text", "clipPath", "linearGradient", "stop",
}  # fmt: skip


async def walk(client, path, **params):
    items, cursor = [], None
    while True:
        answer = await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if not (cursor := page["next_cursor"]):
            return items
        assert len(page["items"]) == params["limit"]


@pytest.mark.parametrize(
    ("path", "limit", "key"),
    [
        ("/api/movies", 5, lambda movie: movie["id"]),
        ("/api/movies", 24, lambda movie: movie["id"]),
        ("/api/theaters", 1, lambda theater: theater["name"]),
        ("/api/showtimes", 17, lambda showtime: (showtime["starts_at"], showtime["id"])),
    ],
)
async def test_pages_contain_everything_once(client, path, limit, key):
    kind = {"/api/movies": Movie, "/api/theaters": store.Theater, "/api/showtimes": store.Showtime}[path]
    items = await walk(client, path, limit=limit)
    ids = [item["id"] for item in items]
    assert len(ids) == len(set(ids)) == await kind.find_all().count()
    if path != "/api/movies":
        assert [key(item) for item in items] == sorted(key(item) for item in items)


async def an_old_film():
    return {
        **(await store.live_movie("alien-1979")).model_dump(by_alias=True),
        "_id": "old",
        "title": "<Old> & “odd”",
        "showing_until": None,
        "art": None,
    }


async def test_a_movie_has_a_page(client):
    movie = (await client.get(GODFATHER)).json()
    assert (movie["title"], movie["year"], movie["directors"]) == ("The Godfather", 1972, ["Francis Ford Coppola"])
    assert "Al Pacino" in movie["cast"]
    assert datetime.fromisoformat(movie["showing_until"]) > now()
    assert not {"version", "outbox", "words", "sort_title"} & set(movie)


async def test_pictures_are_svg_and_harmless(client):
    await store.publish_movie(Movie.model_validate(await an_old_film()))
    try:
        for movie in [*(await client.get("/api/movies?limit=100")).json()["items"]]:
            for url in (movie["poster_url"], movie["backdrop_url"]):
                picture = await client.get(url)
                assert picture.headers["content-type"].startswith("image/svg+xml")
                assert "max-age=86400" in picture.headers["cache-control"]
                root = ElementTree.fromstring(picture.text)  # noqa: S314 - what we have drawn ourselves
                assert {element.tag.rpartition("}")[2] for element in root.iter()} <= SHAPES
                assert movie["title"] in (root.findtext("{http://www.w3.org/2000/svg}title") or "")
                assert len(picture.content) < 200_000
            assert picture.content == (await client.get(url)).content, "the same film, the same picture"
    finally:
        await Movie.get_pymongo_collection().delete_one({"_id": "old"})


async def test_responses_can_be_cached_and_revalidated(client):
    first = await client.get(GODFATHER)
    assert first.headers["cache-control"] == "public, max-age=5, stale-while-revalidate=10"
    etag = first.headers["etag"]
    again = await client.get(GODFATHER, headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await client.get(GODFATHER, headers={"If-None-Match": '"other"'})).status_code == 200
    missing = await client.get("/api/movies/none")
    assert "etag" not in missing.headers


async def test_genres_are_listed(client):
    genres = (await client.get("/api/genres")).json()
    assert {"code": "science-fiction", "name": "Science fiction"} in genres
    assert genres == sorted(genres, key=lambda genre: genre["code"])


async def test_a_theater_has_its_auditoriums_and_an_auditorium_its_seats(client):
    theaters = (await client.get("/api/theaters")).json()["items"]
    assert {theater["address"]["city"]: len(theater["auditoriums"]) for theater in theaters} == {
        "Berlin": 3, "Wien": 2, "London": 2,
    }  # fmt: skip
    for theater in theaters:
        assert theater == (await client.get(f"/api/theaters/{theater['id']}")).json()
    room = (await client.get("/api/auditoriums/berlin-1")).json()
    assert room["capacity"] == len(room["layout"]["seats"]) == 430
    assert room["layout"]["seats"][0] == {
        "seat_id": "A1", "row": "A", "number": 1, "category": "standard", "x": 8.0, "y": 0.0,
        "area": None, "suffix": None, "pair": None,
    }  # fmt: skip


async def test_showtimes_are_filtered_by_film_theater_and_time(client):
    everything = await walk(client, "/api/showtimes", limit=100)
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)
    chosen = {
        "movie_id": "wall-e-2008",
        "theater_id": "kanal-berlin",
        "from": midnight.isoformat(),
        "to": (midnight + timedelta(days=2)).isoformat(),
    }
    found = await walk(client, "/api/showtimes", limit=2, **chosen)
    expected = [
        showtime
        for showtime in everything
        if (showtime["movie_id"], showtime["theater_id"]) == ("wall-e-2008", "kanal-berlin")
        and midnight <= datetime.fromisoformat(showtime["starts_at"]) < midnight + timedelta(days=2)
    ]
    assert found == expected != []


async def test_a_showtime_has_all_its_prices(client):
    card = (await client.get("/api/showtimes?theater_id=riesenrad-vienna&limit=1")).json()["items"][0]
    assert "prices" not in card
    showtime = (await client.get(f"/api/showtimes/{card['id']}")).json()
    assert {name: showtime[name] for name in card} == card
    adult = [price["amount"] for price in showtime["prices"] if price["ticket_type"] == "adult"]
    assert showtime["price_from"]["amount"] in adult
    assert showtime["price_from"]["currency"] == showtime["currency"] == "EUR"


BAD = [
    ("/api/movies?cursor=!!!", 422, "cursor_invalid"),
    ("/api/movies?cursor=%ff%00", 422, "cursor_invalid"),
    ("/api/movies?cursor=" + encode_cursor("title"), 422, "cursor_invalid"),
    ("/api/movies?cursor=" + encode_cursor("title", 7), 422, "cursor_invalid"),
    ("/api/movies?cursor=" + encode_cursor("title", "not an id"), 422, "cursor_invalid"),
    ("/api/movies?cursor=" + encode_cursor("\ud800", "id"), 422, "cursor_invalid"),
    ("/api/showtimes?cursor=" + encode_cursor("yesterday", "id"), 422, "cursor_invalid"),
    ("/api/showtimes?cursor=" + encode_cursor("2026-11-21T10:00:00", "id"), 422, "cursor_invalid"),
    ("/api/showtimes?cursor=" + encode_cursor("9999-12-31T23:59:59-14:00", "id"), 422, "cursor_invalid"),
    ("/api/movies?cursor=" + "A" * 4001, 422, "invalid_request"),
    ("/api/movies?limit=0", 422, "invalid_request"),
    ("/api/movies?limit=101", 422, "invalid_request"),
    ("/api/movies?limit=many", 422, "invalid_request"),
    ("/api/movies?q=" + "x" * 101, 422, "invalid_request"),
    ("/api/movies?genre=Film%20Noir", 422, "invalid_request"),
    ("/api/movies?status=perhaps", 422, "invalid_request"),
    ("/api/movies?sort=price", 422, "invalid_request"),
    ("/api/movies?daypart=noon", 422, "invalid_request"),
    ("/api/movies?date=tomorrow", 422, "invalid_request"),
    ("/api/movies?city=", 422, "invalid_request"),
    ("/api/movies?city=" + "x" * 101, 422, "invalid_request"),
    ("/api/movies?format=%24gt", 422, "invalid_request"),
    ("/api/movies?language=German", 422, "invalid_request"),
    ("/api/movies?certificate=" + "9" * 21, 422, "invalid_request"),
    ("/api/movies?near=52.5", 422, "invalid_request"),
    ("/api/movies?near=99.5,13.4", 422, "invalid_request"),
    ("/api/movies?near=52.5,13.4&within_km=0", 422, "invalid_request"),
    ("/api/movies?sort=rating&cursor=" + encode_cursor("title", "id"), 422, "cursor_invalid"),
    ("/api/movies?sort=rating&cursor=" + encode_cursor(float("nan"), "id"), 422, "cursor_invalid"),
    ("/api/theaters?city=", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?days=0", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?days=15", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?limit=21", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?near=here", 422, "invalid_request"),
    ("/api/movies/none", 404, "not_found"),
    ("/api/movies/none/poster.svg", 404, "not_found"),
    ("/api/movies/none/backdrop.svg", 404, "not_found"),
    ("/api/movies/none/showtimes", 404, "not_found"),
    ("/api/movies/%24where", 422, "invalid_request"),
    ("/api/movies/" + "x" * 65, 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?date=2026-02-30", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?date=9999-12-31", 422, "invalid_request"),
    ("/api/movies/alien-1979/showtimes?theater_id=a.b", 422, "invalid_request"),
    ("/api/theaters/none", 404, "not_found"),
    ("/api/auditoriums/none", 404, "not_found"),
    ("/api/showtimes/none", 404, "not_found"),
    ("/api/showtimes?from=2026-11-21T10:00:00", 422, "invalid_request"),
    ("/api/showtimes?to=9999-12-31T23:59:59-14:00", 422, "invalid_request"),
    ("/api/showtimes?movie_id=%00", 422, "invalid_request"),
    ("/api/nothing", 404, "not_found"),
]


@pytest.mark.parametrize(("path", "status", "code"), BAD)
async def test_bad_input_gets_a_problem(client, path, status, code):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
