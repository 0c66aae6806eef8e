"""Imports: started by an endpoint or a command, processed in the background, reported film by film."""

import asyncio
import json
import os
import sys
from datetime import timedelta

import pytest
from catalog import jobs, settings, store, tmdb
from catalog.model.imports import Result
from catalog.store import Movie
from chassis.clock import now
from chassis.testing import until
from contracts.catalog import MovieChanged, MoviePublished

from .tmdb_server import film

pytestmark = pytest.mark.usefixtures("loaded")
FILE, TMDB = "/api/imports/files", "/api/imports/tmdb"


@pytest.fixture
def staff(signer):
    return signer.headers("editor", ["movies:write"])


@pytest.fixture
def server(tmdb_server):
    tmdb_server.reset()
    tmdb_server.films = {number: film(number, f"Imported {number}") for number in range(101, 109)}
    yield tmdb_server
    tmdb_server.reset()


@pytest.fixture(autouse=True)
async def _tidy(client):
    before = await Movie.get_pymongo_collection().distinct("_id")
    yield
    await Movie.get_pymongo_collection().delete_many({"_id": {"$nin": before}})
    for kind in (store.Import, store.ImportItem):
        await kind.get_pymongo_collection().delete_many({})


def row(number, **fields):
    facts = {"runtime_minutes": 94, "certificate": "PG", "original_language": "de", "release_date": "1922-03-04"}
    return {"title": f"Film {number}", "genres": ["Drama", "Silent Film"], **facts, **fields}


@pytest.fixture
def import_films(client, staff):
    """Import and wait for the end. Returns the import, and its films by their place."""

    async def run(path, *, dry_run=False, **request):
        if path == TMDB:
            request["json"] |= {"dry_run": dry_run}
        else:
            path = f"{path}?dry_run={dry_run}"
        begun = await client.post(path, headers=staff, **request)
        assert begun.status_code == 202, begun.text
        return await ended(client, staff, begun.headers["location"], alone=False)

    return run


async def ended(client, staff, address, *, alone=True):
    """Wait for the end of the import. This test helps to process it, unless `alone`."""

    async def answer():
        if not alone:
            await jobs.work_on_imports("this test")
        found = (await client.get(address, headers=staff)).json()
        return found if found["state"] in {"done", "failed"} else {}

    found = await until(answer)
    items = (await client.get(found["items_url"], headers=staff)).json()["items"]
    return found, {item["ref"]: item for item in items}


def counted(found):
    return {name: count for name, count in found["progress"].items() if count}


async def test_a_file_is_imported_and_each_film_reported(client, import_films, bus):
    rows = [row(1), row(2, id="film-two"), row(3, runtime_minutes=1000), "no film"]
    found, films = await import_films(FILE, content=json.dumps(rows))
    assert (found["state"], found["provider"], counted(found)) == (
        "done",
        "file",
        {"total": 4, "added": 2, "failed": 2},
    )
    assert films["Film 1"] | {"number": 1} == films["Film 1"]
    assert (films["Film 1"]["outcome"], films["Film 1"]["movie_id"]) == ("added", "film-1-1922")
    assert films["Film 3"]["reason"] == "Film 3: runtime_minutes: Input should be less than 1000"
    shown = (await client.get("/api/movies/film-two")).json()
    assert (shown["title"], shown["genres"]) == ("Film 2", ["drama", "silent-film"])
    assert {"code": "silent-film", "name": "Silent Film"} in (await client.get("/api/genres")).json()
    assert {"code": "drama", "name": "Drama"} in (await client.get("/api/genres")).json()
    await bus.wait_for(MoviePublished, lambda event: event.movie_id == "film-two")


