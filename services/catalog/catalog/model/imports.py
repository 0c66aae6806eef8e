"""Films from elsewhere: what a provider offers, and what of it is news."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from catalog.model.movies import Film, folded

Outcome = Literal["added", "changed", "unchanged", "left_out", "failed"]
"""`left_out`: staff have deleted the film here, and an import does not bring it back."""
ProviderName = Literal["tmdb", "file"]
MAX_FILMS = 5000


class Offered(NamedTuple):
    """A film as a provider has it: `said` are those of its fields that the provider knows, as JSON values.

    `movie_id` is the id that it is to have here, if the provider says so; `genres` are names by code.
    """

    film: Film
    said: dict[str, Any]
    movie_id: str | None
    genres: dict[str, str]


class Result(NamedTuple):
    """What became of an offered film. `changes` are values before and after by field; `reason` says why it failed."""

    outcome: Outcome
    movie_id: str | None = None
    changes: dict[str, tuple[Any, Any]] = {}
    reason: str | None = None


def offered(fields: Mapping[str, Any], genre_names: list[str], movie_id: str | None = None) -> Offered:
    """A film from what a provider says about it. Raises pydantic's ValidationError."""
    genres = {code: name.strip() for name in genre_names if (code := genre_code(name))}
    film = Film.model_validate({**fields, "genres": list(genres)})
    known = film.model_fields_set if genre_names else film.model_fields_set - {"genres"}
    return Offered(film, film.model_dump(mode="json", include=set(known)), movie_id, genres)


def genre_code(name: str) -> str:
    """The code of a genre's name: `Science Fiction` is `science-fiction`."""
    return "-".join(re.findall(r"[a-z0-9]+", folded(name)))[:40].strip("-")


def news(said: Mapping[str, Any], before: Mapping[str, Any] | None, film: Mapping[str, Any]) -> dict[str, Any]:
    """What to change of a film here: what its provider says and did not say the last time.

    So whatever staff have changed stays, until the provider changes the same. The first time, a provider only fills
    in what is empty. What it says about a film's ids elsewhere is added to those that are known.
    """
    if before is None:
        fresh = {name: value for name, value in said.items() if not film.get(name)}
    else:
        fresh = {name: value for name, value in said.items() if before.get(name) != value}
    if "external_ids" in said:
        fresh["external_ids"] = {**film.get("external_ids", {}), **said["external_ids"]}
    return {name: value for name, value in fresh.items() if film.get(name) != value}
