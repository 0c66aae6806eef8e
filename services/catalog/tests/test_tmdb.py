"""TMDB as a provider: films from its responses, rate limit, retries and failures."""

import asyncio

import httpx
import pytest
from aiolimiter import AsyncLimiter
from catalog import settings
from catalog import tmdb as module
from catalog.model.imports import FilmInvalid, ProviderRefused, ProviderUnavailable
from catalog.tmdb import Tmdb
from chassis.testing import until

from .tmdb_server import TOKEN, film


@pytest.fixture
def server(tmdb_server):
    tmdb_server.reset()
    tmdb_server.films = {number: film(number, f"Film {number}") for number in range(1, 9)}
    yield tmdb_server
    tmdb_server.reset()


@pytest.fixture
async def provider(server, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    async with asked_with(server) as client:
        yield Tmdb(client, AsyncLimiter(100, 0.01), "en-US", "GB")


def asked_with(server, token=TOKEN):
    return httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


async def test_tmdbs_response_becomes_a_film(provider):
    offer = await provider.film("1", None)
    assert offer.known == {
        "title": "Film 1",
        "original_title": "Film 1",
        "other_titles": ["Der Film 1"],
        "release_date": "2024-03-14",
        "year": 2024,
        "runtime_minutes": 175,
        "certificate": "15",
        "genres": ["drama", "science-fiction"],
        "original_language": "en",
        "languages": ["en"],
        "directors": ["Dana Director"],
        "cast": [f"Actor {number}" for number in range(20)],
        "crew": [{"name": "Wim Writer", "job": "Screenplay"}],
        "synopsis": "What happens in Film 1.",
        "trailer_url": "https://www.youtube.com/watch?v=trailer",
        "external_ids": {"tmdb": "1", "imdb": "tt0000001"},
    }
    assert offer.genres == {"drama": "Drama", "science-fiction": "Science Fiction"}


async def test_unknown_fields_are_omitted(provider, server):
    nothing = {
        "runtime": 0,
        "release_date": "",
        "imdb_id": None,
        "overview": None,
        "genres": [],
        "original_title": None,
        "spoken_languages": [],
    }
    server.films[1] = film(1, "Film 1", original_language="cn", **nothing) | {"videos": {"results": []}}
    del server.films[1]["credits"], server.films[1]["release_dates"], server.films[1]["translations"]
    offer = await provider.film("1", None)
    assert (offer.film.certificate, offer.film.original_language) == ("NR", "yue")
    assert offer.known.keys() == {"title", "original_title", "certificate", "original_language", "external_ids"}


async def test_a_list_is_read_page_by_page_and_each_film_once(provider, server):
    assert await provider.refs({"list": "popular", "pages": 2}) == ["1", "2", "3", "4", "5", "6"]
    assert await provider.refs({"list": "popular", "pages": 99, "ids": [8, 42]}) == ["8", "42", *"1234567"]
    assert server.times_asked("/movie/popular") == 2 + 3, "no page after the last"
    assert await provider.refs({"ids": [238]}) == ["238"]


BAD_FILMS = {
    "no title": ({"title": ""}, "TMDB's film 1: title: "),
    "another shape": ({"credits": "soon"}, "TMDB's film 1: credits: "),
    "a date that there is not": ({"release_date": "2024-02-30"}, "TMDB's film 1: release_date: "),
}


@pytest.mark.parametrize("name", BAD_FILMS)
async def test_an_invalid_film_has_a_reason(provider, server, name):
    fields, sentence = BAD_FILMS[name]
    server.films[1] = film(1, "Film 1", **fields)
    with pytest.raises(FilmInvalid) as fault:
        await provider.film("1", None)
    assert str(fault.value).startswith(sentence)


async def test_a_film_that_tmdb_does_not_have_is_requested_once(provider, server):
    with pytest.raises(FilmInvalid, match="TMDB has nothing at /movie/404"):
        await provider.film("404", None)
    assert server.times_asked("/movie/404") == 1


@pytest.mark.parametrize("first", [(429, {"Retry-After": "1"}), (429, {}), (503, {}), (500, {"Retry-After": "soon"})])
async def test_temporary_failures_are_retried(provider, server, first):
    server.planned["/movie/1"] = [(*first, {"status_code": 25})] * 2
    assert (await provider.film("1", None)).film.title == "Film 1"
    assert server.times_asked("/movie/1") == 3


async def test_a_lasting_failure_is_unavailable(provider, server):
    server.planned["/movie/1"] = [(503, {}, {})] * 10
    with pytest.raises(ProviderUnavailable, match="status 503"):
        await provider.film("1", None)
    assert server.times_asked("/movie/1") == 4
    server.planned["/movie/2"] = [(200, {}, b"<html>")]
    with pytest.raises(ProviderUnavailable, match="not JSON"):
        await provider.film("2", None)
    server.planned["/movie/popular"] = [(200, {}, {"films": []})]
    with pytest.raises(ProviderRefused, match="not a list of films"):
        await provider.refs({"list": "popular", "pages": 1})


async def test_a_missing_server_is_unavailable(provider):
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9/3", trust_env=False) as nowhere:
        with pytest.raises(ProviderUnavailable, match="ConnectError"):
            await Tmdb(nowhere, AsyncLimiter(100, 0.01), "en-US", "GB").film("1", None)


async def test_a_refused_key_is_not_retried(provider, server):
    async with asked_with(server, "wrong") as client:
        with pytest.raises(ProviderRefused, match="refuses the key"):
            await Tmdb(client, AsyncLimiter(100, 0.01), "en-US", "GB").film("1", None)
    assert server.times_asked("/movie/1") == 1


async def test_the_rate_limit_is_kept(server):
    async with asked_with(server) as client:
        provider = Tmdb(client, AsyncLimiter(3, 3600), "en-US", "GB")
        asking = [asyncio.create_task(provider.film(str(number), None)) for number in range(1, 9)]

        async def three_have_been_answered():
            return sum(task.done() for task in asking) == 3

        await until(three_have_been_answered)
        assert len(server.asked) == 3
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert len(server.asked) == 3, "the others wait"


async def test_the_rate_limit_comes_from_the_settings(server):
    chosen = settings.Settings(tmdb_requests_per_second=4)
    async with Tmdb.opened(chosen) as provider:
        limiter = provider._limiter
        assert limiter.max_rate / limiter.time_period == 4
        assert (await provider.film("1", None)).film.title == "Film 1"
