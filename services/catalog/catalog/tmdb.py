"""A provider of films: The Movie Database, https://developer.themoviedb.org/reference, version 3 of its API."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Self

import httpx
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, BeforeValidator, ValidationError

from catalog.model.imports import (
    MAX_FILMS,
    FilmInvalid,
    ProviderFilm,
    ProviderRefused,
    ProviderUnavailable,
    faults_of,
    parse_film,
)
from catalog.settings import Settings

TIMEOUT_S, TRIES, FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 4, 0.5, 20.0
MOST_ACTORS, MOST_CREW, MOST_TITLES = 20, 20, 40
CREW = ("Screenplay", "Writer", "Novel", "Producer", "Director of Photography", "Editor", "Original Music Composer")
PARTS = "credits,release_dates,videos,translations"
NOT_RATED = "NR"
LANGUAGES = {"cn": "yue", "xx": ""}
"""TMDB's own codes: Cantonese, and no language."""
Text = Annotated[str, BeforeValidator(lambda value: " ".join(str(value or "").split()))]


class _Named(BaseModel):
    name: Text = ""


class _Crew(_Named):
    job: Text = ""


class _Credits(BaseModel):
    cast: list[_Named] = []
    crew: list[_Crew] = []


class _Release(BaseModel):
    certification: Text = ""


class _Releases(BaseModel):
    iso_3166_1: str
    release_dates: list[_Release] = []


class _ReleaseDates(BaseModel):
    results: list[_Releases] = []


class _Video(BaseModel):
    site: str = ""
    type: str = ""
    key: str = ""
    official: bool = False


class _Videos(BaseModel):
    results: list[_Video] = []


class _Translated(BaseModel):
    title: Text = ""


class _Translation(BaseModel):
    data: _Translated = _Translated()


class _Translations(BaseModel):
    translations: list[_Translation] = []


class _Language(BaseModel):
    iso_639_1: str = ""


class _Film(BaseModel):
    """The parts of TMDB's answer that we use."""

    id: int
    title: Text
    original_title: Text = ""
    original_language: str
    release_date: str | None = None
    runtime: int | None = None
    overview: str | None = None
    imdb_id: str | None = None
    genres: list[_Named] = []
    spoken_languages: list[_Language] = []
    credits: _Credits = _Credits()
    release_dates: _ReleaseDates = _ReleaseDates()
    videos: _Videos = _Videos()
    translations: _Translations = _Translations()

    def certificate(self, region: str) -> str:
        """The region's certificate, or none."""
        given = [
            release.certification
            for country in self.release_dates.results
            if country.iso_3166_1 == region
            for release in country.release_dates
            if release.certification
        ]
        return given[0] if given else NOT_RATED

    def other_titles(self) -> list[str]:
        """The titles in other languages, at most MOST_TITLES."""
        translated = [each.data.title for each in self.translations.translations if each.data.title]
        return [each for each in dict.fromkeys(translated) if each not in {self.title, self.original_title}][
            :MOST_TITLES
        ]

    def trailer(self) -> str | None:
        """The address of a trailer, preferably an official one."""
        found = [each for each in self.videos.results if (each.site, each.type) == ("YouTube", "Trailer") and each.key]
        found.sort(key=lambda video: not video.official)
        return f"https://www.youtube.com/watch?v={found[0].key}" if found else None

    def fields(self, region: str) -> dict[str, Any]:
        """The film's fields; unknown ones are omitted."""
        crew = [{"name": each.name, "job": each.job} for each in self.credits.crew if each.name and each.job in CREW]
        spoken = [LANGUAGES.get(each.iso_639_1, each.iso_639_1) for each in self.spoken_languages]
        elsewhere = {"tmdb": str(self.id)} | ({"imdb": self.imdb_id} if self.imdb_id else {})
        known: dict[str, Any] = {
            "title": self.title,
            "original_title": self.original_title,
            "other_titles": self.other_titles(),
            "release_date": self.release_date,
            "runtime_minutes": self.runtime,
            "certificate": self.certificate(region),
            "original_language": LANGUAGES.get(self.original_language, self.original_language),
            "languages": [code for code in dict.fromkeys(spoken) if code],
            "directors": [each.name for each in self.credits.crew if each.job == "Director"],
            "cast": [each.name for each in self.credits.cast if each.name][:MOST_ACTORS],
            "crew": crew[:MOST_CREW],
            "synopsis": (self.overview or "").strip(),
            "trailer_url": self.trailer(),
            "external_ids": elsewhere,
        }
        return {name: value for name, value in known.items() if value}