async def test_a_repeated_import_changes_only_what_is_new(client, import_films, staff, bus):
    await import_films(FILE, content=json.dumps([row(1), row(2)]))
    before = {each: (await store.live_movie(each)).version for each in ("film-1-1922", "film-2-1922")}
    found, _ = await import_films(FILE, content=json.dumps([row(1), row(2)]))
    assert counted(found) == {"total": 2, "unchanged": 2}
    assert {each: (await store.live_movie(each)).version for each in before} == before
    await client.patch("/api/movies/film-1-1922", json={"certificate": "15"}, headers=staff)
    found, films = await import_films(FILE, content=json.dumps([row(1, runtime_minutes=95), row(2)]))
    assert counted(found) == {"total": 2, "changed": 1, "unchanged": 1}
    assert films["Film 1"]["changes"] == {"runtime_minutes": [94, 95]}
    shown = (await client.get("/api/movies/film-1-1922")).json()
    assert (shown["runtime_minutes"], shown["certificate"]) == (95, "15"), "changes by staff stay"
    await bus.wait_for(MovieChanged, lambda event: event.runtime_minutes == 95)


async def test_a_dry_run_reports_changes_and_makes_none(client, import_films):
    await import_films(FILE, content=json.dumps([row(1)]))
    rows = [row(1, certificate="18"), row(2, genres=["Never seen"]), row(3, title="")]
    found, films = await import_films(FILE, dry_run=True, content=json.dumps(rows))
    assert found["dry_run"]
    assert counted(found) == {"total": 3, "added": 1, "changed": 1, "failed": 1}
    assert films["Film 1"]["changes"] == {"certificate": ["PG", "18"]}
    assert (await client.get("/api/movies/film-1-1922")).json()["certificate"] == "PG"
    assert (await client.get("/api/movies/film-2-1922")).status_code == 404
    assert "never-seen" not in {genre["code"] for genre in (await client.get("/api/genres")).json()}
    again, _ = await import_films(FILE, content=json.dumps(rows))
    assert counted(again) == counted(found), "the dry run was right"


async def test_csv_is_imported(import_films):
    header, facts = "title,release_date,runtime_minutes,certificate,original_language", "1922-03-04,94,PG,de"
    text = f"{header}\nFilm 1,{facts}\n,,,,\n,{facts}\n"
    found, films = await import_films(FILE, content=text)
    assert counted(found) == {"total": 2, "added": 1, "failed": 1}
    assert films["Line 4"]["reason"].startswith("Line 4: title: Field required")
    assert found["source"] == {"file": "", "encoding": "utf-8", "delimiter": ","}


async def test_tmdbs_lists_are_imported(client, server, import_films):
    found, films = await import_films(TMDB, json={"list": "now_playing", "pages": 2})
    assert (found["state"], counted(found)) == ("done", {"total": 6, "added": 6})
    shown = (await client.get("/api/movies/imported-101-2024")).json()
    assert shown["external_ids"] == {"tmdb": "101", "imdb": "tt0000101"}
    assert films["101"]["movie_id"] == "imported-101-2024"
    server.films[101]["runtime"] = 180
    again, films = await import_films(TMDB, json={"ids": [101, 102, 999]})
    assert counted(again) == {"total": 3, "changed": 1, "unchanged": 1, "failed": 1}
    assert films["101"]["changes"] == {"runtime_minutes": [175, 180]}
    assert films["999"]["reason"] == "TMDB has nothing at /movie/999."


async def test_an_existing_film_is_found_by_title_and_year_and_only_completed(client, server, import_films):
    alien = film(348, "Alien", release_date="1979-05-25", overview="Another synopsis.", imdb_id="tt0078748")
    server.films = {348: alien, 349: film(349, "Alien", release_date="1979-11-01", imdb_id="tt0000349")}
    before = (await client.get("/api/movies/alien-1979")).json()
    _, films = await import_films(TMDB, json={"ids": [348]})
    assert (films["348"]["outcome"], films["348"]["movie_id"]) == ("changed", "alien-1979")
    after = (await client.get("/api/movies/alien-1979")).json()
    assert (after["synopsis"], after["title"], after["cast"]) == (before["synopsis"], before["title"], before["cast"])
    assert (after["external_ids"]["imdb"], after["trailer_url"] is not None) == ("tt0078748", True)
    _, films = await import_films(TMDB, json={"ids": [349]})
    assert films["349"]["outcome"] == "added"
    assert films["349"]["movie_id"].startswith("alien-1979-"), "another film with this title and year"
    again, _ = await import_films(TMDB, json={"ids": [348, 349]})
    assert counted(again) == {"total": 2, "unchanged": 2}


