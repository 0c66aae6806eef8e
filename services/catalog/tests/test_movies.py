"""Films, genres and pictures: changes by staff."""

import asyncio
from datetime import timedelta
from io import BytesIO

import pytest
from catalog import migrations, store
from catalog.store import Genre, Movie
from chassis.clock import now
from contracts.catalog import MovieChanged, MoviePublished
from PIL import Image

pytestmark = pytest.mark.usefixtures("loaded")
FILM = {
    "title": "Nosferatu",
    "original_title": "Nosferatu, eine Symphonie des Grauens",
    "release_date": "1922-03-04",
    "runtime_minutes": 94,
    "certificate": "PG",
    "genres": ["horror", "drama"],
    "original_language": "de",
    "languages": ["de"],
    "subtitles": ["en", "pt-BR"],
    "directors": ["F. W. Murnau"],
    "cast": ["Max Schreck", "Greta Schröder"],
    "crew": [{"name": "Albin Grau", "job": "Production design"}],
    "synopsis": "A clerk travels to a count.\n\nThe count travels back.",
    "trailer_url": "https://video.example/nosferatu",
    "external_ids": {"tmdb": "653", "imdb": "tt0013442"},
}


@pytest.fixture
def staff(signer):
    return signer.headers("editor", ["movies:write"])


@pytest.fixture
async def film(client, staff):
    answer = await client.post("/api/movies", json=FILM, headers=staff)
    assert answer.status_code == 201, answer.text
    yield answer.json()
    await Movie.get_pymongo_collection().delete_many({"title": {"$regex": "^Nosferatu"}})


async def test_a_film_is_added_with_all_its_fields(client, film, bus):
    assert film["id"] == "nosferatu-1922"
    assert {name: film[name] for name in FILM} == FILM
    assert (film["year"], film["rating"]) == (1922, {"average": None, "count": 0, "stars": [0] * 5})
    assert film == (await client.get(f"/api/movies/{film['id']}")).json()
    said = await bus.wait_for(MoviePublished, lambda event: event.movie_id == film["id"])
    assert (said.title, said.runtime_minutes, said.certificate) == ("Nosferatu", 94, "PG")
    found = (await client.get("/api/movies?q=grau nosf")).json()["items"]
    assert [each["id"] for each in found] == [film["id"]]


async def test_a_film_with_a_language_that_is_no_longer_accepted_is_shown(client, film):
    await Movie.get_pymongo_collection().update_one({"_id": film["id"]}, {"$set": {"languages": ["en-12"]}})
    assert (await client.get(f"/api/movies/{film['id']}")).json()["languages"] == ["en-12"]
    assert (await store.live_movie(film["id"])).languages == ["en-12"]


async def test_the_same_film_is_not_added_twice(client, film, staff):
    again = await client.post("/api/movies", json=FILM, headers=staff)
    assert (again.status_code, again.json()["code"]) == (409, "movie_exists"), "its TMDB id is taken"
    namesake = await client.post("/api/movies", json=FILM | {"external_ids": {}}, headers=staff)
    assert namesake.status_code == 201
    assert namesake.json()["id"].startswith("nosferatu-1922-"), "another film with this title and year"
    named = await client.post("/api/movies", json=FILM | {"external_ids": {}, "id": film["id"]}, headers=staff)
    assert named.status_code == 409