class Tmdb:
    """A client of TMDB with a rate limit and retries."""

    def __init__(self, client: httpx.AsyncClient, limiter: AsyncLimiter, language: str, region: str) -> None:
        self._client, self._limiter, self._language, self._region = client, limiter, language, region

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncIterator[Self]:
        """A connection to TMDB with the settings' key."""
        token = settings.tmdb_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        # One request at a time without bursts: TMDB counts per second, and the key may have other users.
        limiter = AsyncLimiter(1, 1 / settings.tmdb_requests_per_second)
        async with httpx.AsyncClient(base_url=settings.tmdb_url, headers=headers, timeout=TIMEOUT_S) as client:
            yield cls(client, limiter, settings.tmdb_language, settings.tmdb_region)

    async def refs(self, source: Mapping[str, Any]) -> list[str]:
        """TMDB's ids of the films: `ids` as they are, and those on the first `pages` of a `list` (`popular` …)."""
        ids = [str(film_id) for film_id in source.get("ids", [])]
        if source.get("list"):
            for page in range(1, source["pages"] + 1):
                found = await self._get(f"/movie/{source['list']}", page=page, region=self._region)
                try:
                    ids += [str(int(film["id"])) for film in found["results"]]
                    last = int(found["total_pages"])
                except (KeyError, TypeError, ValueError) as error:
                    raise ProviderRefused("TMDB's answer is not a list of films.") from error
                if page >= last:
                    break
        return list(dict.fromkeys(ids))[:MAX_FILMS]

    async def film(self, ref: str, row: str | None) -> ProviderFilm:
        """One film. Raises FilmInvalid, ProviderUnavailable and ProviderRefused."""
        found = await self._get(f"/movie/{ref}", append_to_response=PARTS)
        try:
            film = _Film.model_validate(found)
            return parse_film(film.fields(self._region), [genre.name for genre in film.genres if genre.name])
        except ValidationError as error:
            raise FilmInvalid(f"TMDB's film {ref}: {faults_of(error)}") from error

    async def _get(self, path: str, **params: Any) -> Any:
        fault = ""
        for attempt in range(TRIES):
            async with self._limiter:
                try:
                    answer = await self._client.get(path, params={"language": self._language, **params})
                except httpx.HTTPError as error:
                    fault, pause = type(error).__name__, FIRST_PAUSE_S * 2**attempt
                else:
                    if answer.is_success:
                        return _json_of(answer)
                    _refuse_for_good(answer, path)
                    fault, pause = f"status {answer.status_code}", _pause(answer, attempt)
            if attempt < TRIES - 1:
                await asyncio.sleep(pause)
        raise ProviderUnavailable(f"TMDB does not answer: {fault}.")


def _json_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ProviderUnavailable("TMDB's answer is not JSON.") from error


def _refuse_for_good(answer: httpx.Response, path: str) -> None:
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise ProviderRefused("TMDB refuses the key. TMDB_TOKEN must be an API read access token.")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise FilmInvalid(f"TMDB has nothing at {path}.")
    if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS and answer.is_client_error:
        raise ProviderRefused(f"TMDB does not take the request for {path}: status {answer.status_code}.")


def _pause(answer: httpx.Response, attempt: int) -> float:
    """The pause that TMDB asks for, within limits."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE_S) if asked.isdigit() else FIRST_PAUSE_S * 2**attempt
