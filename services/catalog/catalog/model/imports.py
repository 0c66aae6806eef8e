"""Imported films: a provider's data, and which of it has changed.

Exception
├── FilmInvalid           a provider's data is not a valid film; other films are not affected
├── ProviderUnavailable    the provider is temporarily unavailable
└── ProviderRefused        the provider refuses our requests, for example because of the key; retrying does not help
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from contracts.types import clean_name
from pydantic import ValidationError

from catalog.model.movies import Film
from catalog.model.search import folded

Outcome = Literal["added", "changed", "unchanged", "left_out", "failed"]
"""`left_out`: staff have deleted the film, and an import does not restore it."""
ProviderName = Literal["tmdb", "file"]
MAX_FILMS = 5000


class FilmInvalid(Exception):
    """The provider's data is not a valid film."""


class ProviderUnavailable(Exception):
    """The provider is temporarily unavailable."""


class ProviderRefused(Exception):
    """The provider refuses our requests."""


class ProviderFilm(NamedTuple):
    """A film from a provider: `known` are the fields that the provider knows, as JSON values.

    `movie_id` is the id to use here, if the provider gives one; `genres` are names by code.
    """

    film: Film
    known: dict[str, Any]
    movie_id: str | None
    genres: dict[str, str]


class Result(NamedTuple):
    """The result for a film. `changes` has old and new values by field; `reason` says why it failed."""

    outcome: Outcome
    movie_id: str | None = None
    changes: dict[str, tuple[Any, Any]] = {}
    reason: str | None = None


def parse_film(fields: Mapping[str, Any], genre_names: list[str], movie_id: str | None = None) -> ProviderFilm:
    """Parse a provider's data about a film. Raises pydantic's ValidationError and FilmInvalid."""
    genres = {genre_code(name): name for name in map(clean_name, genre_names)}
    cleaned = {name: value if name == "synopsis" else _cleaned(value) for name, value in fields.items()}
    film = Film.model_validate({**cleaned, "genres": list(genres)})
    known = film.model_fields_set if genre_names else film.model_fields_set - {"genres"}
    return ProviderFilm(film, film.model_dump(mode="json", include=set(known)), movie_id, genres)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_name(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


def faults_of(error: ValidationError) -> str:
    """The first faults of an invalid film, with their places."""
    faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3]]
    return "; ".join(fault.removeprefix(": ") for fault in faults)


def genre_code(name: str) -> str:
    """The code for a genre's name: `science-fiction` for `Science Fiction`, a digest for a name in another script.

    Raises FilmInvalid for a name without letters.
    """
    plain = folded(name).strip()
    if code := "-".join(re.findall(r"[a-z0-9]+", plain))[:40].strip("-"):
        return code
    if not re.search(r"\w", plain):
        raise FilmInvalid(f"genres: {name!r} is not the name of a genre.")
    return f"genre-{blake2b(plain.encode(), digest_size=5).hexdigest()}"


def changed_fields(
    known: Mapping[str, Any], before: Mapping[str, Any] | None, film: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields to change here: those that the provider has changed since the last import.

    So edits by staff stay until the provider changes the same field. The first import fills only empty fields. External
    ids from the provider are added to the known ones.
    """
    if before is None:
        fresh = {name: value for name, value in known.items() if not film.get(name)}
    else:
        fresh = {name: value for name, value in known.items() if before.get(name) != value}
    if "external_ids" in known:
        fresh["external_ids"] = {**film.get("external_ids", {}), **known["external_ids"]}
    return {name: value for name, value in fresh.items() if film.get(name) != value}
