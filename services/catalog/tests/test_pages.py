"""The pages that catalog renders: their content in two languages, and the responses that come with it."""

import json
import re

import pytest
from catalog import store
from catalog.api.pages import words

pytestmark = pytest.mark.usefixtures("loaded")
HOSTILE = """</script><script>alert(1)</script><!--# include virtual="/x" -->" onload="alert(1)"""


async def html(client, address, language="en"):
    answer = await client.get(f"/pages{address}", params={"language": language})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"].startswith("public, max-age=5")
    return answer.text


def given(page):
    (text,) = re.findall(r'<script type="application/json" id="given">(.*?)</script>', page)
    return json.loads(text)


@pytest.fixture
async def showtime(client):
    listed = await client.get("/api/movies/the-matrix-1999/showtimes", params={"days": 14, "limit": 20})
    return listed.json()["items"][0]["days"][0]["showtimes"][0]


@pytest.mark.parametrize(("language", "title"), [("en", "Now showing"), ("de", "Jetzt im Kino")])
async def test_the_films(client, language, title):
    page = await html(client, "/", language)
    films = (await client.get("/api/movies", params={"status": "now_showing", "limit": 100})).json()
    assert f"<h1>{title}</h1>" in page
    assert len(re.findall(r'<a href="/movies/', page)) == min(12, len(films["items"]))
    assert given(page)["films"] == films


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", [r"2 h 16 min", r"English", r"from [£€]\d", r"Plenty of seats", "Showtimes"]),
        ("de", [r"2 h 16 min", r"Englisch", r"ab \d", r"Viele Plätze frei", "Vorstellungen"]),
    ],
)
async def test_a_film(client, language, texts):
    page = await html(client, "/movies/the-matrix-1999", language)
    film = (await client.get("/api/movies/the-matrix-1999")).json()
    listed = await client.get("/api/movies/the-matrix-1999/showtimes", params={"days": 14, "limit": 20})
    assert "<title>The Matrix · Usher</title>" in page
    assert '<meta property="og:title" content="The Matrix">' in page
    assert film["synopsis"][:60] in re.findall(r'og:description" content="(.*?)"', page)[0]
    assert [text for text in texts if not re.search(text, page)] == []
    days = [day for theater in listed.json()["items"] for day in theater["days"]]
    first = min(day["local_date"] for day in days)
    shown = {each["id"] for day in days if day["local_date"] == first for each in day["showtimes"]}
    assert set(re.findall(r'href="/showtimes/(.*?)"', page)) == shown
    assert (given(page)["film"], given(page)["showtimes"]) == (film, listed.json())


async def test_a_theater(client):
    page = await html(client, "/theaters/kanal-berlin")
    responses = given(page)
    assert "<h1 " in page
    assert responses["theater"] == (await client.get("/api/theaters/kanal-berlin")).json()
    there = await client.get("/api/movies", params={"theater_id": "kanal-berlin", "limit": 100})
    assert responses["films_there"] == there.json()
    first = await client.get("/api/showtimes", params={"theater_id": "kanal-berlin", "limit": 100})
    assert responses["showtimes_there"][:100] == first.json()["items"]
    more = first.json()["next_cursor"]
    assert (len(responses["showtimes_there"]) > 100) == bool(more)
    day = min(each["local_date"] for each in responses["showtimes_there"])
    of_day = [each for each in responses["showtimes_there"] if each["local_date"] == day]
    assert sorted(re.findall(r'href="/showtimes/(.*?)"', page)) == sorted(each["id"] for each in of_day)


async def test_the_theaters_and_a_showtime(client, showtime):
    page = await html(client, "/theaters", "de")
    assert given(page)["theaters"] == (await client.get("/api/theaters", params={"limit": 100})).json()
    assert '<h1 class="mb-4">Kinos</h1>' in page
    page = await html(client, f"/showtimes/{showtime['id']}")
    assert given(page)["showtime"] == (await client.get(f"/api/showtimes/{showtime['id']}")).json()
    assert "The Matrix</h1>" in page


@pytest.mark.parametrize("address", ["/movies/nothing", "/theaters/nothing", "/showtimes/nothing"])
async def test_what_does_not_exist_is_missing(client, address):
    assert (await client.get(f"/pages{address}")).status_code == 404


async def test_a_page_in_another_language_is_refused(client):
    assert (await client.get("/pages/", params={"language": "fr"})).status_code == 422


async def test_text_cannot_leave_its_place(client):
    matrix = (await store.live_movie("the-matrix-1999")).model_dump(by_alias=True)
    hostile = {"_id": "hostile", "title": HOSTILE[:100], "synopsis": HOSTILE, "certificate": "<b>", "external_ids": {}}
    assert await store.publish_movie(store.Movie.model_validate(matrix | hostile))
    page = await html(client, "/movies/hostile")
    assert "alert(1)</script>" not in page.replace("&lt;", "")
    assert '<!--# include virtual="/x"' not in page
    assert 'onload="' not in page
    assert given(page)["film"]["synopsis"] == HOSTILE


@pytest.mark.parametrize(
    ("minutes", "text"), [(None, ""), (59, "59 min"), (60, "1 h"), (61, "1 h 1 min"), (120, "2 h")]
)
def test_a_duration(minutes, text):
    assert words.duration(minutes) == text


def test_each_language_has_each_text():
    assert words.TEXTS["en"].keys() == words.TEXTS["de"].keys()