async def test_an_announced_film_gets_its_date_and_runtime_later(client, import_films):
    announced = row(1, release_date="", runtime_minutes=None)
    _, films = await import_films(FILE, content=json.dumps([announced]))
    assert (films["Film 1"]["outcome"], films["Film 1"]["movie_id"]) == ("added", "film-1")
    shown = (await client.get("/api/movies/film-1")).json()
    assert (shown["year"], shown["runtime_minutes"], shown["status"]) == (None, None, "coming_soon")
    poster = (await client.get("/api/movies/film-1/poster.svg")).text
    assert "None" not in poster
    assert "film-1" in {each["id"] for each in (await client.get("/api/movies?sort=newest&limit=100")).json()["items"]}
    _, films = await import_films(FILE, content=json.dumps([row(1)]))
    assert (films["Film 1"]["outcome"], films["Film 1"]["movie_id"]) == ("changed", "film-1")
    shown = (await client.get("/api/movies/film-1")).json()
    assert (shown["year"], shown["runtime_minutes"], shown["release_date"]) == (1922, 94, "1922-03-04")


async def test_two_films_do_not_get_the_same_external_id(server, import_films):
    await import_films(FILE, content=json.dumps([row(1, external_ids={"imdb": "tt0000101"})]))
    _, films = await import_films(FILE, content=json.dumps([row(2, id="other", external_ids={"imdb": "tt0000101"})]))
    assert films["Film 1"]["movie_id"] == "film-1-1922", "an external id identifies the film"
    await import_films(FILE, content=json.dumps([row(3, id="third")]))
    _, films = await import_films(FILE, content=json.dumps([row(3, id="third", external_ids={"imdb": "tt0000101"})]))
    assert (films["Film 1"]["outcome"], films["Film 1"]["reason"]) == (
        "failed", "One of its ids in another catalog belongs to another film.",
    )  # fmt: skip


async def test_a_film_that_staff_have_deleted_is_not_imported_again(client, staff, import_films):
    await import_films(FILE, content=json.dumps([row(1)]))
    assert (await client.delete("/api/movies/film-1-1922", headers=staff)).status_code == 204
    found, films = await import_films(FILE, content=json.dumps([row(1)]))
    assert counted(found) == {"total": 1, "left_out": 1}
    assert films["Film 1"]["reason"] == "The film was deleted."
    assert (await client.get("/api/movies/film-1-1922")).status_code == 404


async def test_concurrent_imports_add_each_film_once(client, staff, server):
    answers = [await client.post(TMDB, json={"list": "popular", "pages": 3}, headers=staff) for _ in range(4)]
    addresses = [answer.headers["location"] for answer in answers]

    async def work(owner):
        while found := await store.claim_import(owner):
            await jobs.advance_import(found, settings.get())

    await asyncio.gather(*map(work, ["ada", "ben", "cleo", "dan"]))
    reports = [(await ended(client, staff, address))[0] for address in addresses]
    assert sum(report["progress"]["added"] for report in reports) == 8
    assert {report["progress"]["total"] for report in reports} == {8}
    assert (
        await Movie.get_pymongo_collection().count_documents(
            {"external_ids.tmdb": {"$in": [str(n) for n in server.films]}}
        )
        == 8
    )