async def test_of_many_concurrent_additions_of_a_film_one_succeeds(client, staff):
    answers = await asyncio.gather(
        *(client.post("/api/movies", json=FILM | {"id": "nosferatu"}, headers=staff) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    await Movie.get_pymongo_collection().delete_one({"_id": "nosferatu"})


async def test_fields_of_a_film_are_changed_and_published_if_others_store_them(client, film, staff, bus):
    path, before = f"/api/movies/{film['id']}", len(bus.envelopes(MovieChanged))
    changed = await client.patch(path, json={"synopsis": "Short.", "trailer_url": None}, headers=staff)
    assert changed.json() == film | {"synopsis": "Short.", "trailer_url": None}
    await client.patch(path, json={"title": "Nosferatu!", "certificate": "12A"}, headers=staff)
    said = await bus.wait_for(MovieChanged, lambda event: event.movie_id == film["id"])
    assert (said.title, said.certificate) == ("Nosferatu!", "12A")
    assert len(bus.envelopes(MovieChanged)) == before + 1, "no other service stores the synopsis"
    version = (await store.live_movie(film["id"])).version
    await client.patch(path, json={"title": "Nosferatu!"}, headers=staff)
    assert (await store.live_movie(film["id"])).version == version, "without a change there is no write"


async def test_two_editors_of_different_parts_do_not_undo_each_other(client, film, staff):
    path = f"/api/movies/{film['id']}"
    changes = [{"runtime_minutes": 90}, {"certificate": "15"}, {"cast": ["Max Schreck"]}, {"synopsis": "!"}]
    answers = await asyncio.gather(*(client.patch(path, json=change, headers=staff) for change in changes))
    assert {answer.status_code for answer in answers} == {200}
    after = (await client.get(path)).json()
    for change in changes:
        assert after.items() >= change.items()


BAD_FILMS = [
    ({"title": ""}, "title"),
    ({"title": "x" * 201}, "title"),
    ({"title": "two\nlines"}, "title"),
    ({"title": "bell\x07"}, "title"),
    ({"title": None}, "title"),
    ({"title": "Nosferatu\u202e"}, "title"),
    ({"original_title": "Nos\u200bferatu"}, "original_title"),
    ({"certificate": "P\u00adG"}, "certificate"),
    ({"cast": ["Max\u2066 Schreck"]}, "cast"),
    ({"crew": [{"name": "Albin\ufeff Grau", "job": "Design"}]}, "crew"),
    ({"runtime_minutes": 0}, "runtime_minutes"),
    ({"runtime_minutes": "long"}, "runtime_minutes"),
    ({"release_date": "1922-02-30"}, "release_date"),
    ({"release_date": "1800-01-01"}, "release_date"),
    ({"year": 99999}, "year"),
    ({"genres": ["Film Noir"]}, "genres"),
    ({"genres": ["drama"] * 11}, "genres"),
    ({"original_language": "German"}, "original_language"),
    ({"subtitles": ["en-12"]}, "subtitles"),
    ({"trailer_url": "http://video.example/"}, "trailer_url"),
    ({"trailer_url": "javascript:alert(1)"}, "trailer_url"),
    ({"external_ids": {"letterboxd": "1"}}, "external_ids"),
    ({"external_ids": {"imdb": "$where"}}, "external_ids"),
    ({"cast": ["x"] * 101}, "cast"),
    ({"synopsis": "x" * 5001}, "synopsis"),
    ({"tittle": "Nosferatu"}, "tittle"),
]


@pytest.mark.parametrize(("bad", "place"), BAD_FILMS)
async def test_an_invalid_film_is_refused_with_the_place(client, film, staff, bad, place):
    entered = await client.post("/api/movies", json=FILM | {"id": "nosferatu-2"} | bad, headers=staff)
    changed = await client.patch(f"/api/movies/{film['id']}", json=bad, headers=staff)
    for answer in (entered, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
        assert answer.json()["errors"][0]["loc"][:2] == ["body", place]
    assert (await client.get(f"/api/movies/{film['id']}")).json() == film


async def test_a_synopsis_is_stored_as_clean_text(client, film, staff):
    path, synopsis = f"/api/movies/{film['id']}", "A clerk\ttravels.\r\n\r\nThe count\u202e travels\rback.\x00"
    changed = await client.patch(path, json={"synopsis": synopsis}, headers=staff)
    assert changed.json()["synopsis"] == "A clerk travels.\n\nThe count travels\nback."


async def test_names_that_were_stored_before_are_cleaned_by_the_migration(client, film, staff):
    movies = Movie.get_pymongo_collection()
    hidden = {"title": "Nos\u200bferatu", "crew": [{"name": "\u202e", "job": "Design"}]}
    await movies.update_one({"_id": film["id"]}, {"$set": hidden})
    assert await migrations.clean_names(movies.database) == 1
    assert await migrations.clean_names(movies.database) == 0
    shown = (await client.get(f"/api/movies/{film['id']}")).json()
    assert shown == film | {"crew": [{"name": "?", "job": "Design"}]}


async def test_search_fields_that_were_stored_before_are_computed_again_by_the_migration(client, film, staff):
    movies, path = Movie.get_pymongo_collection(), f"/api/movies/{film['id']}"
    assert (
        await client.patch(path, json={"title": "Nosferatu: Spider-Man på Gøgel"}, headers=staff)
    ).status_code == 200
    fields = ("title", "sort_title", "words", "keys")
    now = await movies.find_one({"_id": film["id"]}, dict.fromkeys(fields, 1))
    old = {
        "$set": {"words": ["spider", "man", "pa", "gøgel"], "sort_title": "nosferatu: spider"},
        "$unset": {"keys": ""},
    }
    await movies.update_one({"_id": film["id"]}, old)
    await movies.database.words.delete_one({"_id": "spiderman"})
    assert await migrations.fold_search_words(movies.database) == 1
    assert await migrations.fold_search_words(movies.database) == 0
    assert await movies.find_one({"_id": film["id"]}, dict.fromkeys(fields, 1)) == now
    found = await client.get("/api/movies", params={"q": "spidermna gogel"})
    assert [movie["id"] for movie in found.json()["items"]] == [film["id"]]


async def test_an_unknown_genre_is_refused(client, film, staff):
    for answer in (
        await client.post("/api/movies", json=FILM | {"genres": ["drama", "telenovela"]}, headers=staff),
        await client.patch(f"/api/movies/{film['id']}", json={"genres": ["telenovela"]}, headers=staff),
    ):
        assert (answer.status_code, answer.json()["code"], answer.json()["genres"]) == (
            422, "genre_unknown", ["telenovela"],
        )  # fmt: skip


WRITES = [
    ("POST", "/api/movies", FILM),
    ("PATCH", "/api/movies/alien-1979", {"title": "Aliens"}),
    ("DELETE", "/api/movies/alien-1979", None),
    ("PUT", "/api/movies/alien-1979/poster", None),
    ("DELETE", "/api/movies/alien-1979/backdrop", None),
    ("PUT", "/api/genres/western", {"name": "Western"}),
    ("DELETE", "/api/genres/drama", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_writing_requires_the_permission(client, signer, method, path, body):
    nobody = await client.request(method, path, json=body)
    customer = await client.request(method, path, json=body, headers=signer.headers("someone", ["showtimes:write"]))
    assert (nobody.status_code, customer.status_code) == (401, 403)
    assert customer.json()["detail"] == "This requires the permission movies:write."


async def test_genres_are_added_renamed_and_removed_unless_a_film_has_them(client, film, staff):
    async def put(code, name):
        return await client.put(f"/api/genres/{code}", json={"name": name}, headers=staff)

    assert (await put("silent-film", "Silents")).json() == {"code": "silent-film", "name": "Silents"}
    assert (await put("silent-film", "Silent film")).status_code == 200
    assert {"code": "silent-film", "name": "Silent film"} in (await client.get("/api/genres")).json()
    await client.patch(f"/api/movies/{film['id']}", json={"genres": ["silent-film"]}, headers=staff)
    just_now = await client.delete("/api/genres/silent-film", headers=staff)
    assert (just_now.status_code, just_now.json()["code"]) == (409, "genre_in_use")
    await Genre.get_pymongo_collection().update_one({"_id": "silent-film"}, {"$set": {"named_at": None}})
    in_use = await client.delete("/api/genres/silent-film", headers=staff)
    assert (in_use.status_code, in_use.json()["detail"]) == (409, "Films have this genre: Nosferatu.")
    await client.patch(f"/api/movies/{film['id']}", json={"genres": ["horror"]}, headers=staff)
    assert (await client.delete("/api/genres/silent-film", headers=staff)).status_code == 204
    assert (await client.delete("/api/genres/silent-film", headers=staff)).status_code == 404
    assert (await put("Bad Code", "x")).status_code == 422
    assert (await put("western", "")).status_code == 422


async def test_no_film_is_left_with_a_genre_that_was_removed_at_the_same_time(client, film, staff):
    path = f"/api/movies/{film['id']}"
    for attempt in range(10):
        code = f"race-{attempt}"
        await store.name_genre(code, code)
        removed, changed = await asyncio.gather(
            client.delete(f"/api/genres/{code}", headers=staff),
            client.patch(path, json={"genres": [code]}, headers=staff),
        )
        assert (removed.status_code, changed.status_code) in {(204, 422), (409, 200), (409, 422)}
        left = await Genre.get_pymongo_collection().find_one({"_id": code, "retired": False})
        assert (left is not None) == (changed.status_code == 200) or removed.status_code == 409
        await Genre.get_pymongo_collection().delete_one({"_id": code})


def picture(width=800, height=1200, form="JPEG", **options):
    image = Image.linear_gradient("L").convert("RGB").resize((width, height))
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


UPLOADS = {"poster": ("JPEG", (600, 900)), "backdrop": ("PNG", (1600, 900))}


@pytest.mark.parametrize("kind", UPLOADS)
async def test_an_uploaded_picture_is_reencoded_and_can_be_cached_forever(client, film, staff, kind):
    form, size = UPLOADS[kind]
    path, typed = f"/api/movies/{film['id']}/{kind}", {"Content-Type": "image/any"}
    upload = await client.put(path, content=picture(1900, 1400, form), headers=staff | typed)
    assert upload.status_code == 204, upload.text
    url = (await client.get(f"/api/movies/{film['id']}")).json()[f"{kind}_url"]
    shown = await client.get(url)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert shown.headers["cache-control"] == "public, max-age=31536000, immutable"
    image = Image.open(BytesIO(shown.content))
    assert (image.format, image.size) == ("WEBP", size)
    assert (await client.get(url, headers={"If-None-Match": shown.headers["etag"]})).status_code == 304
    assert (await client.delete(f"/api/movies/{film['id']}/{kind}", headers=staff)).status_code == 204
    assert (await client.get(f"/api/movies/{film['id']}")).json()[f"{kind}_url"].endswith(".svg")
    assert (await client.get(url)).status_code == 200, "older pages may still show it"


async def test_a_pictures_metadata_is_removed(client, film, staff):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "taken at home", 6  # description; lying on its side
    upload = picture(1200, 800, exif=exif, comment=b"secret remark")
    assert b"taken at home" in upload
    await client.put(f"/api/movies/{film['id']}/poster", content=upload, headers=staff)
    shown = await client.get((await client.get(f"/api/movies/{film['id']}")).json()["poster_url"])
    assert b"taken at home" not in shown.content
    assert b"secret remark" not in shown.content
    row = Image.open(BytesIO(shown.content)).convert("L").crop((0, 450, 600, 451)).tobytes()
    assert abs(row[50] - row[550]) > 100, "it was rotated upright"


def bomb():
    """A PNG of a few bytes whose header claims 30,000 × 30,000 pixels."""
    image = bytearray(picture(64, 64, "PNG"))
    image[16:24] = (30_000).to_bytes(4, "big") * 2
    return bytes(image)


BAD_PICTURES = {
    "empty": lambda: b"",
    "text": lambda: b"<html>",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "gif": lambda: picture(800, 1200, "GIF"),
    "cut off": lambda: picture()[:5000],
    "small": lambda: picture(299, 449),
    "bomb": bomb,
    "many pixels": lambda: picture(8000, 5001, "PNG"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
async def test_a_file_that_is_not_a_picture_is_refused(client, film, staff, name):
    answer = await client.put(f"/api/movies/{film['id']}/poster", content=BAD_PICTURES[name](), headers=staff)
    assert (answer.status_code, answer.json()["code"]) == (422, "picture_invalid"), answer.text
    assert (await client.get(f"/api/movies/{film['id']}")).json()["poster_url"].endswith(".svg")


async def test_a_picture_larger_than_allowed_or_for_no_film_is_refused(client, film, staff):
    large = await client.put(f"/api/movies/{film['id']}/poster", content=b"x" * 8_500_000, headers=staff)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert (await client.put("/api/movies/none/poster", content=picture(), headers=staff)).status_code == 404
    assert (await client.put(f"/api/movies/{film['id']}/logo", content=picture(), headers=staff)).status_code in {
        404,
        422,
    }
    assert (await client.get(f"/api/movies/pictures/{'0' * 32}.webp")).status_code == 404
    assert (await client.get("/api/movies/pictures/..%2Fx.webp")).status_code in {404, 422}


async def test_the_event_loop_serves_others_while_a_picture_is_encoded(client, film, staff):
    upload = asyncio.create_task(
        client.put(f"/api/movies/{film['id']}/poster", content=picture(6000, 6000, "PNG"), headers=staff)
    )
    answered = 0
    while not upload.done():
        assert (await client.get("/healthz")).status_code == 200
        answered += 1
        await asyncio.sleep(0)  # the client in this process waits for nothing
    assert upload.result().status_code == 204
    assert answered > 5, "other requests were answered meanwhile"


async def test_unused_pictures_are_deleted_after_a_day(client, film, staff):
    pictures = store.Picture.get_pymongo_collection()
    await client.put(f"/api/movies/{film['id']}/poster", content=picture(700, 1000), headers=staff)
    poster = (await store.live_movie(film["id"])).poster
    assert poster
    used = poster.picture_id
    unused = (await store.store_picture(b"old", 1, 1)).picture_id
    fresh = (await store.store_picture(b"fresh", 1, 1)).picture_id
    two_days_ago = now() - timedelta(days=2)
    await pictures.update_many({"_id": {"$in": [used, unused]}}, {"$set": {"stored_at": two_days_ago}})
    assert await store.drop_unused_pictures(now()) == 1
    assert {each["_id"] async for each in pictures.find({"_id": {"$in": [used, unused, fresh]}})} == {used, fresh}
    await pictures.update_one({"_id": fresh}, {"$set": {"stored_at": two_days_ago}})
    await store.store_picture(b"fresh", 1, 1)
    assert await store.drop_unused_pictures(now()) == 0, "stored again: a film is about to use it"
    assert await pictures.count_documents({"_id": fresh}) == 1
