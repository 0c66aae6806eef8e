"""Import of one film from a provider."""

import secrets

from pydantic import ValidationError
from pymongo.errors import DuplicateKeyError

from catalog.model.imports import ProviderFilm, ProviderName, Result, changed_fields
from catalog.model.movies import CONTENT, slug
from catalog.store.genres import claim_genres, missing_genres, name_genre
from catalog.store.movies import Movie, change_movie, movies, publish_movie

TAKEN = "One of its ids in another catalog belongs to another film."


async def import_movie(given: ProviderFilm, provider: ProviderName, *, dry_run: bool) -> Result:
    """Insert the film or apply the provider's changes; a dry run only returns the result."""
    if not dry_run:
        for code in await missing_genres(given.genres):
            await name_genre(code, given.genres[code])
        await claim_genres(given.genres)
    # When two imports insert the same film at once, the second finds it at the next attempt.
    for _ in range(3):
        known = await _same(given)
        if known and known.deleted:
            return Result("left_out", known.id, reason="The film was deleted.")
        if known:
            return await _change(known, given, provider, dry_run=dry_run)
        movie_id = given.movie_id or slug(given.film.title, given.film.year)
        if dry_run:
            return Result("added", movie_id)
        if await movies.exists({"_id": movie_id}):
            movie_id = f"{movie_id}-{secrets.token_hex(3)}"  # another film with this title and year
        film = Movie(id=movie_id, imported={provider: given.known}, **given.film.model_dump())
        if await publish_movie(film):
            return Result("added", movie_id)
    return Result("failed", reason=TAKEN)


async def _same(given: ProviderFilm) -> Movie | None:
    """The stored film that matches, even a deleted one: by its id, an external id, or title and year."""
    if given.movie_id and (film := await movies.get(given.movie_id)):
        return film
    elsewhere = given.film.external_ids
    for catalog, external_id in elsewhere.items():
        known = {f"external_ids.{catalog}": {"$eq": external_id, "$gt": ""}}
        if film := await movies.find_one(known):
            return film
    if given.movie_id:
        return None
    film = await movies.get(slug(given.film.title, given.film.year))
    if film is None and (undated := await movies.get(slug(given.film.title, None))) and undated.year is None:
        film = undated
    # A film with another id at the same provider is a different film.
    return None if film and elsewhere.keys() & film.external_ids.keys() else film


async def _change(movie: Movie, given: ProviderFilm, provider: ProviderName, *, dry_run: bool) -> Result:
    film = movie.model_dump(mode="json", include=set(CONTENT))
    changes = changed_fields(given.known, movie.imported.get(provider), film)
    result = Result(
        "changed" if changes else "unchanged",
        movie.id,
        {name: (film[name], value) for name, value in changes.items()},
    )
    if dry_run:
        return result
    try:
        await change_movie(movie.id, changes, **{provider: given.known})
    except DuplicateKeyError:
        return Result("failed", movie.id, reason=TAKEN)
    except ValidationError as error:
        return Result("failed", movie.id, reason=str(error.errors()[0]["msg"]))
    return result