async def test_of_two_workers_on_one_film_the_first_outcome_counts(client, staff):
    import_id = await store.start_import("tmdb", {"ids": []}, dry_run=True, requested_by="test")
    await store.enter_items(import_id, [("101", None)])
    [item] = await store.waiting_items(import_id, 10)
    await store.store_results(import_id, [(item.id, Result("added", "film-1"))])
    await store.store_results(import_id, [(item.id, Result("unchanged", "film-1"))])
    found = (await client.get(f"/api/imports/{import_id}", headers=staff)).json()
    assert counted(found) == {"total": 1, "added": 1}


async def test_while_tmdb_is_down_the_import_waits_and_then_continues(client, staff, server, monkeypatch):
    monkeypatch.setattr(tmdb, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(jobs, "AGAIN_AFTER", timedelta(seconds=1))
    server.planned["/movie/102"] = [(503, {}, {})] * 4
    begun = await client.post(TMDB, json={"ids": [101, 102, 103]}, headers=staff)

    async def waits():
        found = (await client.get(begun.headers["location"], headers=staff)).json()
        is_waiting = found["fault"] and counted(found) == {"total": 3, "waiting": 1, "added": 2}
        return found if is_waiting else {}

    found = await until(waits)
    assert (found["state"], found["fault"]) == ("working", "TMDB does not answer: status 503.")
    found, _ = await ended(client, staff, begun.headers["location"])
    assert (found["state"], found["fault"], counted(found)) == ("done", None, {"total": 3, "added": 3})


async def test_an_import_without_progress_for_an_hour_fails(client, staff, server, monkeypatch):
    monkeypatch.setattr(tmdb, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(jobs, "GIVEN_UP_AFTER", timedelta(0))
    server.planned["/movie/101"] = [(503, {}, {})] * 4
    found, films = await ended(
        client, staff, (await client.post(TMDB, json={"ids": [101]}, headers=staff)).headers["location"]
    )
    assert (found["state"], found["fault"]) == ("failed", "TMDB does not answer: status 503.")
    assert films["101"]["outcome"] is None


async def test_a_refused_key_fails_the_import_at_once(client, staff, server):
    server.planned["/movie/popular"] = [(401, {}, {"status_code": 7})]
    begun = await client.post(TMDB, json={"list": "popular"}, headers=staff)
    found, _ = await ended(client, staff, begun.headers["location"])
    assert (found["state"], found["progress"]["total"]) == ("failed", 0)
    assert "refuses the key" in found["fault"]


async def command(*arguments):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "catalog.importing", *arguments),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_command_imports_and_prints_its_progress(tmp_path):
    file = tmp_path / "films.json"
    file.write_text(json.dumps([row(1), row(2), {}]))
    process = await command("file", str(file), "--dry-run")
    said, _ = await process.communicate()
    assert process.returncode == 1, "a film has failed"
    assert b"done: added=2 failed=1\n" in said
    assert b"added film-1-1922" in said
    assert b"failed Film 3 Film 3: title: Field required" in said
    file.write_text("[")
    process = await command("file", str(file))
    _, complained = await process.communicate()
    assert (process.returncode, complained) == (2, b"Line 1, column 2: Expecting value.\n")
    process = await command("file", str(tmp_path / "none"))
    assert b"No such file" in (await process.communicate())[1]


async def test_the_service_finishes_the_import_of_a_killed_command(client, staff, server):
    first = await command("tmdb", "--list", "popular", "--pages", "9")
    assert first.stdout
    import_id = (await first.stdout.readline()).split()[1].decode()
    server.held.clear()

    async def in_the_middle():
        return server.times_asked("/movie/108")

    # The films before this one are done or on their way, and no answer comes.
    await until(in_the_middle)
    first.kill()
    await first.wait()
    server.held.set()
    imports = store.Import.get_pymongo_collection()
    left = await imports.find_one({"_id": import_id}) or {}
    assert left["state"] == "working"
    assert left["claimed_until"] > now(), "nobody else claims it while its owner may be alive"
    await imports.update_one({"_id": import_id}, {"$set": {"claimed_until": now()}})
    found, films = await ended(client, staff, f"/api/imports/{import_id}")
    assert (found["state"], found["progress"]["total"], len(films)) == ("done", 8, 8)
    assert found["progress"]["added"] + found["progress"]["unchanged"] == 8
    process = await command("resume", import_id)
    assert b"done: " in (await process.communicate())[0]


BAD = [
    (TMDB, {"json": {}}, 422, "invalid_request"),
    (TMDB, {"json": {"list": "latest"}}, 422, "invalid_request"),
    (TMDB, {"json": {"list": "popular", "pages": 0}}, 422, "invalid_request"),
    (TMDB, {"json": {"list": "popular", "pages": 101}}, 422, "invalid_request"),
    (TMDB, {"json": {"ids": [0]}}, 422, "invalid_request"),
    (TMDB, {"json": {"ids": ["../account"]}}, 422, "invalid_request"),
    (TMDB, {"json": {"ids": list(range(1, 1002))}}, 422, "invalid_request"),
    (TMDB, {"json": {"ids": [1], "url": "http://elsewhere.example"}}, 422, "invalid_request"),
    (FILE, {"content": b""}, 422, "import_invalid"),
    (FILE, {"content": b"[{]"}, 422, "import_invalid"),
    (FILE, {"content": b"x" * 8_400_000}, 413, "too_large"),
    (FILE + "?dry_run=perhaps", {"content": b"[]"}, 422, "invalid_request"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD)
async def test_invalid_input_starts_no_import(*, client, staff, path, body, status, code):
    answer = await client.post(path, headers=staff, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/api/imports", headers=staff)).json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", TMDB),
        ("POST", FILE),
        ("GET", "/api/imports"),
        ("GET", "/api/imports/x"),
        ("GET", "/api/imports/x/items"),
    ],
)
async def test_imports_require_the_permission(client, signer, staff, method, path):
    body = {"ids": [1]}
    assert (await client.request(method, path, json=body)).status_code == 401
    other = signer.headers("someone", ["theaters:write"])
    assert (await client.request(method, path, json=body, headers=other)).status_code == 403
    if path.startswith("/api/imports/x"):
        assert (await client.request(method, path, headers=staff)).status_code == 404


