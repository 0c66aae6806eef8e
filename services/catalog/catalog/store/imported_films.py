"""Import of one film from a provider."""

import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pymongo.errors import DuplicateKeyError

from catalog.model.imports import Offered, ProviderName, Result, news
from catalog.model.movies import slug
from catalog.store.genres import claim_genres, missing_genres, name_genre
from catalog.store.movies import Movie, change_movie, publish_movie
from catalog.store.reading import Document

TAKEN = "One of its ids in another catalog belongs to another film."


async def import_movie(offer: Offered, provider: ProviderName, *, dry_run: bool) -> Result:
    """Insert the film or apply the provider's changes; a dry run only returns the result."""
    if not dry_run:
        for code in await missing_genres(offer.genres):
            await name_genre(code, offer.genres[code])
        await claim_genres(offer.genres)
    # When two imports insert the same film at once, the second finds it at the next attempt.
    for _ in range(3):
        known = await _same(offer)
        if known and known["deleted"]:
            return Result("left_out", known["_id"], reason="The film was deleted.")
        if known:
            return await _change(known, offer, provider, dry_run=dry_run)
        movie_id = offer.movie_id or slug(offer.film.title, offer.film.year)
        if dry_run:
            return Result("added", movie_id)
        if await Movie.collection().find_one({"_id": movie_id}, {"_id": 1}):
            movie_id = f"{movie_id}-{secrets.token_hex(3)}"  # another film with this title and year
        film = Movie(id=movie_id, imported={provider: offer.said}, **offer.film.model_dump())
        if await publish_movie(film):
            return Result("added", movie_id)
    return Result("failed", reason=TAKEN)


async def _same(offer: Offered) -> Document | None:
    """The stored film that matches, even a deleted one: by its id, an external id, or title and year."""
    if offer.movie_id and (film := await Movie.collection().find_one({"_id": offer.movie_id}, {"outbox": 0})):
        return film
    elsewhere = offer.film.external_ids
    for catalog, external_id in elsewhere.items():
        known = {f"external_ids.{catalog}": {"$eq": external_id, "$gt": ""}}
        if film := await Movie.collection().find_one(known, {"outbox": 0}):
            return film
    if offer.movie_id:
        return None
    readable = slug(offer.film.title, offer.film.year)
    film = await Movie.collection().find_one({"_id": readable}, {"outbox": 0})
    # A film with another id at the same provider is a different film.
    is_other = film and any(film.get("external_ids", {}).get(catalog) for catalog in elsewhere)
    return None if is_other else film


async def _change(film: Document, offer: Offered, provider: ProviderName, *, dry_run: bool) -> Result:
    before: Mapping[str, Any] = film.get("imported", {})
    changes = news(offer.said, before.get(provider), film)
    result = Result(
        "changed" if changes else "unchanged",
        film["_id"],
        {name: (film.get(name), value) for name, value in changes.items()},
    )
    if dry_run:
        return result
    said = {f"imported.{provider}": offer.said} if before.get(provider) != offer.said else {}
    try:
        await change_movie(film["_id"], changes, **said)
    except DuplicateKeyError:
        return Result("failed", film["_id"], reason=TAKEN)
    except ValidationError as error:
        return Result("failed", film["_id"], reason=str(error.errors()[0]["msg"]))
    return result