async def test_without_a_key_there_is_no_request_to_tmdb(client, staff, monkeypatch):
    chosen = settings.get().model_copy(update={"tmdb_token": type(settings.get().tmdb_token)("")})
    monkeypatch.setattr(settings, "get", lambda: chosen)
    answer = await client.post(TMDB, json={"ids": [1]}, headers=staff)
    assert (answer.status_code, answer.json()["code"]) == (409, "import_not_set_up")


async def test_the_list_and_the_report_page_by_cursor(client, staff, import_films):
    for number in range(3):
        await import_films(FILE, content=json.dumps([row(number * 3 + n) for n in range(3)] + [{}]))

    async def walk(path, **params):
        items, cursor = [], None
        while True:
            query = params | ({"cursor": cursor} if cursor else {})
            page = (await client.get(path, params=query, headers=staff)).json()
            items += page["items"]
            if not (cursor := page["next_cursor"]):
                return items

    imports = await walk("/api/imports", limit=1)
    assert [each["begun_at"] for each in imports] == sorted((each["begun_at"] for each in imports), reverse=True)
    assert len({each["id"] for each in imports}) == len(imports) == 3
    path = imports[0]["items_url"]
    assert [item["number"] for item in await walk(path, limit=1)] == [1, 2, 3, 4]
    assert [item["number"] for item in await walk(path, limit=2, outcome="added")] == [1, 2, 3]
    assert (await client.get(f"{path}?cursor=!!!", headers=staff)).json()["code"] == "cursor_invalid"
    assert (await client.get(f"{path}?outcome=lost", headers=staff)).status_code == 422
    private = await client.get("/api/imports", headers=staff)
    assert private.headers["cache-control"] == "no-store"
